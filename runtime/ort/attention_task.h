// What the two ways to attend share: where a task's queries are, and where its result goes.
#ifndef LOOPSERVE_ATTENTION_TASK_H
#define LOOPSERVE_ATTENTION_TASK_H

#include "attention_prepare.h"

// The i-th query vector of a task, and its place in the output: KV heads outermost, then rows, then heads of
// the group.
static inline float *task_query(const ls_task *t, int64_t i) {
  int64_t per_head = t->count * t->heads,
          row = t->a->cumulative[t->span] + t->first + i % per_head / t->heads;
  int64_t head = t->head + i / per_head * t->heads + i % t->heads;
  return t->a->out + (row * t->a->q_heads + head) * t->a->head_dim;
}

// Writes a query's attention, or, if other tasks see other keys of it, its part: sums, then the largest score
// and the sum of weights.
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

#endif
