// Register blocks that both ways to attend are made of: scores of some queries and four keys, and weighted
// sums of values. Both sum in the same order, so a row gets the same bits from either.
#ifndef LOOPSERVE_ATTENTION_BLOCK_H
#define LOOPSERVE_ATTENTION_BLOCK_H

#include "attention_task.h"

// Accumulators are to be registers, which needs loops without a counter.
#define UNROLLED _Pragma("GCC unroll 8")

// x[i] = q[i]·k[0..3] for NQ queries, whose keys are num_t that LOAD widens.
#define SCORES(NAME, NQ, num_t, LOAD, ONE)                                                         \
  static inline void NAME(const float *q, const num_t *const row[4], int64_t hd, quad x[NQ]) {     \
    vf acc[NQ][4];                                                                                 \
    UNROLLED for (int i = 0; i < NQ; i++) UNROLLED for (int j = 0; j < 4; j++) acc[i][j] = (vf){}; \
    int64_t d = 0;                                                                                 \
    for (; d + LS_W <= hd; d += LS_W) {                                                            \
      vf k[4];                                                                                     \
      UNROLLED for (int j = 0; j < 4; j++) k[j] = LOAD(row[j] + d);                                \
      UNROLLED for (int i = 0; i < NQ; i++) {                                                      \
        vf qv = load(q + i * hd + d);                                                              \
        UNROLLED for (int j = 0; j < 4; j++) acc[i][j] = LS_MADD(qv, k[j], acc[i][j]);             \
      }                                                                                            \
    }                                                                                              \
    UNROLLED for (int i = 0; i < NQ; i++) {                                                        \
      x[i] = sum4(acc[i][0], acc[i][1], acc[i][2], acc[i][3]);                                     \
      for (int64_t e = d; e < hd; e++)                                                             \
        for (int j = 0; j < 4; j++) x[i][j] = LS_MADD1(q[i * hd + e], ONE(row[j] + e), x[i][j]);   \
    }                                                                                              \
  }

// acc[i] = acc[i]·fix[i] + Σ_j p[i][j]·v[j] for NQ queries, NV vectors of the head, and n values of num_t.
#define VALUES(NAME, NQ, NV, num_t, LOAD)                                                                  \
  static inline void NAME(float *acc, const float *fix, const float *p, const num_t *const *v, int64_t at, \
                          int64_t n, int64_t hd) {                                                         \
    vf x[NQ][NV];                                                                                          \
    UNROLLED for (int i = 0; i < NQ; i++) UNROLLED for (int c = 0; c < NV; c++) x[i][c] =                  \
        load(acc + i * hd + c * LS_W) * fix[i];                                                            \
    for (int64_t j = 0; j < n; j++) {                                                                      \
      vf b[NV];                                                                                            \
      UNROLLED for (int c = 0; c < NV; c++) b[c] = LOAD(v[j] + at + c * LS_W);                             \
      UNROLLED for (int i = 0; i < NQ; i++) UNROLLED for (int c = 0; c < NV; c++) x[i][c] =                \
          LS_MADD(b[c], splat(p[i * LS_KEYS + j]), x[i][c]);                                               \
    }                                                                                                      \
    UNROLLED for (int i = 0; i < NQ; i++) UNROLLED for (int c = 0; c < NV; c++)                            \
        store(acc + i * hd + c * LS_W, x[i][c]);                                                           \
  }

// One pass of online softmax over a row of scores, padded with -∞ to LS_KEYS: the factor for what was summed
// before.
static inline float softmax(float *s, ls_sums *sums) {
  vf m = splat(sums->top), t = {};
  for (int j = 0; j < LS_KEYS; j += LS_W) m = LS_MAX(m, load(s + j));
  float high = largest(m),
        fix = high == sums->top ? 1 : shrink(splat(sums->top), splat(high))[0];  // mostly it is
  for (int j = 0; j < LS_KEYS; j += LS_W) {
    vf e = exp2_neg(load(s + j) - high);
    store(s + j, e);
    t += e;
  }
  *sums = (ls_sums){high, LS_MADD1(sums->total, fix, sum(t))};
  return fix;
}

// -∞ where a row at that position does not see the block's keys: those before `from`, after the position, and
// before the window.
static inline void mask(const ls_task *t, float *line, int64_t block, int64_t from, int64_t position) {
  int64_t seen = position + 1 - block, oldest = ls_oldest(t->a, position) - block;
  if (oldest > from) from = oldest;
  for (int64_t j = 0; j < from && j < LS_KEYS; j++) line[j] = -INFINITY;
  for (int64_t j = seen > 0 ? seen : 0; j < LS_KEYS; j++) line[j] = -INFINITY;
}

// Scores of a row of the task and a block, of which the task sees the keys from `from` on, become weights.
static inline float weigh(const ls_task *t, float *line, int64_t block, int64_t from, int64_t row,
                          ls_sums *sums) {
  const ls_attention_args *a = t->a;
  if (a->softcap > 0)
    for (int64_t j = 0; j < LS_KEYS; j += LS_W) store(line + j, cap(load(line + j), a->softcap));
  mask(t, line, block, from, ls_sees(a, t->span, a->past[t->span] + t->first + row) - 1);
  return softmax(line, sums);
}

// The i-th query vector of a task, in the scores' units.
static inline void take_query(const ls_task *t, int64_t i, float *q) {
  const ls_attention_args *a = t->a;
  const float *from = task_query(t, i);
  float factor = a->softcap > 0 ? a->scale : a->scale * log2e;
  for (int64_t d = 0; d < a->head_dim; d++) q[d] = from[d] * factor;
}

#endif
