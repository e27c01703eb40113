//go:build cgo

// loopserve.PackedLinear as ONNX Runtime sees it: attributes and tensors in, the kernel of product.h called
// on the session's own thread pool. docs/bundle-format.md is the contract.
#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "customop.h"
#include "product.h"
#include "profile.h"
#include "shim.h"

enum { X, WEIGHTS, GAIN, BIAS, RESIDUAL, INPUTS };
enum {
  MOST_K = 1 << 24,
  MOST_N = 1 << 28
};  // far beyond any model, and no product of the two leaves 64 bits

static const ls_op_input inputs[INPUTS] = {
    [X] = {"x", LS_REQUIRED, LS_TYPE_FLOAT, 2},
    [WEIGHTS] = {"weights", LS_REQUIRED, LS_TYPE_UINT8, 1},
    [GAIN] = {"gain", LS_OPTIONAL, LS_TYPE_FLOAT, 1},
    [BIAS] = {"bias", LS_OPTIONAL, LS_TYPE_FLOAT, 1},
    [RESIDUAL] = {"residual", LS_OPTIONAL, LS_TYPE_FLOAT, 2},
};

#define REFUSE(...) ls_op_refuse(&ls_packed_linear_op, __VA_ARGS__)

typedef struct {
  int64_t k, n, bits, scale_bits, activation;
  float weight_scale, epsilon;
  int on_crew;
} attributes;

static OrtStatus *read_attributes(const OrtKernelInfo *info, attributes *a) {
  const ls_op *op = &ls_packed_linear_op;
  OrtStatus *s = ls_op_integer(op, info, "K", &a->k);
  if (s == NULL) s = ls_op_integer(op, info, "N", &a->n);
  if (s == NULL) s = ls_op_integer(op, info, "bits", &a->bits);
  if (s == NULL) s = ls_op_integer(op, info, "scale_bits", &a->scale_bits);
  if (s == NULL) s = ls_op_integer(op, info, "activation", &a->activation);
  if (s == NULL) s = ls_op_float(op, info, "weight_scale", &a->weight_scale);
  if (s == NULL) s = ls_op_float(op, info, "epsilon", &a->epsilon);
  if (s != NULL) return s;
  if (a->k < 1 || a->k > MOST_K) return REFUSE("K is %" PRId64 ", must be 1 to %d", a->k, MOST_K);
  if (a->n < 1 || a->n > MOST_N) return REFUSE("N is %" PRId64 ", must be 1 to %d", a->n, MOST_N);
  if (a->bits != 4 && a->bits != 8 && a->bits != 16 && a->bits != 32)
    return REFUSE("bits is %" PRId64 ", must be 4, 8, 16 or 32", a->bits);
  if (a->scale_bits != 16 && (a->scale_bits != 8 || a->bits != 4))
    return REFUSE("scale_bits is %" PRId64 ", must be 16, or 8 with 4 bits", a->scale_bits);
  if (a->activation != LS_PLAIN && a->activation != LS_SWIGLU)
    return REFUSE("activation is %" PRId64 ", must be 0 (none) or 1 (SwiGLU)", a->activation);
  if (a->activation == LS_SWIGLU && a->n % 2 != 0)
    return REFUSE("N is %" PRId64 ", must be even with SwiGLU", a->n);
  if (!isfinite(a->weight_scale) || !isfinite(a->epsilon) || a->epsilon < 0)
    return REFUSE("weight_scale and epsilon must be finite, and epsilon not negative");
  return NULL;
}

static OrtStatus *check_weights(const attributes *a, int64_t bytes) {
  int64_t want =
      (int64_t)ls_product_weights(a->n, a->k, (int)a->bits, (int)a->scale_bits, (int)a->activation);
  if (bytes == want) return NULL;
  return REFUSE("weights have %" PRId64 " bytes, [%" PRId64 ", %" PRId64 "] in %" PRId64
                " bits with scales of %" PRId64 " takes %" PRId64,
                bytes, a->n, a->k, a->bits, a->scale_bits, want);
}

// Weights that are an initializer are known before the first call.
static OrtStatus *check_initializer(const OrtKernelInfo *info, const attributes *a) {
  int constant = 0;
  const OrtValue *value = NULL;
  OrtStatus *s = ls_ort.KernelInfoGetConstantInput_tensor(info, WEIGHTS, &constant, &value);
  if (s != NULL || !constant) return s;
  ls_tensor t = {.present = 0};
  s = ls_op_tensor(&ls_packed_linear_op, WEIGHTS, value, &t);
  return s != NULL ? s : check_weights(a, t.dims[0]);
}

static OrtStatus *create(const OrtKernelInfo *info, void **kernel) {
  attributes *a = calloc(1, sizeof *a);
  if (a == NULL) return ls_ort.CreateStatus(LS_FAIL, "out of memory");
  a->scale_bits = 16, a->weight_scale = 1, a->epsilon = 1e-6f, a->on_crew = ls_op_on_crew();
  OrtStatus *s = read_attributes(info, a);
  if (s == NULL) s = check_initializer(info, a);
  if (s != NULL) {
    free(a);
    return s;
  }
  *kernel = a;
  return NULL;
}

