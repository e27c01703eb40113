//go:build cgo

#include "attention.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { PART_FLOATS = 1 << 22 };  // of a call, at most, for the sums of segments that several tasks share

#define ADDRESSES(f32, f16, int8) \
  { &f32, &f16, &int8 }
#define TABLE(kernels) ADDRESSES(kernels)

static const ls_kernels *kernels(int kv) {
  static const ls_kernels *const tables[LS_ISAS][LS_KV_KINDS] = {
    TABLE(LS_KERNELS(portable)),
#if defined(__x86_64__)
    TABLE(LS_KERNELS(avx2)),
    TABLE(LS_KERNELS(avx512)),
#endif
  };
  return tables[ls_isa()][kv];
}

// Whether so many numbers, of 8 bytes at most, can be in memory.
static int fits(int64_t a, int64_t b, int64_t c, int64_t d) {
  int64_t n;
  return !__builtin_mul_overflow(a, b, &n) && !__builtin_mul_overflow(n, c, &n) &&
         !__builtin_mul_overflow(n, d, &n) && n <= INT64_MAX / 8;
}

static int check_shapes(const ls_attention_args *a, ls_error *e) {
  if (a->head_dim < 1 || a->head_dim > LS_MAX_HEAD_DIM)
    return ls_refuse(e, "head_dim is %" PRId64 ", must be 1..%d", a->head_dim, LS_MAX_HEAD_DIM);
  if (a->q_heads < 1 || a->kv_heads < 1 || a->q_heads > LS_MAX_HEADS || a->q_heads % a->kv_heads)
    return ls_refuse(e, "num_heads %" PRId64 " is not a multiple of kv_num_heads %" PRId64 ", or beyond %d",
                     a->q_heads, a->kv_heads, LS_MAX_HEADS);
  if (a->rows < 0 || a->spans < 0 || a->page_size < 1 || a->slabs < 0 || a->columns < 0 || a->positions < 0)
    return ls_refuse(e, "rows, spans, page_size, slabs, columns or positions is negative");
  if (a->rows > INT32_MAX || a->spans > INT32_MAX || a->page_size > LS_MAX_PAGE || a->window > LS_MAX_WINDOW)
    return ls_refuse(
        e, "%" PRId64 " rows, %" PRId64 " spans, page_size %" PRId64 " or window %" PRId64 " is too large",
        a->rows, a->spans, a->page_size, a->window);
  if (!fits(a->slabs, a->page_size, a->kv_heads, a->head_dim + LS_KV_SCALE) ||
      !fits(a->spans + 1, a->columns, 1, 1) || !fits(a->positions, a->rotary_dim, 1, 1) ||
      !fits(a->rows, a->q_stride + 1, 1, 1) || !fits(a->rows, a->k_stride + 1, 1, 1) ||
      !fits(a->rows, a->v_stride + 1, 1, 1))
    return ls_refuse(e, "the caches, block_table, RoPE tables or rows are larger than memory can be");
  if (a->kv < 0 || a->kv >= LS_KV_KINDS)
    return ls_refuse(e, "the caches are of kind %d, must be 0..%d", a->kv, LS_KV_KINDS - 1);
  if (a->num_layers < 1 || a->num_layers > LS_MAX_LAYERS || a->slabs % a->num_layers)
    return ls_refuse(
        e, "num_layers is %" PRId64 ", must be 1..%d and divide the %" PRId64 " slabs of the caches",
        a->num_layers, LS_MAX_LAYERS, a->slabs);
  if (a->layer < 0 || a->layer >= a->num_layers)
    return ls_refuse(e, "layer is %" PRId64 ", must be 0..%" PRId64, a->layer, a->num_layers - 1);
  if (a->cos && (a->rotary_dim < 2 || a->rotary_dim % 2 || a->rotary_dim > a->head_dim))
    return ls_refuse(e, "rotary_dim is %" PRId64 ", must be even and at most head_dim %" PRId64,
                     a->rotary_dim, a->head_dim);
  if (a->visible && a->window > 0)
    return ls_refuse(e, "visible_seqlens and a local_window_size of %" PRId64 " exclude each other",
                     a->window);
  if (a->qk_norm < 0 || a->qk_norm > 2) return ls_refuse(e, "qk_norm is %d, must be 0..2", a->qk_norm);
  return 0;
}

