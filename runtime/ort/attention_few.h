// Decode: few query vectors for each KV head, so what counts is how the keys and values stream in. A task
// walks them once, position by position with all of its KV heads side by side, as they lie in memory, and
// says ahead what comes. With more than FEW_QUERIES for a KV head the tile kernel is faster. LS_FQ is how
// many queries share a block of four keys in registers.
#ifndef LOOPSERVE_ATTENTION_FEW_H
#define LOOPSERVE_ATTENTION_FEW_H

#include "attention_task.h"

enum { FEW_QUERIES = 4, FEW_KEYS = 32, FEW_AHEAD = 32 };

// s[i][0..3] = q[i]·k[0..3] for NQ queries.
#define FEW_SCORES(NQ)                                                                             \
  static inline void few_scores_##NQ(const float *q, const kv_t *const *k, int64_t at, int64_t hd, \
                                     float *s) {                                                   \
    vf acc[NQ][4];                                                                                 \
    const kv_t *row[4] = {k[0] + at, k[1] + at, k[2] + at, k[3] + at};                             \
    memset(acc, 0, sizeof acc);                                                                    \
    int64_t d = 0;                                                                                 \
    for (; d + LS_W <= hd; d += LS_W) {                                                            \
      vf kv[4];                                                                                    \
      for (int j = 0; j < 4; j++) kv[j] = load_kv(row[j] + d);                                     \
      for (int i = 0; i < NQ; i++) {                                                               \
        vf qv = load(q + i * hd + d);                                                              \
        for (int j = 0; j < 4; j++) acc[i][j] += qv * kv[j];                                       \
      }                                                                                            \
    }                                                                                              \
    for (int i = 0; i < NQ; i++) {                                                                 \
      quad x = sum4(acc[i][0], acc[i][1], acc[i][2], acc[i][3]);                                   \
      for (int64_t e = d; e < hd; e++)                                                             \
        for (int j = 0; j < 4; j++) x[j] += q[i * hd + e] * one_kv(row[j] + e);                    \
      x = scaled4(x, row, hd);                                                                     \
      memcpy(s + i * FEW_KEYS, &x, sizeof x);                                                      \
    }                                                                                              \
  }
FEW_SCORES(1)
FEW_SCORES(2)
#if LS_FQ > 2
FEW_SCORES(4)
#endif

static inline void few_scores(const float *q, int64_t nq, const kv_t *const *k, int64_t at, int64_t hd,
                              float *s) {
  int64_t i = 0;
#if LS_FQ > 2
  for (; i + 4 <= nq; i += 4) few_scores_4(q + i * hd, k, at, hd, s + i * FEW_KEYS);
#endif
  for (; i + 2 <= nq; i += 2) few_scores_2(q + i * hd, k, at, hd, s + i * FEW_KEYS);
  if (i < nq) few_scores_1(q + i * hd, k, at, hd, s + i * FEW_KEYS);
}

// acc[i] = acc[i]·fix[i] + Σ_j p[i][j]·v[j] for NQ queries and NV vectors of the head.
#define FEW_VALUES(NQ, NV)                                                                             \
  static inline void few_values_##NQ##_##NV(float *acc, const float *fix, const float *p,              \
                                            const kv_t *const *v, int64_t at, int64_t n, int64_t hd) { \
    vf x[NQ][NV];                                                                                      \
    for (int i = 0; i < NQ; i++)                                                                       \
      for (int c = 0; c < NV; c++) x[i][c] = load(acc + i * hd + c * LS_W) * fix[i];                   \
    for (int64_t j = 0; j < n; j++) {                                                                  \
      vf b[NV];                                                                                        \
      for (int c = 0; c < NV; c++) b[c] = load_kv(v[j] + at + c * LS_W);                               \
      for (int i = 0; i < NQ; i++)                                                                     \
        for (int c = 0; c < NV; c++) x[i][c] += b[c] * p[i * FEW_KEYS + j];                            \
    }                                                                                                  \
    for (int i = 0; i < NQ; i++)                                                                       \
      for (int c = 0; c < NV; c++) store(acc + i * hd + c * LS_W, x[i][c]);                            \
  }
FEW_VALUES(1, 1)
FEW_VALUES(1, 4)
FEW_VALUES(2, 1)
FEW_VALUES(2, 4)
#if LS_W < 16
FEW_VALUES(1, 8)
#endif

static inline void few_values(float *acc, int64_t nq, const float *fix, const float *p, const kv_t *const *v,
                              int64_t at, int64_t n, int64_t hd) {
  for (int64_t i = 0; i < nq; acc += 2 * hd, p += 2 * FEW_KEYS, fix += 2, i += 2) {
    int64_t d = 0;
    if (i + 1 < nq) {
      for (; d + 4 * LS_W <= hd; d += 4 * LS_W) few_values_2_4(acc + d, fix, p, v, at + d, n, hd);
      for (; d + LS_W <= hd; d += LS_W) few_values_2_1(acc + d, fix, p, v, at + d, n, hd);
    } else {
#if LS_W < 16
      for (; d + 8 * LS_W <= hd; d += 8 * LS_W) few_values_1_8(acc + d, fix, p, v, at + d, n, hd);
#endif
      for (; d + 4 * LS_W <= hd; d += 4 * LS_W) few_values_1_4(acc + d, fix, p, v, at + d, n, hd);
      for (; d + LS_W <= hd; d += LS_W) few_values_1_1(acc + d, fix, p, v, at + d, n, hd);
    }
    for (; d < hd; d++)
      for (int64_t r = 0; r < 2 && i + r < nq; r++) {
        float s = acc[r * hd + d] * fix[r];
        for (int64_t j = 0; j < n; j++) s += p[r * FEW_KEYS + j] * one_kv(v[j] + at + d);
        acc[r * hd + d] = s;
      }
  }
}

