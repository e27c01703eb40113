//go:build cgo

#include "attention.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static atomic_int forced_isa = -1;

int ls_attention_isa(void) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) return LS_ISA_AVX512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c")) return LS_ISA_AVX2;
#endif
  return LS_ISA_PORTABLE;
}

int ls_attention_force_isa(int isa) {
  if (isa > ls_attention_isa()) return -1;
  atomic_store(&forced_isa, isa);
  return 0;
}

#define ADDRESSES(f32, f16, int8) {&f32, &f16, &int8}
#define TABLE(kernels) ADDRESSES(kernels)

static const ls_kernels *kernels(int kv) {
  static const ls_kernels *const tables[][LS_KV_KINDS] = {
      TABLE(LS_KERNELS(portable)),
#if defined(__x86_64__)
      TABLE(LS_KERNELS(avx2)), TABLE(LS_KERNELS(avx512)),
#endif
  };
  int isa = atomic_load(&forced_isa);
  if (isa < 0) isa = ls_attention_isa();
  return tables[isa][kv];
}

#define REFUSE(...) return snprintf(err, err_size, __VA_ARGS__), -1

static int check_shapes(const ls_attention_args *a, char *err, size_t err_size) {
  if (a->head_dim < 1 || a->head_dim > LS_MAX_HEAD_DIM) REFUSE("head_dim is %lld, must be 1..%d", (long long)a->head_dim, LS_MAX_HEAD_DIM);
  if (a->q_heads < 1 || a->kv_heads < 1 || a->q_heads % a->kv_heads) REFUSE("num_heads %lld is not a multiple of kv_num_heads %lld", (long long)a->q_heads, (long long)a->kv_heads);
  if (a->rows < 0 || a->spans < 0 || a->page_size < 1 || a->slabs < 0 || a->columns < 0) REFUSE("rows, spans, page_size, slabs or columns is negative");
  if (a->kv < 0 || a->kv >= LS_KV_KINDS) REFUSE("the caches are of kind %d, must be 0..%d", a->kv, LS_KV_KINDS - 1);
  if (a->num_layers < 1 || a->layer < 0 || a->layer >= a->num_layers) REFUSE("layer is %lld, must be 0..%lld", (long long)a->layer, (long long)a->num_layers - 1);
  if (a->cos && (a->rotary_dim < 2 || a->rotary_dim % 2 || a->rotary_dim > a->head_dim)) REFUSE("rotary_dim is %lld, must be even and at most head_dim %lld", (long long)a->rotary_dim, (long long)a->head_dim);
  if (a->qk_norm < 0 || a->qk_norm > 2) REFUSE("qk_norm is %d, must be 0..2", a->qk_norm);
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

// The work of a call: tasks are taken one by one, for lengths differ too much for fixed shares.
typedef struct {
  ls_plan plan;
  atomic_size_t next;
  size_t tasks;
  float *parts;
} work;

static void prepare_some(void *data, size_t unused) {
  (void)unused;
  work *w = data;
  const ls_attention_args *a = w->plan.a;
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
      w->plan.k->prepare(a, lo, r);
    }
  }
}

static void attend_some(void *data, size_t unused) {
  (void)unused;
  work *w = data;
  int64_t span = 0, before = 0, used = 0, base = 0;  // tasks and parts before `span`: this thread's numbers only grow
  ls_cut cut = ls_plan_span(&w->plan, 0, &used);
  for (;;) {
    int64_t n = (int64_t)atomic_fetch_add(&w->next, 1);
    if (n >= (int64_t)w->tasks) return;
    while (n >= before + cut.tiles * cut.chunks * cut.parts) {
      before += cut.tiles * cut.chunks * cut.parts;
      base = used;
      cut = ls_plan_span(&w->plan, ++span, &used);
    }
    ls_task t = ls_plan_task(&w->plan, &cut, span, n - before, w->parts + base);
    w->plan.k->attend(&t);
  }
}

static void spread(work *w, ls_body body, size_t tasks, double cost, size_t threads, ls_parallel_for run, void *context) {
  atomic_store(&w->next, 0);
  size_t n = tasks < threads ? tasks : threads;
  if (n < 2 || cost < 250e3 || !run) {  // about 5 µs of work: less than waking a thread costs
    body(w, 0);
  } else {
    run(context, body, n, w);
  }
}

int ls_paged_attention(const ls_attention_args *a, size_t threads, ls_parallel_for run, void *context, char *err, size_t err_size) {
  if (check_shapes(a, err, err_size) || check_spans(a, err, err_size)) return -1;
  if (a->rows == 0) return 0;
  float parts[LS_PART_FLOATS];
  work w = {.parts = parts};
  double cost = 0, width = (double)(a->q_heads + 2 * a->kv_heads) * (double)a->head_dim;
  w.plan = ls_plan_call(a, kernels(a->kv), threads, &w.tasks, &cost);
  spread(&w, prepare_some, (size_t)((a->rows + 7) / 8), (double)a->rows * width * 10, threads, run, context);
  spread(&w, attend_some, w.tasks, cost, threads, run, context);
  ls_join_parts(&w.plan, parts);
  return 0;
}