static int check_spans(const ls_attention_args *a, ls_error *e) {
  if (a->cumulative[0] != 0)
    return ls_refuse(e, "cumulative_sequence_length[0] is %d, must be 0", a->cumulative[0]);
  for (int64_t s = 0; s < a->spans; s++) {
    int64_t rows = (int64_t)a->cumulative[s + 1] - a->cumulative[s], past = a->past[s], end = past + rows;
    if (rows < 0 || a->cumulative[s + 1] > a->rows)
      return ls_refuse(e, "cumulative_sequence_length[%" PRId64 "] is %d, must be %d..%" PRId64, s + 1,
                       a->cumulative[s + 1], a->cumulative[s], a->rows);
    if (past < 0)
      return ls_refuse(e, "past_seqlens[%" PRId64 "] is %" PRId64 ", must not be negative", s, past);
    if (rows == 0) continue;
    if (a->cos && end > a->positions)
      return ls_refuse(e, "span %" PRId64 " reaches position %" PRId64 ", the RoPE table ends at %" PRId64, s,
                       end - 1, a->positions - 1);
    int64_t keys = ls_sees(a, s, end - 1), pages = (keys + a->page_size - 1) / a->page_size, page = 0;
    if (pages > a->columns)
      return ls_refuse(e, "span %" PRId64 " needs %" PRId64 " pages, block_table has %" PRId64 " columns", s,
                       pages, a->columns);
    if (a->window > 0 && past - a->window + 1 > 0)
      page = (past - a->window + 1) / a->page_size;  // older pages may be gone
    for (; page < pages; page++) {
      int64_t p = a->table[s * a->columns + page];
      if (p < 0 || p * a->num_layers + a->layer >= a->slabs)
        return ls_refuse(
            e, "block_table[%" PRId64 ",%" PRId64 "] is %" PRId64 ", the arena has %" PRId64 " pages", s,
            page, p, (a->slabs / a->num_layers));
    }
  }
  if (a->cumulative[a->spans] != a->rows)
    return ls_refuse(e, "cumulative_sequence_length ends at %d, there are %" PRId64 " rows",
                     a->cumulative[a->spans], a->rows);
  return 0;
}

// The work of a call: tasks are taken one by one, for lengths differ too much for fixed shares.
typedef struct {
  ls_plan plan;
  _Atomic(int64_t) next_row, prepared;
  atomic_size_t next;
  size_t threads;
  float *parts;
} work;

// Prepares rows until all are, by whichever thread.
static void prepare_some(work *w) {
  const ls_attention_args *a = w->plan.a;
  const int64_t chunk = a->rows < 64 ? 1 : 8;
  for (;;) {
    int64_t from = atomic_fetch_add(&w->next_row, chunk);
    int64_t to = from + chunk < a->rows ? from + chunk : a->rows;
    if (from >= a->rows) break;
    int64_t lo = 0, hi = a->spans - 1;  // to the last span that begins at or before `from`
    while (lo < hi) {
      int64_t mid = (lo + hi + 1) / 2;
      if (a->cumulative[mid] <= from) {
        lo = mid;
      } else {
        hi = mid - 1;
      }
    }
    for (int64_t r = from; r < to; r++) {
      while (r >= a->cumulative[lo + 1]) lo++;
      w->plan.k->prepare(a, lo, r);
    }
    atomic_fetch_add_explicit(&w->prepared, to - from, memory_order_release);
  }
  for (unsigned i = 0; atomic_load_explicit(&w->prepared, memory_order_acquire) < a->rows; i++) ls_await(i);
}

// Where a thread is in the tasks; its numbers only grow.
typedef struct {
  int64_t span, before, used, base;  // tasks and floats of parts before the span
  ls_cut cut;
} place;

// Takes the next task; 0: there is none.
static int take_task(work *w, place *at, ls_task *t) {
  int64_t n = (int64_t)atomic_fetch_add(&w->next, 1);
  if (n >= (int64_t)w->plan.tasks) return 0;
  while (n >= at->before + at->cut.runs * at->cut.chunks * at->cut.parts) {
    at->before += at->cut.runs * at->cut.chunks * at->cut.parts;
    at->base = at->used;
    at->cut = ls_plan_span(&w->plan, ++at->span, &at->used);
  }
  *t = ls_plan_task(&w->plan, &at->cut, at->span, n - at->before, w->parts + at->base);
  return 1;
}

// While many are left a thread takes two, so that the first one's end asks for the second one's beginning.
static void attend_some(void *data, size_t unused) {
  (void)unused;
  work *w = data;
  prepare_some(w);
  place at = {.span = 0};
  at.cut = ls_plan_span(&w->plan, 0, &at.used);
  ls_task t, then;
  for (int more = take_task(w, &at, &t); more;) {
    int two = atomic_load(&w->next) + 2 * w->threads < w->plan.tasks && take_task(w, &at, &then);
    t.then = two ? &then : NULL;
    w->plan.k->attend(&t);
    if (two) {
      t = then;
    } else {
      more = take_task(w, &at, &t);
    }
  }
}

int ls_paged_attention(const ls_attention_args *a, const ls_pool *pool, ls_error *e) {
  if (check_shapes(a, e) || check_spans(a, e)) return -1;
  if (a->rows == 0) return 0;
  double width = (double)(a->q_heads + 2 * a->kv_heads) * (double)a->head_dim;
  work w = {.plan = ls_plan_call(a, kernels(a->kv), pool->threads, PART_FLOATS), .threads = pool->threads};
  if (w.plan.parts > 0) w.parts = malloc((size_t)w.plan.parts * sizeof *w.parts);
  if (w.plan.parts > 0 && w.parts == NULL)
    w.plan = ls_plan_call(a, w.plan.k, pool->threads, 0);  // slower, and the same
  size_t tasks = w.plan.tasks > (size_t)a->rows ? w.plan.tasks : (size_t)a->rows;
  ls_spread(pool, attend_some, tasks, w.plan.cost + (double)a->rows * width * 10, &w);
  ls_join_parts(&w.plan, w.parts);
  free(w.parts);
  return 0;
}
