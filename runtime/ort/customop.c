//go:build cgo

// loopserve.PagedAttention as ONNX Runtime sees it: attributes and tensors in, the kernel of attention.h called on the
// session's own thread pool. docs/bundle-format.md is the contract.
#include "customop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attention.h"
#include "shim.h"

enum { IN_QUERY, IN_KEY, IN_VALUE, IN_KEYS, IN_VALUES, IN_CUMULATIVE, IN_PAST, IN_TABLE, IN_COS, IN_SIN, IN_QNORM, IN_KNORM, INPUTS };
enum { MESSAGE = 256 };

static const char *const input_names[INPUTS] = {"query", "key", "value", "key_cache", "value_cache", "cumulative_sequence_length",
                                                "past_seqlens", "block_table", "cos_cache", "sin_cache", "q_norm_weight", "k_norm_weight"};
static const int input_ranks[INPUTS] = {2, 2, 2, 4, 4, 1, 1, 2, 2, 2, 1, 1};

typedef struct {
  int64_t heads, kv_heads, layer, layers, window, rotary, interleaved, qk_norm;
  float scale, softcap, epsilon;
} attributes;

static size_t pool_threads = 1;
void ls_custom_ops_threads(size_t n) { pool_threads = n > 0 ? n : 1; }

static OrtStatus *refuse(const char *message) { return ls_ort.CreateStatus(LS_INVALID_ARGUMENT, message); }

static OrtStatus *wrong_type(const char *name, const char *want) {
  char message[MESSAGE];
  snprintf(message, sizeof message, "PagedAttention: attribute %s must be %s", name, want);
  return refuse(message);
}

static int failed(OrtStatus *s) {
  if (s == NULL) return 0;
  ls_ort.ReleaseStatus(s);
  return 1;
}

// An attribute that the node does not have keeps its default. One that can only be read as the other type is a mistake,
// which a default would hide.
static OrtStatus *integer(const OrtKernelInfo *info, const char *name, int64_t *v) {
  int64_t x;
  float other;
  if (!failed(ls_ort.KernelInfoGetAttribute_int64(info, name, &x))) return *v = x, NULL;
  return failed(ls_ort.KernelInfoGetAttribute_float(info, name, &other)) ? NULL : wrong_type(name, "an integer");
}

static OrtStatus *real(const OrtKernelInfo *info, const char *name, float *v) {
  float x;
  int64_t other;
  if (!failed(ls_ort.KernelInfoGetAttribute_float(info, name, &x))) return *v = x, NULL;
  return failed(ls_ort.KernelInfoGetAttribute_int64(info, name, &other)) ? NULL : wrong_type(name, "a float");
}

static OrtStatus *read_attributes(const OrtKernelInfo *info, attributes *a) {
  const struct {
    const char *name;
    int64_t *to;
  } integers[] = {{"num_heads", &a->heads},         {"kv_num_heads", &a->kv_heads},      {"layer", &a->layer},
                  {"num_layers", &a->layers},       {"local_window_size", &a->window},   {"do_rotary", &a->rotary},
                  {"rotary_interleaved", &a->interleaved}, {"qk_norm", &a->qk_norm}};
  const struct {
    const char *name;
    float *to;
  } reals[] = {{"scale", &a->scale}, {"softcap", &a->softcap}, {"qk_norm_epsilon", &a->epsilon}};
  OrtStatus *s = NULL;
  for (size_t i = 0; s == NULL && i < sizeof integers / sizeof *integers; i++) s = integer(info, integers[i].name, integers[i].to);
  for (size_t i = 0; s == NULL && i < sizeof reals / sizeof *reals; i++) s = real(info, reals[i].name, reals[i].to);
  if (s != NULL) return s;
  if (a->heads < 1 || a->kv_heads < 1 || a->heads % a->kv_heads) return refuse("PagedAttention: num_heads and kv_num_heads are required and positive, and kv_num_heads divides num_heads");
  if (a->layers < 1 || a->layer < 0 || a->layer >= a->layers) return refuse("PagedAttention: layer must be 0 to num_layers - 1");
  if (a->qk_norm < 0 || a->qk_norm > 2) return refuse("PagedAttention: qk_norm must be 0 (none), 1 (before RoPE) or 2 (after)");
  return NULL;
}

