//go:build cgo

#include "product.h"

#include <stdatomic.h>
#include <string.h>
#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

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
      return ls_product_has(LS_PRODUCT_AVX2) && LS_HAS_512("f") && LS_HAS_512("vl") && LS_HAS_512("bw") &&
             LS_HAS_512("dq") && LS_HAS_512("vnni");
#elif defined(__aarch64__)
    case LS_PRODUCT_NEON:
      return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
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
  static const ls_product_kernels *const tables[LS_PRODUCT_ISAS] = {
    [LS_PRODUCT_PORTABLE] = &ls_product_portable,
#if defined(__x86_64__)
    [LS_PRODUCT_AVX2] = &ls_product_avx2,
    [LS_PRODUCT_AVXVNNI] = &ls_product_avxvnni,
    [LS_PRODUCT_AVX512VNNI] = &ls_product_avx512vnni,
#elif defined(__aarch64__)
    [LS_PRODUCT_NEON] = &ls_product_neon,
#endif
  };
  static atomic_int best = -1;
  int isa = atomic_load(&forced_isa);
  if (isa < 0) isa = atomic_load(&best);
  if (isa < 0) {
    for (isa = LS_PRODUCT_ISAS - 1; !ls_product_has(isa);) isa--;
    atomic_store(&best, isa);
  }
  return tables[isa];
}

static int format_of(int bits, int scale_bits) {
  return bits == 4 && scale_bits == 8 ? LS_BITS_4B : __builtin_ctz((unsigned)bits) - 2;
}

static int64_t blocks_of(int64_t k) { return (k + LS_BLOCK - 1) / LS_BLOCK; }

// Groups of columns; with LS_SWIGLU of one half.
static int64_t groups_of(int64_t n, int activation) {
  if (activation == LS_SWIGLU) n /= 2;
  return (n + LS_GROUP - 1) / LS_GROUP;
}

size_t ls_product_weights(int64_t n, int64_t k, int bits, int scale_bits, int activation) {
  return (size_t)groups_of(n, activation) * (activation == LS_SWIGLU ? 2 : 1) *
         ls_group_bytes(blocks_of(k), format_of(bits, scale_bits));
}

// Of a prepared row.
static size_t row_bytes(const ls_product_args *a) {
  int64_t blocks = blocks_of(a->k);
  return a->bits < 16 ? (size_t)blocks * sizeof(ls_qblock) : (size_t)ls_float_stride(blocks) * sizeof(float);
}

size_t ls_product_scratch(const ls_product_args *a) { return (size_t)a->rows * row_bytes(a); }

// Groups that are multiplied together, a gate with its up; shares that a call is cut into at most: more
// threads than that only help.
enum { PIECE = 4, MOST_SHARES = 64 };

typedef struct {
  _Alignas(64) _Atomic(int64_t) next;  // by itself in its line: its thread takes groups without waiting
  int64_t end;
} share;

typedef struct {
  const ls_product_args *a;
  const ls_product_kernels *kernels;
  int format;
  int64_t tile;
  char *x;
  size_t row_bytes;
  _Atomic(int64_t) next, prepared;  // row to be prepared, rows that are
  size_t shares;
  share share[MOST_SHARES];
} work;

static int64_t tile_rows(const work *w, int64_t first) {
  return w->a->rows - first < w->tile ? w->a->rows - first : w->tile;
}

// Prepares rows until all are, by whichever thread.
static void prepare_some(work *w) {
  int64_t row;
  while ((row = atomic_fetch_add(&w->next, 1)) < w->a->rows) {
    int64_t at = row % w->tile, first = row - at;
    w->kernels->of[w->format].prepare(w->a, row, w->x + (size_t)first * w->row_bytes, at,
                                      tile_rows(w, first));
    atomic_fetch_add_explicit(&w->prepared, 1, memory_order_release);
  }
  for (unsigned i = 0; atomic_load_explicit(&w->prepared, memory_order_acquire) < w->a->rows; i++)
    ls_await(i);
}

// Writes the columns of a group that exist, with what is added to them.
static void finish(const ls_product_args *a, int64_t row, int64_t first, const float *y) {
  int64_t n = a->n - first < LS_GROUP ? a->n - first : LS_GROUP, at = row * a->n + first;
  for (int64_t i = 0; i < n; i++) {
    float sum = a->bias != NULL ? y[i] + a->bias[first + i] : y[i];
    a->out[at + i] = a->residual != NULL ? a->residual[at + i] + sum : sum;
  }
}

