//go:build cgo

// loopserve.RelativeChange: ‖after − before‖ / ‖after‖ of each row, how far a loop has moved a state. As
// nodes of ONNX it is five, which one thread runs. docs/bundle-format.md is the contract.
#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "customop.h"
#include "shim.h"

enum { BEFORE, AFTER, INPUTS };

static const ls_op_input inputs[INPUTS] = {
    [BEFORE] = {"before", LS_REQUIRED, LS_TYPE_FLOAT, 2},
    [AFTER] = {"after", LS_REQUIRED, LS_TYPE_FLOAT, 2},
};

typedef struct {
  int64_t rows, width;
  const float *before, *after;
  float *out;
  _Atomic(int64_t) next;
} change;

// Squares go to LANES sums, which are added in order: the same for a row in any company.
enum { LANES = 16, QUADS = LANES / 4 };
typedef float quad __attribute__((vector_size(16)));

static float root(const quad *sums) {
  float total = 0;
  for (int i = 0; i < LANES; i++) total += sums[i / 4][i % 4];
  return sqrtf(total);
}

static float of_row(const float *before, const float *after, int64_t width) {
  quad moved[QUADS] = {{0}}, size[QUADS] = {{0}};
  for (int64_t i = 0; i < width; i += LANES) {
    quad x[QUADS] = {{0}}, y[QUADS] = {{0}};
    size_t bytes = (size_t)(width - i < LANES ? width - i : LANES) * sizeof(float);
    if (bytes == sizeof x) {
      memcpy(x, before + i, sizeof x), memcpy(y, after + i, sizeof y);
    } else {
      memcpy(x, before + i, bytes), memcpy(y, after + i, bytes);
    }
    for (int j = 0; j < QUADS; j++) moved[j] += (y[j] - x[j]) * (y[j] - x[j]), size[j] += y[j] * y[j];
  }
  return root(moved) / fmaxf(root(size), 1e-30f);  // a state of zeros divides by something
}

static void some_rows(void *data, size_t index) {
  (void)index;
  change *c = data;
  for (int64_t r; (r = atomic_fetch_add(&c->next, 1)) < c->rows;)
    c->out[r] = of_row(c->before + r * c->width, c->after + r * c->width, c->width);
}

typedef struct {
  int on_crew;
} attributes;

static OrtStatus *create(const OrtKernelInfo *info, void **kernel) {
  (void)info;
  attributes *a = calloc(1, sizeof *a);
  if (a == NULL) return ls_ort.CreateStatus(LS_FAIL, "out of memory");
  a->on_crew = ls_op_on_crew();
  *kernel = a;
  return NULL;
}

static OrtStatus *compute(void *kernel, OrtKernelContext *context) {
  ls_tensor in[INPUTS];
  OrtStatus *s = ls_op_read(&ls_relative_change_op, context, in);
  if (s != NULL) return s;
  if (memcmp(in[BEFORE].dims, in[AFTER].dims, 2 * sizeof(int64_t)) != 0)
    return ls_op_refuse(&ls_relative_change_op,
                        "before is [%" PRId64 ", %" PRId64 "], after is [%" PRId64 ", %" PRId64
                        "], must be of one shape",
                        in[BEFORE].dims[0], in[BEFORE].dims[1], in[AFTER].dims[0], in[AFTER].dims[1]);
  change c = {
      .rows = in[AFTER].dims[0],
      .width = in[AFTER].dims[1],
      .before = in[BEFORE].data,
      .after = in[AFTER].data,
  };
  s = ls_op_output(context, 1, c.rows, 0, &c.out);
  if (s != NULL) return s;
  ls_pool pool = ls_op_pool(context, ((const attributes *)kernel)->on_crew);
  ls_spread(&pool, some_rows, (size_t)c.rows, (double)c.rows * (double)c.width * 4, &c);
  return NULL;
}

ls_op ls_relative_change_op = {
    .name = "RelativeChange",
    .inputs = inputs,
    .input_count = INPUTS,
    .create = create,
    .compute = compute,
    .destroy = free,
};
