//go:build cgo

// loopserve.PagedAttention as ONNX Runtime sees it: attributes and tensors in, the kernel of attention.h
// called on the session's own thread pool. docs/bundle-format.md is the contract.
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "attention.h"
#include "customop.h"
#include "profile.h"
#include "shim.h"

enum { QUERY, KEY, VALUE, KEYS, VALUES, CUMULATIVE, PAST, TABLE, COS, SIN, Q_NORM, K_NORM, VISIBLE, INPUTS };

static const ls_op_input inputs[INPUTS] = {
    [QUERY] = {"query", LS_REQUIRED, LS_TYPE_FLOAT, 2},
    [KEY] = {"key", LS_OPTIONAL, LS_TYPE_FLOAT, 2},
    [VALUE] = {"value", LS_OPTIONAL, LS_TYPE_FLOAT, 2},
    [KEYS] = {"key_cache", LS_REQUIRED, LS_TYPE_UNDEFINED, 4},
    [VALUES] = {"value_cache", LS_REQUIRED, LS_TYPE_UNDEFINED, 4},
    [CUMULATIVE] = {"cumulative_sequence_length", LS_REQUIRED, LS_TYPE_INT32, 1},
    [PAST] = {"past_seqlens", LS_REQUIRED, LS_TYPE_INT32, 1},
    [TABLE] = {"block_table", LS_REQUIRED, LS_TYPE_INT32, 2},
    [COS] = {"cos_cache", LS_OPTIONAL, LS_TYPE_FLOAT, 2},
    [SIN] = {"sin_cache", LS_OPTIONAL, LS_TYPE_FLOAT, 2},
    [Q_NORM] = {"q_norm_weight", LS_OPTIONAL, LS_TYPE_FLOAT, 1},
    [K_NORM] = {"k_norm_weight", LS_OPTIONAL, LS_TYPE_FLOAT, 1},
    [VISIBLE] = {"visible_seqlens", LS_OPTIONAL, LS_TYPE_INT32, 1},
};

#define REFUSE(...) ls_op_refuse(&ls_paged_attention_op, __VA_ARGS__)

typedef struct {
  int64_t heads, kv_heads, layer, layers, window, rotary, interleaved, qk_norm;
  float scale, softcap, epsilon;
  int on_crew;
} attributes;

static OrtStatus *read_attributes(const OrtKernelInfo *info, attributes *a) {
  const struct {
    const char *name;
    int64_t *to;
  } integers[] = {
      {"num_heads", &a->heads},
      {"kv_num_heads", &a->kv_heads},
      {"layer", &a->layer},
      {"num_layers", &a->layers},
      {"do_rotary", &a->rotary},
      {"rotary_interleaved", &a->interleaved},
      {"local_window_size", &a->window},
      {"qk_norm", &a->qk_norm},
  };
  const struct {
    const char *name;
    float *to;
  } reals[] = {{"scale", &a->scale}, {"softcap", &a->softcap}, {"qk_norm_epsilon", &a->epsilon}};
  const ls_op *op = &ls_paged_attention_op;
  OrtStatus *s = NULL;
  for (size_t i = 0; s == NULL && i < sizeof integers / sizeof *integers; i++)
    s = ls_op_integer(op, info, integers[i].name, integers[i].to);
  for (size_t i = 0; s == NULL && i < sizeof reals / sizeof *reals; i++)
    s = ls_op_float(op, info, reals[i].name, reals[i].to);
  if (s != NULL) return s;
  if (a->heads < 1 || a->kv_heads < 1 || a->heads > LS_MAX_HEADS || a->heads % a->kv_heads)
    return REFUSE("num_heads and kv_num_heads are required, 1 to %d, and kv_num_heads divides num_heads",
                  LS_MAX_HEADS);
  if (a->layers < 1 || a->layers > LS_MAX_LAYERS)
    return REFUSE("num_layers is %" PRId64 ", must be 1 to %d", a->layers, LS_MAX_LAYERS);
  if (a->layer < 0 || a->layer >= a->layers) return REFUSE("layer must be 0 to num_layers - 1");
  if (a->window < -1 || a->window > LS_MAX_WINDOW)
    return REFUSE("local_window_size is %" PRId64 ", must be -1 to %d", a->window, LS_MAX_WINDOW);
  if (a->rotary < 0 || a->rotary > 1 || a->interleaved < 0 || a->interleaved > 1)
    return REFUSE("do_rotary and rotary_interleaved must be 0 or 1");
  if (!isfinite(a->scale) || !isfinite(a->softcap) || !isfinite(a->epsilon) || a->softcap < 0 ||
      a->epsilon < 0)
    return REFUSE("scale, softcap and qk_norm_epsilon must be finite, and the last two not negative");
  if (a->qk_norm < 0 || a->qk_norm > 2)
    return REFUSE("qk_norm must be 0 (none), 1 (before RoPE) or 2 (after)");
  return NULL;
}

