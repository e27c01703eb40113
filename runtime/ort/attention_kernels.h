// The inner loops, written once and compiled for each instruction set and each kind of cache by the including
// attention_<isa>_<kind>.c, which defines LS_KV, LS_NAME(x) and, through attention_<isa>.h, its register blocks.
#include "attention.h"
#include "attention_vector.h"

// The i-th query vector of a task, and its place in the output: KV heads outermost, then rows, then heads of the group.
static inline float *task_query(const ls_task *t, int64_t i) {
  int64_t per_head = t->count * t->heads, row = t->a->cumulative[t->span] + t->first + i % per_head / t->heads;
  int64_t head = t->head + i / per_head * t->heads + i % t->heads;
  return t->a->out + (row * t->a->q_heads + head) * t->a->head_dim;
}

// Writes a query's attention, or, if other tasks see other keys of it, its part: sums, then the largest score and the
// sum of weights.
static inline void finish(const ls_task *t, int64_t i, const float *acc, float top, float total) {
  int64_t hd = t->a->head_dim;
  float *out = task_query(t, i), f = 1 / total;
  if (t->part != NULL) {
    int64_t vector = (out - t->a->out) / hd - t->a->cumulative[t->span] * t->a->q_heads;
    out = t->part + vector * (hd + 2);
    out[hd] = top, out[hd + 1] = total, f = 1;
  }
  for (int64_t d = 0; d < hd; d++) out[d] = acc[d] * f;
}

enum { TILE_KEYS = 64, LINE_BYTES = 64 };  // keys of a prefill tile; bytes of a cache line

#include "attention_kv.h"
#include "attention_prepare.h"
#include "attention_tile.h"
#include "attention_few.h"

static void attend(const ls_task *t) {
  if (t->few) attend_few(t);
  else attend_tile(t);
}

const ls_kernels LS_NAME(ls_kernels) = {prepare, attend, TILE_QUERIES, FEW_QUERIES};
