//go:build cgo

#include "customop.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "shim.h"

// Every operator of the domain: a new one is a file that defines it, and a line here.
static ls_op *const ops[] = {&ls_paged_attention_op, &ls_packed_linear_op, &ls_quant_linear_op,
                             &ls_relative_change_op};

static size_t pool_threads = 1;
void ls_custom_ops_threads(size_t n) { pool_threads = n > 0 ? n : 1; }

static const ls_op *of(const OrtCustomOp *op) { return (const ls_op *)op; }

static const char *get_name(const OrtCustomOp *op) { return of(op)->name; }
static const char *get_provider(const OrtCustomOp *op) { return (void)op, NULL; }
static size_t input_count(const OrtCustomOp *op) { return of(op)->input_count; }
static ls_type input_type(const OrtCustomOp *op, size_t i) { return of(op)->inputs[i].type; }
static ls_input_kind input_kind(const OrtCustomOp *op, size_t i) { return of(op)->inputs[i].kind; }
static size_t output_count(const OrtCustomOp *op) { return (void)op, 1; }
static ls_type output_type(const OrtCustomOp *op, size_t i) { return (void)op, (void)i, LS_TYPE_FLOAT; }
static ls_input_kind output_kind(const OrtCustomOp *op, size_t i) { return (void)op, (void)i, LS_REQUIRED; }
static ls_mem_type input_memory(const OrtCustomOp *op, size_t i) { return (void)op, (void)i, LS_MEM_DEFAULT; }
static int no_variadic(const OrtCustomOp *op) { return (void)op, 0; }
static int get_version(const OrtCustomOp *op) { return (void)op, 1; }
static OrtStatus *create(const OrtCustomOp *op, const OrtApi *api, const OrtKernelInfo *info, void **kernel) {
  (void)api;
  return of(op)->create(info, kernel);
}

static void describe(ls_op *op) {
  op->base = (ls_custom_op){
      .version = LS_ORT_API_VERSION,
      .GetName = get_name,
      .GetExecutionProviderType = get_provider,
      .GetInputType = input_type,
      .GetInputTypeCount = input_count,
      .GetOutputType = output_type,
      .GetOutputTypeCount = output_count,
      .KernelDestroy = op->destroy,
      .GetInputCharacteristic = input_kind,
      .GetOutputCharacteristic = output_kind,
      .GetInputMemoryType = input_memory,
      .GetVariadicInputMinArity = no_variadic,
      .GetVariadicInputHomogeneity = no_variadic,
      .GetVariadicOutputMinArity = no_variadic,
      .GetVariadicOutputHomogeneity = no_variadic,
      .CreateKernelV2 = create,
      .KernelComputeV2 = op->compute,
      .GetStartVersion = get_version,
      .GetEndVersion = get_version,
  };
}

// The domain is made with the first session and lives as long as any may: until the environment goes.
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static OrtCustomOpDomain *domain;

static OrtStatus *make_domain(OrtCustomOpDomain **out) {
  OrtCustomOpDomain *d = NULL;
  OrtStatus *s = ls_ort.CreateCustomOpDomain("loopserve", &d);
  for (size_t i = 0; s == NULL && i < sizeof ops / sizeof *ops; i++) {
    describe(ops[i]);
    s = ls_ort.CustomOpDomain_Add(d, (const OrtCustomOp *)ops[i]);
  }
  if (s == NULL) {
    *out = d;
  } else if (d != NULL) {
    ls_ort.ReleaseCustomOpDomain(d);
  }
  return s;
}

OrtStatus *ls_custom_ops(OrtSessionOptions *options) {
  pthread_mutex_lock(&lock);
  OrtStatus *s = domain == NULL ? make_domain(&domain) : NULL;
  if (s == NULL) s = ls_ort.AddCustomOpDomain(options, domain);
  pthread_mutex_unlock(&lock);
  return s;
}

void ls_custom_ops_release(void) {
  pthread_mutex_lock(&lock);
  if (domain != NULL) ls_ort.ReleaseCustomOpDomain(domain);
  domain = NULL;
  pthread_mutex_unlock(&lock);
  ls_packed_linear_release();
}

OrtStatus *ls_op_refuse(const ls_op *op, const char *format, ...) {
  char message[sizeof(ls_error) + 32];
  size_t head = (size_t)snprintf(message, sizeof message, "%s: ", op->name);
  va_list args;
  va_start(args, format);
  vsnprintf(message + head, sizeof message - head, format, args);
  va_end(args);
  return ls_ort.CreateStatus(LS_INVALID_ARGUMENT, message);
}