static OrtStatus *create(const OrtCustomOp *op, const OrtApi *api, const OrtKernelInfo *info, void **kernel) {
  (void)op, (void)api;
  attributes *a = calloc(1, sizeof *a);
  if (a == NULL) return ls_ort.CreateStatus(LS_FAIL, "out of memory");
  a->layers = 1, a->window = -1, a->epsilon = 1e-6f;
  OrtStatus *s = read_attributes(info, a);
  if (s != NULL) {
    free(a);
    return s;
  }
  *kernel = a;
  return NULL;
}

static void destroy(void *kernel) { free(kernel); }

// The element types of a cache by LS_KV_…: bytes are int8 numbers with their scales (attention_kv.h).
static const ls_type kv_types[LS_KV_KINDS] = {LS_TYPE_FLOAT, LS_TYPE_FLOAT16, LS_TYPE_UINT8};

static int kv_kind(ls_type type) {
  for (int kv = 0; kv < LS_KV_KINDS; kv++)
    if (kv_types[kv] == type) return kv;
  return -1;
}

static int is_cache(size_t i) { return i == IN_KEYS || i == IN_VALUES; }

// One input as the kernel wants it: data, and as many dims as its rank.
typedef struct {
  int kv;       // of a cache
  int present;  // an empty tensor is present and may have no data
  void *data;
  int64_t dims[4];
} input;

static OrtStatus *read_input(const OrtKernelContext *context, int i, input *out) {
  const OrtValue *value = NULL;
  OrtTensorTypeAndShapeInfo *info = NULL;
  ls_type type = 0;
  size_t rank = 0;
  char message[MESSAGE];
  memset(out, 0, sizeof *out);
  OrtStatus *s = ls_ort.KernelContext_GetInput(context, (size_t)i, &value);
  if (s != NULL || value == NULL) return s;
  out->present = 1;
  s = ls_ort.GetTensorTypeAndShape(value, &info);
  if (s != NULL) return s;
  ls_type want = i >= IN_CUMULATIVE && i <= IN_TABLE ? LS_TYPE_INT32 : LS_TYPE_FLOAT;
  s = ls_ort.GetTensorElementType(info, &type);
  if (s == NULL) s = ls_ort.GetDimensionsCount(info, &rank);
  if (s == NULL && is_cache((size_t)i)) {
    out->kv = kv_kind(type);
    if (out->kv >= 0) {
      want = type;
    } else {
      snprintf(message, sizeof message, "PagedAttention: %s has element type %u, must have %u (float32), %u (float16) or %u (uint8: int8 with scales)", input_names[i], type, kv_types[0], kv_types[1], kv_types[2]);
      s = refuse(message);
    }
  }
  if (s == NULL && (type != want || rank != (size_t)input_ranks[i])) {
    snprintf(message, sizeof message, "PagedAttention: %s has element type %u and rank %zu, must have %u and %d", input_names[i], type, rank, want, input_ranks[i]);
    s = refuse(message);
  }
  if (s == NULL) s = ls_ort.GetDimensions(info, out->dims, rank);
  ls_ort.ReleaseTensorTypeAndShapeInfo(info);
  if (s == NULL) s = ls_ort.GetTensorMutableData((OrtValue *)value, &out->data);
  return s;
}

#define MUST(cond, ...)                                   \
  if (!(cond)) {                                          \
    snprintf(message, MESSAGE, "PagedAttention: " __VA_ARGS__); \
    return -1;                                            \
  }

