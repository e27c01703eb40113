// Prefill: many query vectors that share one KV head against tiles of keys. A lane is a query: the queries
// are transposed once, a key's numbers are broadcast from where they lie in the cache, and the softmax needs
// no sum across lanes. The including file defines LS_QV (vectors of queries in a tile), LS_QK (keys of a
// score block) and LS_PQ × LS_PV (queries × vectors of a value block); each block's accumulators stay in
// registers.
#ifndef LOOPSERVE_ATTENTION_TILE_H
#define LOOPSERVE_ATTENTION_TILE_H

#include "attention_task.h"

enum { TILE_QUERIES = LS_QV * LS_W };

// s[j][i] = k[j]·q[i] for LS_QK keys and NV vectors of queries.
#define TILE_SCORES(NV)                                                                        \
  static void tile_scores_##NV(const float *qt, const float *const *k, int64_t hd, float *s) { \
    vf acc[LS_QK][NV];                                                                         \
    memset(acc, 0, sizeof acc);                                                                \
    for (int64_t d = 0; d < hd; d++) {                                                         \
      vf q[NV];                                                                                \
      for (int v = 0; v < NV; v++) q[v] = load(qt + d * TILE_QUERIES + v * LS_W);              \
      for (int j = 0; j < LS_QK; j++)                                                          \
        for (int v = 0; v < NV; v++) acc[j][v] += q[v] * k[j][d];                              \
    }                                                                                          \
    for (int j = 0; j < LS_QK; j++)                                                            \
      for (int v = 0; v < NV; v++) store(s + j * TILE_QUERIES + v * LS_W, acc[j][v]);          \
  }
TILE_SCORES(1)
TILE_SCORES(2)
#if LS_QV > 2
TILE_SCORES(3)
#endif

// acc[i] = acc[i]·fix[i] + Σ_j p[j][i]·v[j] for LS_PQ queries and NV vectors of the head.
#define TILE_VALUES(NV)                                                                                    \
  static inline void tile_values_##NV(float *acc, const float *p, const float *fix, const float *const *v, \
                                      int64_t n, int64_t hd, int64_t d) {                                  \
    vf x[LS_PQ][NV];                                                                                       \
    for (int i = 0; i < LS_PQ; i++)                                                                        \
      for (int c = 0; c < NV; c++) x[i][c] = load(acc + i * hd + d + c * LS_W) * fix[i];                   \
    for (int64_t j = 0; j < n; j++) {                                                                      \
      vf b[NV];                                                                                            \
      for (int c = 0; c < NV; c++) b[c] = load(v[j] + d + c * LS_W);                                       \
      for (int i = 0; i < LS_PQ; i++)                                                                      \
        for (int c = 0; c < NV; c++) x[i][c] += b[c] * p[j * TILE_QUERIES + i];                            \
    }                                                                                                      \
    for (int i = 0; i < LS_PQ; i++)                                                                        \
      for (int c = 0; c < NV; c++) store(acc + i * hd + d + c * LS_W, x[i][c]);                            \
  }
TILE_VALUES(1)
TILE_VALUES(2)
#if LS_PV > 2
TILE_VALUES(4)
#endif

static void tile_values(float *acc, const float *p, const float *fix, const float *const *v, int64_t n,
                        int64_t hd) {
  int64_t d = 0;
#if LS_PV > 2
  for (; d + 4 * LS_W <= hd; d += 4 * LS_W) tile_values_4(acc, p, fix, v, n, hd, d);
#endif
  for (; d + 2 * LS_W <= hd; d += 2 * LS_W) tile_values_2(acc, p, fix, v, n, hd, d);
  for (; d + LS_W <= hd; d += LS_W) tile_values_1(acc, p, fix, v, n, hd, d);
  for (; d < hd; d++)
    for (int i = 0; i < LS_PQ; i++) {
      float s = acc[i * hd + d] * fix[i];
      for (int64_t j = 0; j < n; j++) s += p[j * TILE_QUERIES + i] * v[j][d];
      acc[i * hd + d] = s;
    }
}

// Online softmax over n keys: scores become weights, fix[] what the earlier sums are to be multiplied by.
static void tile_softmax(float *s, int64_t n, int64_t lanes, float *top, float *total, float *fix) {
  for (int64_t v = 0; v < lanes; v += LS_W) {
    vf before = load(top + v), m = before, t = {};
    for (int64_t j = 0; j < n; j++) m = LS_MAX(m, load(s + j * TILE_QUERIES + v));
    for (int64_t j = 0; j < n; j++) {
      vf e = exp2_neg(load(s + j * TILE_QUERIES + v) - m);
      store(s + j * TILE_QUERIES + v, e);
      t += e;
    }
    vf f = exp2_neg(before - m);
    store(fix + v, f);
    store(top + v, m);
    store(total + v, load(total + v) * f + t);
  }
}

