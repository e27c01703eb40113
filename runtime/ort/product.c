//go:build cgo

#include "product.h"

#include <stdatomic.h>
#include <string.h>

static atomic_int forced_isa = -1;

int ls_product_has(int isa) {
  switch (isa) {
    case LS_PRODUCT_PORTABLE:
      return 1;
#if defined(__x86_64__)
    case LS_PRODUCT_AVX2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
             __builtin_cpu_supports("f16c");
    case LS_PRODUCT_AVXVNNI:
      return ls_product_has(LS_PRODUCT_AVX2) && __builtin_cpu_supports("avxvnni");
    case LS_PRODUCT_AVX512VNNI:
      return ls_product_has(LS_PRODUCT_AVX2) && __builtin_cpu_supports("avx512f") &&
             __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni");
#endif
    default:
      return 0;
  }
}

int ls_product_force_isa(int isa) {
  if (isa >= 0 && !ls_product_has(isa)) return -1;
  atomic_store(&forced_isa, isa);
  return 0;
}

static const ls_product_kernels *kernels(void) {
  static const ls_product_kernels *const tables[] = {
    &ls_product_portable,
#if defined(__x86_64__)
    &ls_product_avx2,
    &ls_product_avxvnni,
    &ls_product_avx512vnni,
#endif
  };
  static atomic_int best = -1;
  int isa = atomic_load(&forced_isa);
  if (isa < 0) isa = atomic_load(&best);
  if (isa < 0) {
    for (isa = (int)(sizeof tables / sizeof *tables) - 1; !ls_product_has(isa);) isa--;
    atomic_store(&best, isa);
  }
  return tables[isa];
}

static int64_t blocks_of(int64_t k) { return (k + LS_BLOCK - 1) / LS_BLOCK; }

// Groups of columns; with LS_SWIGLU of one half.
static int64_t groups_of(int64_t n, int activation) {
  if (activation == LS_SWIGLU) n /= 2;
  return (n + LS_GROUP - 1) / LS_GROUP;
}

static size_t group_bytes(int64_t k, int bits) {
  return (size_t)blocks_of(k) * (bits == 4 ? LS_BLOCK_BYTES_4 : LS_BLOCK_BYTES_8);
}

size_t ls_product_weights(int64_t n, int64_t k, int bits, int activation) {
  return (size_t)groups_of(n, activation) * (activation == LS_SWIGLU ? 2 : 1) * group_bytes(k, bits);
}

size_t ls_product_scratch(const ls_product_args *a) {
  return (size_t)a->rows * (size_t)blocks_of(a->k) * sizeof(ls_qblock);
}

// Rows that are multiplied with a group before the next one comes: their inputs stay in L2 meanwhile.
enum { ROWS_BYTES = 192 << 10, MOST_TILE = 8 };

typedef struct {
  const ls_product_args *a;
  const ls_product_kernels *kernels;
  ls_qblock *x;
  int64_t blocks, groups;  // of k, of the columns of out
  int64_t piece;           // groups of one task
  atomic_size_t next;
} work;

static void quantize_some(void *data, size_t unused) {
  (void)unused;
  work *w = data;
  for (;;) {
    int64_t row = (int64_t)atomic_fetch_add(&w->next, 1);
    if (row >= w->a->rows) return;
    w->kernels->quantize(w->a, row, w->x + row * w->blocks);
  }
}

// Writes the columns of a group that exist, with what is added to them.
static void finish(const ls_product_args *a, int64_t row, int64_t first, const float *y) {
  int64_t n = a->n - first < LS_GROUP ? a->n - first : LS_GROUP;
  float *out = a->out + row * a->n + first;
  if (a->bias != NULL && a->residual != NULL) {
    const float *residual = a->residual + row * a->n + first;
    for (int64_t i = 0; i < n; i++) out[i] = residual[i] + (y[i] + a->bias[first + i]);
  } else if (a->bias != NULL) {
    for (int64_t i = 0; i < n; i++) out[i] = y[i] + a->bias[first + i];
  } else if (a->residual != NULL) {
    const float *residual = a->residual + row * a->n + first;
    for (int64_t i = 0; i < n; i++) out[i] = residual[i] + y[i];
  } else {
    memcpy(out, y, (size_t)n * sizeof *out);
  }
}

static void multiply_group(const work *w, int64_t group, int64_t from, int64_t to) {
  const ls_product_args *a = w->a;
  size_t bytes = group_bytes(a->k, a->bits);
  void (*run)(const uint8_t *, const ls_qblock *, int64_t, int64_t, float *) =
      a->bits == 4 ? w->kernels->group4 : w->kernels->group8;
  float y[MOST_TILE * LS_GROUP], up[MOST_TILE * LS_GROUP];
  for (int64_t row = from; row < to; row += w->kernels->tile) {
    int64_t rows = to - row < w->kernels->tile ? to - row : w->kernels->tile;
    const ls_qblock *x = w->x + row * w->blocks;
    if (a->activation == LS_PLAIN) {
      run(a->weights + (size_t)group * bytes, x, w->blocks, rows, y);
      for (int64_t r = 0; r < rows; r++) finish(a, row + r, group * LS_GROUP, y + r * LS_GROUP);
      continue;
    }
    run(a->weights + (size_t)(2 * group) * bytes, x, w->blocks, rows, y);
    run(a->weights + (size_t)(2 * group + 1) * bytes, x, w->blocks, rows, up);
    int64_t width = a->n / 2, first = group * LS_GROUP,
            n = width - first < LS_GROUP ? width - first : LS_GROUP;
    w->kernels->swiglu(y, up, y, rows * LS_GROUP);
    for (int64_t r = 0; r < rows; r++)
      memcpy(a->out + (row + r) * width + first, y + r * LS_GROUP, (size_t)n * sizeof *y);
  }
}

static void multiply_some(void *data, size_t unused) {
  (void)unused;
  work *w = data;
  int64_t rows = ROWS_BYTES / (w->blocks * (int64_t)sizeof(ls_qblock)) / MOST_TILE * MOST_TILE;
  if (rows < MOST_TILE) rows = MOST_TILE;
  for (;;) {
    int64_t from = (int64_t)atomic_fetch_add(&w->next, 1) * w->piece;
    int64_t to = from + w->piece < w->groups ? from + w->piece : w->groups;
    if (from >= w->groups) return;
    for (int64_t row = 0; row < w->a->rows; row += rows)
      for (int64_t g = from; g < to; g++)
        multiply_group(w, g, row, row + rows < w->a->rows ? row + rows : w->a->rows);
  }
}

void ls_product(const ls_product_args *a, void *scratch, const ls_pool *pool) {
  if (a->rows == 0) return;
  work w = {.a = a, .kernels = kernels(), .x = scratch, .blocks = blocks_of(a->k)};
  // A number is quantized in the time of about 16 multiplications.
  ls_spread(pool, quantize_some, (size_t)a->rows, (double)a->rows * (double)a->k * 16, &w);
  w.groups = groups_of(a->n, a->activation);
  // Pieces are small enough to end together, and large enough to be read as a stream.
  w.piece = w.groups / (int64_t)(pool->threads * 6);
  if (w.piece < 1) w.piece = 1;
  atomic_store(&w.next, 0);
  double cost = (double)a->rows * (double)a->k * (double)a->n;
  ls_spread(pool, multiply_some, (size_t)((w.groups + w.piece - 1) / w.piece), cost, &w);
}
