//go:build cgo

#include "attention.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { TILE = 16 };  // query vectors that share one pass over the keys: rows × heads of a group

static atomic_int forced_isa = -1;

int ls_attention_isa(void) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) return LS_ISA_AVX512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return LS_ISA_AVX2;
#endif
  return LS_ISA_PORTABLE;
}

int ls_attention_force_isa(int isa) {
  if (isa > ls_attention_isa()) return -1;
  atomic_store(&forced_isa, isa);
  return 0;
}

static const ls_kernels *kernels(void) {
  int isa = atomic_load(&forced_isa);
  if (isa < 0) isa = ls_attention_isa();
#if defined(__x86_64__)
  if (isa == LS_ISA_AVX512) return &ls_kernels_avx512;
  if (isa == LS_ISA_AVX2) return &ls_kernels_avx2;
#endif
  return &ls_kernels_portable;
}

#define REFUSE(...) return snprintf(err, err_size, __VA_ARGS__), -1

static int check_shapes(const ls_attention_args *a, char *err, size_t err_size) {
  if (a->head_dim < 1 || a->head_dim > LS_MAX_HEAD_DIM) REFUSE("head_dim is %lld, must be 1..%d", (long long)a->head_dim, LS_MAX_HEAD_DIM);
  if (a->q_heads < 1 || a->kv_heads < 1 || a->q_heads % a->kv_heads) REFUSE("num_heads %lld is not a multiple of kv_num_heads %lld", (long long)a->q_heads, (long long)a->kv_heads);
  if (a->rows < 0 || a->spans < 0 || a->page_size < 1 || a->slabs < 0 || a->columns < 0) REFUSE("rows, spans, page_size, slabs or columns is negative");
  if (a->num_layers < 1 || a->layer < 0 || a->layer >= a->num_layers) REFUSE("layer is %lld, must be 0..%lld", (long long)a->layer, (long long)a->num_layers - 1);
  if (a->cos && (a->rotary_dim < 2 || a->rotary_dim % 2 || a->rotary_dim > a->head_dim)) REFUSE("rotary_dim is %lld, must be even and at most head_dim %lld", (long long)a->rotary_dim, (long long)a->head_dim);
  return 0;
}

static int check_spans(const ls_attention_args *a, char *err, size_t err_size) {
  if (a->cumulative[0] != 0) REFUSE("cumulative_sequence_length[0] is %d, must be 0", a->cumulative[0]);
  for (int64_t s = 0; s < a->spans; s++) {
    int64_t rows = (int64_t)a->cumulative[s + 1] - a->cumulative[s], past = a->past[s], end = past + rows;
    if (rows < 0 || a->cumulative[s + 1] > a->rows) REFUSE("cumulative_sequence_length[%lld] is %d, must be %d..%lld", (long long)s + 1, a->cumulative[s + 1], a->cumulative[s], (long long)a->rows);
    if (past < 0) REFUSE("past_seqlens[%lld] is %lld, must not be negative", (long long)s, (long long)past);
    if (rows == 0) continue;
    if (a->cos && end > a->positions) REFUSE("span %lld reaches position %lld, the RoPE table ends at %lld", (long long)s, (long long)end - 1, (long long)a->positions - 1);
    int64_t pages = (end + a->page_size - 1) / a->page_size, page = 0;
    if (pages > a->columns) REFUSE("span %lld needs %lld pages, block_table has %lld columns", (long long)s, (long long)pages, (long long)a->columns);
    if (a->window > 0 && past - a->window + 1 > 0) page = (past - a->window + 1) / a->page_size;  // older pages may be gone
    for (; page < pages; page++) {
      int64_t p = a->table[s * a->columns + page];
      if (p < 0 || p * a->num_layers + a->layer >= a->slabs) REFUSE("block_table[%lld,%lld] is %lld, the arena has %lld pages", (long long)s, (long long)page, (long long)p, (long long)(a->slabs / a->num_layers));
    }
  }
  if (a->cumulative[a->spans] != a->rows) REFUSE("cumulative_sequence_length ends at %d, there are %lld rows", a->cumulative[a->spans], (long long)a->rows);
  return 0;
}