// -∞ where a lane's row does not see the key: keys after its position, and before low.
static void tile_mask(const ls_attention_args *a, float *s, int64_t from, int64_t n, int64_t lanes,
                      const int32_t *position) {
  for (int64_t v = 0; v < lanes; v += LS_W) {
    vi p;
    memcpy(&p, position + v, sizeof p);
    int64_t window = a->window > 0 && a->window < INT32_MAX ? a->window : INT32_MAX;
    for (int64_t j = 0; j < n; j++) {
      vi after = p - (int32_t)(from + j);
      float *at = s + j * TILE_QUERIES + v;
      store(at, choose((after < 0) | (after >= (int32_t)window), (vf){} - INFINITY, load(at)));
    }
  }
}

static void attend_tile(const ls_task *t) {
  const ls_attention_args *a = t->a;
  int64_t hd = a->head_dim, nq = t->count * t->heads;
  int64_t first = a->past[t->span] + t->first, last = first + t->count - 1;
  int64_t lanes = (nq + LS_W - 1) / LS_W * LS_W;
  float qt[TILE_QUERIES * LS_MAX_HEAD_DIM], acc[TILE_QUERIES * LS_MAX_HEAD_DIM];
  float s[(TILE_KEYS + LS_QK) * TILE_QUERIES];
  float top[TILE_QUERIES], total[TILE_QUERIES], fix[TILE_QUERIES];
  int32_t position[TILE_QUERIES];
  const kv_t *k[TILE_KEYS + LS_QK], *v[TILE_KEYS];
  float wide[WIDE_FLOATS];
  const float *wide_rows[TILE_KEYS + LS_QK];
  memset(acc, 0, (size_t)(TILE_QUERIES * hd) * sizeof *acc);
  memset(s, 0, sizeof s),
      memset(fix, 0, sizeof fix);  // lanes beyond `lanes` are summed and dropped: no stale numbers there
  float factor = a->softcap > 0 ? a->scale : a->scale * log2e;
  for (int64_t i = 0; i < TILE_QUERIES; i++) {
    const float *q = task_query(t, i < nq ? i : 0);
    for (int64_t d = 0; d < hd; d++) qt[d * TILE_QUERIES + i] = i < nq ? q[d] * factor : 0;
    position[i] = (int32_t)(first + (i < nq ? i / t->heads : 0));
    top[i] = -FLT_MAX, total[i] = 0;
  }
  for (int64_t from = t->from; from < t->to; from += TILE_KEYS) {
    int64_t n = t->to - from < TILE_KEYS ? t->to - from : TILE_KEYS;
    locate(a, t->span, from, n, t->kv_head, k, v);
    for (int64_t j = n; j < n + LS_QK; j++) k[j] = k[n - 1];
    const kv_t *next_k[TILE_KEYS], *unused[TILE_KEYS];
    int64_t more = t->to - from - n < TILE_KEYS ? t->to - from - n : TILE_KEYS;
    locate(a, t->span, from + n, more, t->kv_head, next_k, unused);
    const float *const *rows = widen(k, n, n + LS_QK, hd, wide, wide_rows);
    // The second-level cache may have lost them: rows that are a power of two apart share few of its sets.
    for (int64_t j = 0; j < n; j += LS_QK) {
      for (int64_t i = j; i < j + LS_QK && i < n; i++) fetch_head(v[i], hd);
      for (int64_t i = j; i < j + LS_QK && i < more; i++) fetch_head(next_k[i], hd);
      if (lanes == LS_W)
        tile_scores_1(qt, rows + j, hd, s + j * TILE_QUERIES);
      else if (lanes == 2 * LS_W)
        tile_scores_2(qt, rows + j, hd, s + j * TILE_QUERIES);
#if LS_QV > 2
      else
        tile_scores_3(qt, rows + j, hd, s + j * TILE_QUERIES);
#endif
    }
    if (a->softcap > 0)
      for (int64_t i = 0; i < n * TILE_QUERIES; i += LS_W) store(s + i, cap(load(s + i), a->softcap));
    if (from + n - 1 > first || (a->window > 0 && from <= last - a->window))
      tile_mask(a, s, from, n, lanes, position);
    tile_softmax(s, n, lanes, top, total, fix);
    rows = widen(v, n, n, hd, wide, wide_rows);
    for (int64_t i = 0; i < nq; i += LS_PQ) {
      int64_t seen =
          position[i + LS_PQ <= nq ? i + LS_PQ - 1 : nq - 1] + 1 - from;  // by the block's last row
      tile_values(acc + i * hd, s + i, fix + i, rows, seen < n ? seen : n, hd);
    }
  }
  for (int64_t i = 0; i < nq; i++) finish(t, i, acc + i * hd, top[i], total[i]);
}

#endif