// Checks the tensors against the attributes and fills the kernel's arguments.
static OrtStatus *arrange(const attributes *at, const ls_tensor *in, ls_product_args *a) {
  if (!in[X].present || !in[WEIGHTS].present) return REFUSE("%s is missing", in[X].present ? "weights" : "x");
  int64_t rows = in[X].dims[0];
  if (rows > INT32_MAX) return REFUSE("x has %" PRId64 " rows, at most %d", rows, INT32_MAX);
  if (in[X].dims[1] != at->k) return REFUSE("x has %" PRId64 " columns, K is %" PRId64, in[X].dims[1], at->k);
  OrtStatus *wrong = check_weights(at, in[WEIGHTS].dims[0]);
  if (wrong != NULL) return wrong;
  if (in[GAIN].present && in[GAIN].dims[0] != at->k)
    return REFUSE("gain has %" PRId64 " entries, K is %" PRId64, in[GAIN].dims[0], at->k);
  if (at->activation == LS_SWIGLU && (in[BIAS].present || in[RESIDUAL].present))
    return REFUSE("SwiGLU takes neither bias nor residual");
  if (in[BIAS].present && in[BIAS].dims[0] != at->n)
    return REFUSE("bias has %" PRId64 " entries, N is %" PRId64, in[BIAS].dims[0], at->n);
  if (in[RESIDUAL].present && (in[RESIDUAL].dims[0] != rows || in[RESIDUAL].dims[1] != at->n))
    return REFUSE("residual is [%" PRId64 ", %" PRId64 "], must be [%" PRId64 ", %" PRId64 "]",
                  in[RESIDUAL].dims[0], in[RESIDUAL].dims[1], rows, at->n);
  *a = (ls_product_args){
      .rows = rows,
      .k = at->k,
      .n = at->n,
      .bits = (int)at->bits,
      .scale_bits = (int)at->scale_bits,
      .activation = (int)at->activation,
      .weight_scale = at->weight_scale,
      .epsilon = at->epsilon,
      .x = in[X].data,
      .gain = in[GAIN].data,
      .weights = in[WEIGHTS].data,
      .bias = in[BIAS].data,
      .residual = in[RESIDUAL].data,
  };
  return NULL;
}

// The prepared rows of a call. One buffer waits for the next call, whichever product that is: products of a
// session follow each other. A second call at the same time makes its own, and the larger one stays.
typedef struct {
  size_t bytes;
  _Alignas(64) char data[];
} scratch;
static _Atomic(scratch *) spare;

static scratch *take_scratch(size_t bytes) {
  scratch *s = atomic_exchange(&spare, NULL);
  if (s != NULL && s->bytes >= bytes) return s;
  free(s);
  size_t whole = (sizeof(scratch) + bytes + bytes / 4 + 63) / 64 * 64;
  s = aligned_alloc(64, whole);
  if (s != NULL) s->bytes = whole - sizeof(scratch);
  return s;
}

static void give_scratch(scratch *s) {
  scratch *other = atomic_exchange(&spare, s);
  if (other != NULL && other->bytes > s->bytes) other = atomic_exchange(&spare, other);
  free(other);
}

void ls_packed_linear_release(void) { free(atomic_exchange(&spare, NULL)); }

static OrtStatus *compute(void *kernel, OrtKernelContext *context) {
  const attributes *at = kernel;
  double begun = ls_profile_now();
  ls_tensor in[INPUTS];
  ls_product_args a;
  OrtStatus *s = ls_op_read(&ls_packed_linear_op, context, in);
  if (s == NULL) s = arrange(at, in, &a);
  if (s == NULL) s = ls_op_output(context, 2, a.rows, a.activation == LS_SWIGLU ? a.n / 2 : a.n, &a.out);
  if (s != NULL) return s;
  scratch *rows = take_scratch(ls_product_scratch(&a));
  if (rows == NULL) return ls_ort.CreateStatus(LS_FAIL, "PackedLinear: out of memory");
  ls_pool pool = ls_op_pool(context, at->on_crew);
  begun = ls_profile_add(LS_READING, begun);
  ls_product(&a, rows->data, &pool);
  ls_profile_add(LS_PRODUCTS, begun);
  give_scratch(rows);
  return NULL;
}

// The second name is that of bundles from when there were only weights of 4 and 8 bits.
#define PACKED_LINEAR(called)                                                                      \
  {                                                                                                \
    .name = called, .inputs = inputs, .input_count = INPUTS, .create = create, .compute = compute, \
    .destroy = free,                                                                               \
  }
ls_op ls_packed_linear_op = PACKED_LINEAR("PackedLinear"), ls_quant_linear_op = PACKED_LINEAR("QuantLinear");