// Multiplies `groups` groups of the weights from `first` on with the tile of rows that begins at `row`.
static void multiply_tile(const work *w, int64_t first, int64_t groups, int64_t row) {
  const ls_product_args *a = w->a;
  const int64_t rows = tile_rows(w, row), column = first * LS_GROUP, at = row * a->n + column;
  size_t bytes = ls_group_bytes(blocks_of(a->k), w->format);
  float y[PIECE * LS_MOST_TILE * LS_GROUP];
  ls_product_part part = {
      .w = a->weights + (size_t)first * bytes,
      .next = row > 0 ? NULL : a->weights + (size_t)(first + groups) * bytes,
      .groups = groups,
      .blocks = blocks_of(a->k),
      .rows = rows,
      .x = w->x + (size_t)row * w->row_bytes,
      .to = {.y = y, .group = rows * LS_GROUP, .row = LS_GROUP},
  };
  int direct = a->activation == LS_PLAIN && column + groups * LS_GROUP <= a->n;
  if (direct) {
    part.to = (ls_results){.y = a->out + at,
                           .group = LS_GROUP,
                           .row = a->n,
                           .bias = a->bias != NULL ? a->bias + column : NULL,
                           .residual = a->residual != NULL ? a->residual + at : NULL};
    for (int64_t r = 0; a->residual != NULL && r < rows; r++)
      for (int64_t g = 0; g < groups; g++) __builtin_prefetch(part.to.residual + r * a->n + g * LS_GROUP);
  }
  w->kernels->of[w->format].multiply(&part);
  if (direct) return;
  if (a->activation == LS_PLAIN) {
    for (int64_t g = 0; g < groups; g++)
      for (int64_t r = 0; r < rows; r++)
        finish(a, row + r, column + g * LS_GROUP, y + (g * rows + r) * LS_GROUP);
    return;
  }
  for (int64_t g = 0; g < groups; g += 2) {
    float *gate = y + g * rows * LS_GROUP;
    int64_t width = a->n / 2, column = (first + g) / 2 * LS_GROUP,
            n = width - column < LS_GROUP ? width - column : LS_GROUP;
    if (n == LS_GROUP) {
      w->kernels->swiglu(gate, gate + rows * LS_GROUP, rows, a->out + row * width + column, width);
      continue;
    }
    w->kernels->swiglu(gate, gate + rows * LS_GROUP, rows, gate, LS_GROUP);
    for (int64_t r = 0; r < rows; r++)
      memcpy(a->out + (row + r) * width + column, gate + r * LS_GROUP, (size_t)n * sizeof *gate);
  }
}

// Takes half of what is left of a share, so that it is emptied in a few steps, the last of them small: a step
// waits for all that the core has under way.
static int take(share *s, int64_t *from, int64_t *to) {
  *from = atomic_load_explicit(&s->next, memory_order_relaxed);
  do {
    if (*from >= s->end) return 0;
    int64_t half = (s->end - *from) / 2 / PIECE * PIECE;
    *to = half < PIECE ? *from + PIECE : *from + half;
    if (*to > s->end) *to = s->end;
  } while (!atomic_compare_exchange_weak_explicit(&s->next, from, *to, memory_order_relaxed,
                                                  memory_order_relaxed));
  return 1;
}

// Each thread has the same columns in every call, so that a block's weights, read again with each loop, stay
// in its cache. Who has finished helps the others.
static void multiply_some(void *data, size_t index) {
  work *w = data;
  prepare_some(w);
  for (size_t i = 0; i < w->shares; i++) {
    int64_t group, end;
    while (take(&w->share[(index + i) % w->shares], &group, &end)) {
      for (; group < end; group += PIECE) {
        int64_t groups = end - group < PIECE ? end - group : PIECE;
        for (int64_t row = 0; row < w->a->rows; row += w->tile) multiply_tile(w, group, groups, row);
      }
    }
  }
}

void ls_product(const ls_product_args *a, void *scratch, const ls_pool *pool) {
  if (a->rows == 0) return;
  work w = {.a = a,
            .kernels = kernels(),
            .format = format_of(a->bits, a->scale_bits),
            .x = scratch,
            .row_bytes = row_bytes(a)};
  w.tile = w.kernels->of[w.format].tile;
  int64_t pair = a->activation == LS_SWIGLU ? 2 : 1, groups = groups_of(a->n, a->activation);
  w.shares = pool->threads < MOST_SHARES ? pool->threads : MOST_SHARES;
  for (size_t i = 0; i < w.shares; i++) {
    atomic_init(&w.share[i].next, groups * (int64_t)i / (int64_t)w.shares * pair);
    w.share[i].end = groups * (int64_t)(i + 1) / (int64_t)w.shares * pair;
  }
  double cost = (double)a->rows * (double)a->k * (double)a->n;
  ls_spread(pool, multiply_some, w.shares, cost, &w);
}