// One pass of online softmax over a row of scores, padded with -∞ to FEW_KEYS: the factor for what was summed
// before.
static inline float few_softmax(float *s, float *top, float *total) {
  vf m = (vf){} + *top, t = {};
  for (int j = 0; j < FEW_KEYS; j += LS_W) m = LS_MAX(m, load(s + j));
  float high = largest(m), fix = high == *top ? 1 : exp2f(*top - high);  // mostly it is
  for (int j = 0; j < FEW_KEYS; j += LS_W) {
    vf e = exp2_neg(load(s + j) - high);
    store(s + j, e);
    t += e;
  }
  *total = *total * fix + sum(t);
  *top = high;
  return fix;
}

static inline void fetch(const kv_t *const *rows, int64_t at, int64_t hd) {
  for (int j = 0; j < 4; j++) fetch_head(rows[j] + at, hd);
}

static void attend_few(const ls_task *t) {
  const ls_attention_args *a = t->a;
  int64_t hd = a->head_dim, nq = t->count * t->heads, all = nq * t->kv_heads;
  int64_t first = a->past[t->span] + t->first, low = t->from;
  float q[LS_FEW_FLOATS], acc[LS_FEW_FLOATS], s[LS_FEW_VECTORS * FEW_KEYS];
  float top[LS_FEW_VECTORS], total[LS_FEW_VECTORS], fix[LS_FEW_VECTORS];
  // What the walk reads in order: the tile's keys, its values, the next tile's keys.
  const kv_t *walk[2 * FEW_KEYS + FEW_AHEAD + 8];
  int64_t ahead = 4;  // keys that are asked for in advance: some 32 KiB, into the second-level cache
  int64_t row = kv_row(hd), bytes = t->kv_heads * row * (int64_t)sizeof(kv_t);
  while (ahead < FEW_AHEAD && ahead * bytes < 32768) ahead += 4;
  int narrow = bytes < 2048;  // longer rows the processor fetches ahead by itself
  float ones[LS_FEW_VECTORS];
  for (int64_t i = 0; i < nq; i++) ones[i] = 1;
  float factor = a->softcap > 0 ? a->scale : a->scale * log2e;
  memset(acc, 0, (size_t)(all * hd) * sizeof *acc);
  for (int64_t i = 0; i < all; i++) {
    const float *from = task_query(t, i);
    for (int64_t d = 0; d < hd; d++) q[i * hd + d] = from[d] * factor;
    top[i] = -FLT_MAX, total[i] = 0;
  }
  for (; low < t->to; low += FEW_KEYS) {
    int64_t n = t->to - low < FEW_KEYS ? t->to - low : FEW_KEYS, padded = (n + 3) / 4 * 4;
    const kv_t **k = walk, **v = walk + padded, **next = v + padded, *unused[FEW_AHEAD];
    locate(a, t->span, low, n, t->kv_head, k, v);
    for (int64_t j = n; j < padded; j++) k[j] = k[n - 1], v[j] = v[n - 1];
    int64_t more = t->to - low - n < ahead ? t->to - low - n : ahead;
    locate(a, t->span, low + n, more, t->kv_head, next, unused);
    for (int64_t j = more; j < ahead + 4; j++) next[j] = k[0];
    for (int64_t j = 0; j < padded; j += 4)
      for (int64_t h = 0; h < t->kv_heads; h++) {
        if (narrow) fetch(k + j + ahead, h * row, hd);
        few_scores(q + h * nq * hd, nq, k + j, h * row, hd, s + h * nq * FEW_KEYS + j);
      }
    for (int64_t i = 0; i < all; i++) {
      float *line = s + i * FEW_KEYS;
      int64_t position = first + i % nq / t->heads, seen = position + 1 - low < n ? position + 1 - low : n;
      if (a->softcap > 0)
        for (int64_t j = 0; j < FEW_KEYS; j += LS_W) store(line + j, cap(load(line + j), a->softcap));
      for (int64_t j = seen > 0 ? seen : 0; j < FEW_KEYS; j++) line[j] = -INFINITY;
      if (a->window > 0)
        for (int64_t j = 0; j < n && low + j <= position - a->window; j++) line[j] = -INFINITY;
      fix[i] = few_softmax(line, top + i, total + i);
      scale_weights(line, v, i / nq * row, n, hd);
    }
    for (int64_t j = 0; j < n; j += 8)
      for (int64_t h = 0; h < t->kv_heads; h++) {
        if (narrow) fetch(v + j + ahead, h * row, hd), fetch(v + j + 4 + ahead, h * row, hd);
        few_values(acc + h * nq * hd, nq, j ? ones : fix + h * nq, s + h * nq * FEW_KEYS + j, v + j, h * row,
                   n - j < 8 ? n - j : 8, hd);
      }
  }
  for (int64_t i = 0; i < all; i++) finish(t, i, acc + i * hd, top[i], total[i]);
}

#endif
