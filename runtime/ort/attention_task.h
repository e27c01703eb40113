// What the two ways to attend share: where a task's queries are, how segments are joined, and where the
// result goes.
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

// Sums of a query over some keys: the values by their weights elsewhere, and these.
typedef struct {
  float top, total;  // the largest score; weights, of which its own is 1
} ls_sums;

// Joins the sums of the next segment, b with its values, to those of all before. Segments of which the query
// sees nothing change nothing.
static inline void join_sums(float *a_values, ls_sums *a, const float *b_values, ls_sums b, int64_t hd) {
  float top = a->top > b.top ? a->top : b.top;
  vf f = shrink(splat(a->top), splat(top)), g = shrink(splat(b.top), splat(top));
  int64_t d = 0;
  for (; d + LS_W <= hd; d += LS_W)
    store(a_values + d, LS_MADD(load(b_values + d), g, load(a_values + d) * f));
  for (; d < hd; d++) a_values[d] = LS_MADD1(b_values[d], g[0], a_values[d] * f[0]);
  *a = (ls_sums){top, LS_MADD1(b.total, g[0], a->total * f[0])};
}

// Sums become an attention. Adding 0 makes 0 of -0, the only trace that keys without weight could leave.
static inline void divide(const float *values, float total, int64_t hd, float *out) {
  float f = 1 / total;
  for (int64_t d = 0; d < hd; d++) out[d] = LS_MADD1(values[d], f, 0.0f);
}

static void join(const float *parts, int64_t count, int64_t stride, int64_t hd, float *out) {
  ls_sums sums = {parts[hd], parts[hd + 1]};
  memcpy(out, parts, (size_t)hd * sizeof *out);
  for (int64_t p = 1; p < count; p++) {
    const float *part = parts + p * stride;
    join_sums(out, &sums, part, (ls_sums){part[hd], part[hd + 1]}, hd);
  }
  divide(out, sums.total, hd, out);
}

// Whether a block of keys that begins there is the first of a task's in its segment, or the last.
static inline int begins(const ls_task *t, int64_t block) {
  return block <= t->from || block % LS_SEGMENT == 0;
}
static inline int ends(const ls_task *t, int64_t block) {
  return block + LS_KEYS >= t->to || (block + LS_KEYS) % LS_SEGMENT == 0;
}

// Takes what a query's segment, whose last block begins at `block`, came to: into its part, or into the
// output, where `sums` is of all segments so far.
static inline void settle(const ls_task *t, int64_t i, int64_t block, const float *values, ls_sums segment,
                          ls_sums *sums) {
  int64_t hd = t->a->head_dim;
  float *out = task_query(t, i);
  if (t->parts != NULL) {
    const ls_attention_args *a = t->a;
    int64_t first = a->cumulative[t->span], vectors = (a->cumulative[t->span + 1] - first) * a->q_heads;
    int64_t vector = (out - a->out) / hd - first * a->q_heads + (block / LS_SEGMENT - t->segment) * vectors;
    out = t->parts + vector * (hd + 2);
    out[hd] = segment.top, out[hd + 1] = segment.total;
    memcpy(out, values, (size_t)hd * sizeof *out);
    return;
  }
  int first = block - block % LS_SEGMENT <= t->from, last = block + LS_KEYS >= t->to;
  if (first && last) {
    divide(values, segment.total, hd, out);
    return;
  }
  if (first) {
    memcpy(out, values, (size_t)hd * sizeof *out);
    *sums = segment;
  } else {
    join_sums(out, sums, values, segment, hd);
  }
  if (last) divide(out, sums->total, hd, out);
}

#endif