// Checks the tensors' shapes against each other and fills the kernel's arguments. Contents are the kernel's to check.
static int arrange(const attributes *at, const input *in, ls_attention_args *a, char *message) {
  MUST(in[IN_QUERY].present, "query is missing")
  for (int i = IN_KEYS; i <= IN_TABLE; i++) MUST(in[i].present, "%s is missing", input_names[i])
  const int64_t *cache = in[IN_KEYS].dims, hd = cache[3] - (in[IN_KEYS].kv == LS_KV_INT8 ? LS_KV_SCALE : 0);
  *a = (ls_attention_args){
      .rows = in[IN_QUERY].dims[0], .spans = in[IN_PAST].dims[0], .q_heads = at->heads, .kv_heads = at->kv_heads, .head_dim = hd,
      .slabs = cache[0], .page_size = cache[1], .columns = in[IN_TABLE].dims[1], .layer = at->layer, .num_layers = at->layers,
      .q = in[IN_QUERY].data, .kv = in[IN_KEYS].kv, .key_cache = in[IN_KEYS].data, .value_cache = in[IN_VALUES].data, .cumulative = in[IN_CUMULATIVE].data,
      .past = in[IN_PAST].data, .table = in[IN_TABLE].data, .interleaved = (int)at->interleaved, .qk_norm = (int)at->qk_norm,
      .q_norm = in[IN_QNORM].data, .k_norm = in[IN_KNORM].data, .qk_norm_eps = at->epsilon, .softcap = at->softcap, .window = at->window,
  };
  int64_t q_width = at->heads * hd, kv_width = at->kv_heads * hd, width = in[IN_QUERY].dims[1];
  MUST(memcmp(cache, in[IN_VALUES].dims, 4 * sizeof *cache) == 0, "key_cache and value_cache differ in shape")
  MUST(in[IN_KEYS].kv == in[IN_VALUES].kv, "key_cache and value_cache differ in type")
  MUST(cache[2] == at->kv_heads, "the caches have %lld KV heads, kv_num_heads is %lld", (long long)cache[2], (long long)at->kv_heads)
  MUST(in[IN_CUMULATIVE].dims[0] == a->spans + 1, "cumulative_sequence_length has %lld entries for %lld spans", (long long)in[IN_CUMULATIVE].dims[0], (long long)a->spans)
  MUST(in[IN_TABLE].dims[0] == a->spans, "block_table has %lld rows for %lld spans", (long long)in[IN_TABLE].dims[0], (long long)a->spans)
  if (!in[IN_KEY].present && !in[IN_VALUE].present) {
    MUST(width == q_width + 2 * kv_width, "packed query has %lld columns, must have %lld", (long long)width, (long long)(q_width + 2 * kv_width))
    a->k = a->q + q_width, a->v = a->k + kv_width;
    a->q_stride = a->k_stride = a->v_stride = width;
  } else {
    MUST(width == q_width, "query has %lld columns, must have %lld", (long long)width, (long long)q_width)
    for (int i = IN_KEY; i <= IN_VALUE; i++)
      MUST(in[i].dims[0] == a->rows && in[i].dims[1] == kv_width, "%s is [%lld, %lld], must be [%lld, %lld]", input_names[i], (long long)in[i].dims[0], (long long)in[i].dims[1], (long long)a->rows, (long long)kv_width)
    a->k = in[IN_KEY].data, a->v = in[IN_VALUE].data;
    a->q_stride = q_width, a->k_stride = a->v_stride = kv_width;
  }
  if (at->rotary) {
    MUST(in[IN_COS].present && in[IN_SIN].present, "do_rotary needs cos_cache and sin_cache")
    MUST(memcmp(in[IN_COS].dims, in[IN_SIN].dims, 2 * sizeof(int64_t)) == 0, "cos_cache and sin_cache differ in shape")
    MUST(in[IN_COS].dims[0] > 0, "cos_cache is empty")
    a->cos = in[IN_COS].data, a->sin = in[IN_SIN].data;
    a->positions = in[IN_COS].dims[0], a->rotary_dim = 2 * in[IN_COS].dims[1];
  }
  for (int i = IN_QNORM; i <= IN_KNORM; i++) MUST(!in[i].present || in[i].dims[0] == hd, "%s has %lld entries, head_dim is %lld", input_names[i], (long long)in[i].dims[0], (long long)hd)
  a->scale = at->scale;
  if (a->scale == 0) a->scale = 1 / __builtin_sqrtf((float)hd);
  return 0;
}

static void on_pool(void *context, ls_body body, size_t total, void *data) {
  OrtStatus *s = ls_ort.KernelContext_ParallelFor(context, body, total, total, data);
  if (s == NULL) return;
  ls_ort.ReleaseStatus(s);  // refused before it began: the calling thread does all of it, tasks are taken one by one
  body(data, 0);
}