static OrtStatus *create(const OrtKernelInfo *info, void **kernel) {
  attributes *a = calloc(1, sizeof *a);
  if (a == NULL) return ls_ort.CreateStatus(LS_FAIL, "out of memory");
  a->layers = 1, a->window = -1, a->epsilon = 1e-6f, a->on_crew = ls_op_on_crew();
  OrtStatus *s = read_attributes(info, a);
  for (size_t i = KEYS; s == NULL && i <= VALUES; i++) s = ls_op_fed(&ls_paged_attention_op, info, i);
  if (s != NULL) {
    free(a);
    return s;
  }
  *kernel = a;
  return NULL;
}

// The element types of a cache by LS_KV_…: bytes are int8 numbers with their scales (attention_kv.h).
static const ls_type kv_types[LS_KV_KINDS] = {LS_TYPE_FLOAT, LS_TYPE_FLOAT16, LS_TYPE_UINT8};

static int kv_kind(ls_type type) {
  for (int kv = 0; kv < LS_KV_KINDS; kv++)
    if (kv_types[kv] == type) return kv;
  return -1;
}

// The tensors' shapes are checked against each other; their contents are the kernel's to check.

static OrtStatus *arrange_caches(const attributes *at, const ls_tensor *in, ls_attention_args *a) {
  for (int i = KEYS; i <= TABLE; i++) {
    if (!in[i].present) return REFUSE("%s is missing", inputs[i].name);
    if (i <= VALUES && kv_kind(in[i].type) < 0)
      return REFUSE(
          "%s has element type %u, must have %u (float32), %u (float16) or %u (uint8: int8 with scales)",
          inputs[i].name, in[i].type, kv_types[0], kv_types[1], kv_types[2]);
  }
  const int64_t *cache = in[KEYS].dims;
  a->kv = kv_kind(in[KEYS].type);
  a->slabs = cache[0], a->page_size = cache[1];
  a->head_dim = cache[3] - (a->kv == LS_KV_INT8 ? LS_KV_SCALE : 0);
  a->spans = in[PAST].dims[0], a->columns = in[TABLE].dims[1];
  a->key_cache = in[KEYS].data, a->value_cache = in[VALUES].data;
  a->cumulative = in[CUMULATIVE].data, a->past = in[PAST].data, a->table = in[TABLE].data;
  a->visible = in[VISIBLE].data;
  if (in[VISIBLE].present && in[VISIBLE].dims[0] != a->spans)
    return REFUSE("visible_seqlens has %" PRId64 " entries for %" PRId64 " spans", in[VISIBLE].dims[0],
                  a->spans);
  if (memcmp(cache, in[VALUES].dims, 4 * sizeof *cache) != 0)
    return REFUSE("key_cache and value_cache differ in shape");
  if (in[KEYS].type != in[VALUES].type) return REFUSE("key_cache and value_cache differ in type");
  if (a->head_dim < 1 || a->head_dim > LS_MAX_HEAD_DIM)
    return REFUSE("head_dim is %" PRId64 ", must be 1..%d", a->head_dim, LS_MAX_HEAD_DIM);
  if (cache[2] != at->kv_heads)
    return REFUSE("the caches have %" PRId64 " KV heads, kv_num_heads is %" PRId64, cache[2], at->kv_heads);
  if (in[CUMULATIVE].dims[0] != a->spans + 1)
    return REFUSE("cumulative_sequence_length has %" PRId64 " entries for %" PRId64 " spans",
                  in[CUMULATIVE].dims[0], a->spans);
  if (in[TABLE].dims[0] != a->spans)
    return REFUSE("block_table has %" PRId64 " rows for %" PRId64 " spans", in[TABLE].dims[0], a->spans);
  return NULL;
}