// The work of a call, cut into tasks that threads take one by one: lengths differ too much for fixed shares.
typedef struct {
  const ls_attention_args *a;
  const ls_kernels *k;
  int64_t tile_rows, head_chunk, chunks;  // query rows and heads of a task; head chunks of a row
  atomic_size_t next, span_hint;
  size_t tasks;
} work;

static int64_t span_rows(const ls_attention_args *a, int64_t s) { return a->cumulative[s + 1] - a->cumulative[s]; }
static int64_t tiles(const work *w, int64_t rows) { return (rows + w->tile_rows - 1) / w->tile_rows; }

static void prepare_some(void *data, size_t unused) {
  (void)unused;
  work *w = data;
  const ls_attention_args *a = w->a;
  enum { CHUNK = 8 };
  for (;;) {
    int64_t from = (int64_t)atomic_fetch_add(&w->next, 1) * CHUNK, to = from + CHUNK < a->rows ? from + CHUNK : a->rows;
    if (from >= a->rows) return;
    int64_t lo = 0, hi = a->spans - 1;  // the last span that begins at or before `from`, and is not empty there
    while (lo < hi) {
      int64_t mid = (lo + hi + 1) / 2;
      if (a->cumulative[mid] <= from) lo = mid; else hi = mid - 1;
    }
    for (int64_t r = from; r < to; r++) {
      while (r >= a->cumulative[lo + 1]) lo++;
      w->k->prepare(a, lo, r);
    }
  }
}

static void attend_some(void *data, size_t unused) {
  (void)unused;
  work *w = data;
  const ls_attention_args *a = w->a;
  int64_t span = 0, before = 0;  // tasks of the spans before `span`: this thread's task numbers only grow
  for (;;) {
    int64_t n = (int64_t)atomic_fetch_add(&w->next, 1);
    if (n >= (int64_t)w->tasks) return;
    for (;;) {
      int64_t here = tiles(w, span_rows(a, span)) * w->chunks;
      if (n < before + here) break;
      before += here;
      span++;
    }
    int64_t rows = span_rows(a, span), all = tiles(w, rows), local = n - before;
    int64_t tile = all - 1 - local % all, chunk = local / all;  // the last tile sees the most keys: longest first
    int64_t group = a->q_heads / a->kv_heads, per_group = (group + w->head_chunk - 1) / w->head_chunk;
    int64_t kv_head = chunk / per_group, within = chunk % per_group * w->head_chunk;
    ls_task t = {.a = a, .span = span, .first = tile * w->tile_rows, .kv_head = kv_head, .head = kv_head * group + within};
    t.count = rows - t.first < w->tile_rows ? rows - t.first : w->tile_rows;
    t.heads = group - within < w->head_chunk ? group - within : w->head_chunk;
    w->k->attend(&t);
  }
}

static void spread(work *w, ls_body body, size_t tasks, double cost, size_t threads, ls_parallel_for run, void *context) {
  atomic_store(&w->next, 0);
  size_t n = tasks < threads ? tasks : threads;
  if (n < 2 || cost < 50e3 || !run) {  // about 5 µs of work: less than waking a thread costs
    body(w, 0);
  } else {
    run(context, body, n, w);
  }
}

int ls_paged_attention(const ls_attention_args *a, size_t threads, ls_parallel_for run, void *context, char *err, size_t err_size) {
  if (check_shapes(a, err, err_size) || check_spans(a, err, err_size)) return -1;
  if (a->rows == 0) return 0;
  int64_t group = a->q_heads / a->kv_heads;
  work w = {.a = a, .k = kernels()};
  w.head_chunk = group < TILE ? group : TILE;
  w.tile_rows = TILE / w.head_chunk;
  w.chunks = a->kv_heads * ((group + w.head_chunk - 1) / w.head_chunk);
  double pairs = 0;
  for (int64_t s = 0; s < a->spans; s++) {
    double rows = (double)span_rows(a, s);
    w.tasks += (size_t)(tiles(&w, span_rows(a, s)) * w.chunks);
    pairs += rows * ((double)a->past[s] + rows / 2);
  }
  double width = (double)(a->q_heads + 2 * a->kv_heads) * (double)a->head_dim;
  spread(&w, prepare_some, (size_t)((a->rows + 7) / 8), (double)a->rows * width * 4, threads, run, context);
  spread(&w, attend_some, w.tasks, pairs * (double)(a->q_heads * a->head_dim) * 4, threads, run, context);
  return 0;
}