OrtStatus *ls_op_tensor(const ls_op *op, size_t i, const OrtValue *value, ls_tensor *out) {
  const ls_op_input *want = &op->inputs[i];
  const int64_t *dims = NULL;
  size_t rank = 0;
  out->present = 1;
  OrtStatus *s = ls_ort.GetTensorElementTypeAndShapeDataReference(value, &out->type, &dims, &rank);
  if (s != NULL) return s;
  ls_type type = want->type == LS_TYPE_UNDEFINED ? out->type : want->type;
  if (out->type != type || rank != (size_t)want->rank)
    return ls_op_refuse(op, "%s has element type %u and rank %zu, must have %u and %d", want->name, out->type,
                        rank, type, want->rank);
  memcpy(out->dims, dims, rank * sizeof *dims);
  return ls_ort.GetTensorMutableData((OrtValue *)value, &out->data);
}

OrtStatus *ls_op_read(const ls_op *op, const OrtKernelContext *context, ls_tensor *in) {
  size_t count = 0;
  OrtStatus *s = ls_ort.KernelContext_GetInputCount(context, &count);
  memset(in, 0, op->input_count * sizeof *in);
  for (size_t i = 0; s == NULL && i < op->input_count && i < count; i++) {
    const OrtValue *value = NULL;
    s = ls_ort.KernelContext_GetInput(context, i, &value);
    if (s == NULL && value != NULL) s = ls_op_tensor(op, i, value, &in[i]);
  }
  return s;
}

OrtStatus *ls_op_output(OrtKernelContext *context, size_t rank, int64_t rows, int64_t columns, float **out) {
  int64_t shape[2] = {rows, columns};
  OrtValue *value = NULL;
  OrtStatus *s = ls_ort.KernelContext_GetOutput(context, 0, shape, rank, &value);
  return s != NULL ? s : ls_ort.GetTensorMutableData(value, (void **)out);
}

static void on_pool(void *context, ls_body body, size_t total, void *data) {
  OrtStatus *s = ls_ort.KernelContext_ParallelFor(context, body, total, total, data);
  if (s == NULL) return;
  ls_ort.ReleaseStatus(
      s);  // refused before it began: the calling thread does all of it, tasks are taken one by one
  body(data, 0);
}

static _Thread_local int crewed;
void ls_custom_ops_crew(int on_crew) { crewed = on_crew; }
int ls_op_on_crew(void) { return crewed; }

ls_pool ls_op_pool(OrtKernelContext *context, int on_crew) {
  if (on_crew) return ls_crew(pool_threads);
  return (ls_pool){.threads = pool_threads, .run = on_pool, .context = context};
}

static int failed(OrtStatus *s) {
  if (s == NULL) return 0;
  ls_ort.ReleaseStatus(s);
  return 1;
}

// An attribute that cannot be read as one type and can as the other is a mistake, which a default would hide.
OrtStatus *ls_op_integer(const ls_op *op, const OrtKernelInfo *info, const char *name, int64_t *v) {
  int64_t x;
  float other;
  if (!failed(ls_ort.KernelInfoGetAttribute_int64(info, name, &x))) return *v = x, NULL;
  if (failed(ls_ort.KernelInfoGetAttribute_float(info, name, &other))) return NULL;
  return ls_op_refuse(op, "attribute %s must be an integer", name);
}

OrtStatus *ls_op_float(const ls_op *op, const OrtKernelInfo *info, const char *name, float *v) {
  float x;
  int64_t other;
  if (!failed(ls_ort.KernelInfoGetAttribute_float(info, name, &x))) return *v = x, NULL;
  if (failed(ls_ort.KernelInfoGetAttribute_int64(info, name, &other))) return NULL;
  return ls_op_refuse(op, "attribute %s must be a float", name);
}

OrtStatus *ls_op_fed(const ls_op *op, const OrtKernelInfo *info, size_t i) {
  int constant = 0;
  char name[64] = "";
  size_t size = sizeof name;
  const OrtValue *value = NULL;
  OrtStatus *s = ls_ort.KernelInfoGetConstantInput_tensor(info, i, &constant, &value);
  if (s != NULL) return s;
  if (failed(ls_ort.KernelInfo_GetInputName(info, i, name, &size))) name[0] = 0;  // longer than any of ours
  if (!constant && strcmp(name, op->inputs[i].name) == 0) return NULL;
  return ls_op_refuse(op, "%s must be the graph's input of that name, not %s", op->inputs[i].name,
                      constant ? "a constant" : "another value");
}