static OrtStatus *arrange_rows(const attributes *at, const ls_tensor *in, ls_attention_args *a) {
  int64_t q_width = at->heads * a->head_dim, kv_width = at->kv_heads * a->head_dim, width = in[QUERY].dims[1];
  a->rows = in[QUERY].dims[0], a->q = in[QUERY].data;
  if (!in[KEY].present && !in[VALUE].present) {
    if (width != q_width + 2 * kv_width)
      return REFUSE("packed query has %" PRId64 " columns, must have %" PRId64, width,
                    q_width + 2 * kv_width);
    a->k = a->q + q_width, a->v = a->k + kv_width;
    a->q_stride = a->k_stride = a->v_stride = width;
    return NULL;
  }
  if (width != q_width) return REFUSE("query has %" PRId64 " columns, must have %" PRId64, width, q_width);
  for (int i = KEY; i <= VALUE; i++)
    if (in[i].dims[0] != a->rows || in[i].dims[1] != kv_width)
      return REFUSE("%s is [%" PRId64 ", %" PRId64 "], must be [%" PRId64 ", %" PRId64 "]", inputs[i].name,
                    in[i].dims[0], in[i].dims[1], a->rows, kv_width);
  a->k = in[KEY].data, a->v = in[VALUE].data;
  a->q_stride = q_width, a->k_stride = a->v_stride = kv_width;
  return NULL;
}

static OrtStatus *arrange_turn(const attributes *at, const ls_tensor *in, ls_attention_args *a) {
  if (at->rotary) {
    if (!in[COS].present || !in[SIN].present) return REFUSE("do_rotary needs cos_cache and sin_cache");
    if (memcmp(in[COS].dims, in[SIN].dims, 2 * sizeof(int64_t)) != 0)
      return REFUSE("cos_cache and sin_cache differ in shape");
    if (in[COS].dims[0] < 1 || in[COS].dims[1] > LS_MAX_HEAD_DIM)
      return REFUSE("cos_cache is empty, or wider than a head can be");
    a->cos = in[COS].data, a->sin = in[SIN].data;
    a->positions = in[COS].dims[0], a->rotary_dim = 2 * in[COS].dims[1];
  }
  for (int i = Q_NORM; i <= K_NORM; i++)
    if (in[i].present && in[i].dims[0] != a->head_dim)
      return REFUSE("%s has %" PRId64 " entries, head_dim is %" PRId64, inputs[i].name, in[i].dims[0],
                    a->head_dim);
  a->q_norm = in[Q_NORM].data, a->k_norm = in[K_NORM].data;
  return NULL;
}

static OrtStatus *compute(void *kernel, OrtKernelContext *context) {
  const attributes *at = kernel;
  double begun = ls_profile_now();
  ls_tensor in[INPUTS];
  OrtStatus *s = ls_op_read(&ls_paged_attention_op, context, in);
  if (s != NULL) return s;
  if (!in[QUERY].present) return REFUSE("query is missing");
  ls_attention_args a = {
      .q_heads = at->heads,
      .kv_heads = at->kv_heads,
      .layer = at->layer,
      .num_layers = at->layers,
      .interleaved = (int)at->interleaved,
      .qk_norm = (int)at->qk_norm,
      .qk_norm_eps = at->epsilon,
      .scale = at->scale,
      .softcap = at->softcap,
      .window = at->window,
  };
  s = arrange_caches(at, in, &a);
  if (s == NULL) s = arrange_rows(at, in, &a);
  if (s == NULL) s = arrange_turn(at, in, &a);
  if (s == NULL) s = ls_op_output(context, 2, a.rows, a.q_heads * a.head_dim, &a.out);
  if (s != NULL) return s;
  if (a.scale == 0) a.scale = 1 / sqrtf((float)a.head_dim);
  ls_pool pool = ls_op_pool(context, at->on_crew);
  ls_error e;
  begun = ls_profile_add(LS_READING, begun);
  int refused = ls_paged_attention(&a, &pool, &e);
  ls_profile_add(LS_ATTENTION, begun);
  return refused ? REFUSE("%s", e.text) : NULL;
}

ls_op ls_paged_attention_op = {
    .name = "PagedAttention",
    .inputs = inputs,
    .input_count = INPUTS,
    .create = create,
    .compute = compute,
    .destroy = free,
};