static OrtStatus *compute(void *kernel, OrtKernelContext *context) {
  const attributes *at = kernel;
  input in[INPUTS];
  size_t count = 0;
  char message[MESSAGE];
  ls_attention_args a;
  OrtStatus *s = ls_ort.KernelContext_GetInputCount(context, &count);
  memset(in, 0, sizeof in);
  for (int i = 0; i < INPUTS && s == NULL && (size_t)i < count; i++) s = read_input(context, i, &in[i]);
  if (s != NULL) return s;
  if (arrange(at, in, &a, message) != 0) return refuse(message);
  int64_t shape[2] = {a.rows, a.q_heads * a.head_dim};
  OrtValue *out = NULL;
  s = ls_ort.KernelContext_GetOutput(context, 0, shape, 2, &out);
  if (s == NULL) s = ls_ort.GetTensorMutableData(out, (void **)&a.out);
  if (s != NULL) return s;
  size_t head = (size_t)snprintf(message, sizeof message, "PagedAttention: ");
  if (ls_paged_attention(&a, pool_threads, on_pool, context, message + head, sizeof message - head) != 0) return refuse(message);
  return NULL;
}

static const char *op_name(const OrtCustomOp *op) { return (void)op, "PagedAttention"; }
static const char *op_provider(const OrtCustomOp *op) { return (void)op, NULL; }
static size_t op_inputs(const OrtCustomOp *op) { return (void)op, INPUTS; }
static size_t op_outputs(const OrtCustomOp *op) { return (void)op, 1; }
// Undefined is any type: compute looks which one it is.
static ls_type op_input_type(const OrtCustomOp *op, size_t i) { return (void)op, is_cache(i) ? LS_TYPE_UNDEFINED : i >= IN_CUMULATIVE && i <= IN_TABLE ? LS_TYPE_INT32 : LS_TYPE_FLOAT; }
static ls_type op_output_type(const OrtCustomOp *op, size_t i) { return (void)op, (void)i, LS_TYPE_FLOAT; }
static ls_input_kind op_input_kind(const OrtCustomOp *op, size_t i) { return (void)op, i == IN_KEY || i == IN_VALUE || i >= IN_COS ? LS_OPTIONAL : LS_REQUIRED; }
static ls_input_kind op_output_kind(const OrtCustomOp *op, size_t i) { return (void)op, (void)i, LS_REQUIRED; }
static ls_mem_type op_memory(const OrtCustomOp *op, size_t i) { return (void)op, (void)i, LS_MEM_DEFAULT; }
static int op_none(const OrtCustomOp *op) { return (void)op, 0; }
static int op_version(const OrtCustomOp *op) { return (void)op, 1; }

static ls_custom_op paged_attention = {
    .version = LS_ORT_API_VERSION,
    .GetName = op_name,
    .GetExecutionProviderType = op_provider,
    .GetInputType = op_input_type,
    .GetInputTypeCount = op_inputs,
    .GetOutputType = op_output_type,
    .GetOutputTypeCount = op_outputs,
    .KernelDestroy = destroy,
    .GetInputCharacteristic = op_input_kind,
    .GetOutputCharacteristic = op_output_kind,
    .GetInputMemoryType = op_memory,
    .GetVariadicInputMinArity = op_none,
    .GetVariadicInputHomogeneity = op_none,
    .GetVariadicOutputMinArity = op_none,
    .GetVariadicOutputHomogeneity = op_none,
    .CreateKernelV2 = create,
    .KernelComputeV2 = compute,
    .GetStartVersion = op_version,
    .GetEndVersion = op_version,
};

static OrtCustomOpDomain *domain;  // lives as long as any session may: until the environment goes

OrtStatus *ls_custom_ops(OrtSessionOptions *options) {
  OrtStatus *s = NULL;
  if (domain == NULL) {
    s = ls_ort.CreateCustomOpDomain("loopserve", &domain);
    if (s == NULL) s = ls_ort.CustomOpDomain_Add(domain, (const OrtCustomOp *)&paged_attention);
    if (s != NULL) return s;
  }
  return ls_ort.AddCustomOpDomain(options, domain);
}

void ls_custom_ops_release(void) {
  if (domain != NULL) ls_ort.ReleaseCustomOpDomain(domain);
  domain = NULL;
}
