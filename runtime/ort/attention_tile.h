// Prefill: many query vectors that share one KV head against tiles of keys. A lane is a query: the queries
// are transposed once, a key's numbers are broadcast from where they lie in the cache, and the softmax needs
// no sum across lanes. The including file defines LS_QV (vectors of queries in a tile), LS_QK (keys of a
// score block) and LS_PQ × LS_PV (queries × vectors of a value block); each block's accumulators stay in
// registers.
#ifndef LOOPSERVE_ATTENTION_TILE_H
#define LOOPSERVE_ATTENTION_TILE_H

#include "attention_task.h"

enum { TILE_QUERIES = LS_QV * LS_W };

// s[j][i] = k[j]·q[i] for NK keys and NV vectors of queries. Products are summed as few_scores does, whose
// vectors run along the head: a leaf is what one lane sums there, every LS_W-th number from `lane` on, and
// sum4 puts leaves together.
#define TILE_SCORES(NV, NK)                                                                                 \
  static inline __attribute__((always_inline)) void leaf_##NV(const float *qt, const float *const *k,       \
                                                              int64_t hd, int lane, vf acc[NK][NV]) {       \
    memset(acc, 0, NK *NV * sizeof(vf));                                                                    \
    for (int64_t d = lane; d < hd; d += LS_W) {                                                             \
      vf q[NV];                                                                                             \
      for (int v = 0; v < NV; v++) q[v] = load(qt + d * TILE_QUERIES + v * LS_W);                           \
      for (int j = 0; j < NK; j++)                                                                          \
        for (int v = 0; v < NV; v++) acc[j][v] = LS_MADD(q[v], splat(k[j][d]), acc[j][v]);                  \
    }                                                                                                       \
  }                                                                                                         \
  static inline __attribute__((always_inline)) void add_##NV(vf to[NK][NV], vf acc[NK][NV]) {               \
    for (int j = 0; j < NK; j++)                                                                            \
      for (int v = 0; v < NV; v++) to[j][v] += acc[j][v];                                                   \
  }                                                                                                         \
  static inline __attribute__((always_inline)) void branch_##NV(const float *qt, const float *const *k,     \
                                                                int64_t hd, int lane, vf acc[NK][NV]) {     \
    vf b[NK][NV];                                                                                           \
    leaf_##NV(qt, k, hd, lane, acc);                                                                        \
    for (int i = 1; i < 4; i++) {                                                                           \
      leaf_##NV(qt, k, hd, lane + i, b);                                                                    \
      add_##NV(acc, b);                                                                                     \
    }                                                                                                       \
  }                                                                                                         \
  static void tile_scores_##NV(const float *qt, const float *const *k, const kv_t *const *key, int64_t hd,  \
                               float *s) {                                                                  \
    int64_t whole = hd - hd % LS_W;                                                                         \
    for (int n = 0; n < LS_QK; n += NK, k += NK, key += NK, s += NK * TILE_QUERIES) {                       \
      vf acc[NK][NV], b[NK][NV], c[NK][NV];                                                                 \
      branch_##NV(qt, k, whole, 0, acc);                                                                    \
      if (LS_W == 16) {                                                                                     \
        branch_##NV(qt, k, whole, 8, b);                                                                    \
        add_##NV(acc, b);                                                                                   \
        branch_##NV(qt, k, whole, 4, b);                                                                    \
        branch_##NV(qt, k, whole, 12, c);                                                                   \
        add_##NV(b, c);                                                                                     \
        add_##NV(acc, b);                                                                                   \
      }                                                                                                     \
      if (LS_W == 8) {                                                                                      \
        branch_##NV(qt, k, whole, 4, b);                                                                    \
        add_##NV(acc, b);                                                                                   \
      }                                                                                                     \
      for (int64_t d = whole; d < hd; d++)                                                                  \
        for (int j = 0; j < NK; j++)                                                                        \
          for (int v = 0; v < NV; v++)                                                                      \
            acc[j][v] = LS_MADD(load(qt + d * TILE_QUERIES + v * LS_W), splat(k[j][d]), acc[j][v]);         \
      for (int j = 0; j < NK; j++)                                                                          \
        for (int v = 0; v < NV; v++)                                                                        \
          store(s + j * TILE_QUERIES + v * LS_W, LS_SCALED ? acc[j][v] * kv_scale(key[j], hd) : acc[j][v]); \
    }                                                                                                       \
  }
TILE_SCORES(1, LS_QK)
TILE_SCORES(2, LS_QK2)
#if LS_QV > 2
TILE_SCORES(3, LS_QK3)
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
        for (int c = 0; c < NV; c++) x[i][c] = LS_MADD(b[c], splat(p[j * TILE_QUERIES + i]), x[i][c]);     \
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
      for (int64_t j = 0; j < n; j++) s = LS_MADD1(p[j * TILE_QUERIES + i], v[j][d], s);
      acc[i * hd + d] = s;
    }
}

// Online softmax over n keys from a position on: scores become weights, fix[] what the earlier sums are to be
// multiplied by. Weights are summed as few_softmax does, whose vectors run along the keys.
static void tile_softmax(float *s, const kv_t *const *value, int64_t from, int64_t n, int64_t lanes,
                         int64_t hd, float *top, float *total, float *fix) {
  for (int64_t v = 0; v < lanes; v += LS_W) {
    vf before = load(top + v), m = before, t[LS_W] = {};
    for (int64_t j = 0; j < n; j++) m = LS_MAX(m, load(s + j * TILE_QUERIES + v));
    for (int64_t j = 0; j < n; j++) {
      vf e = exp2_neg(load(s + j * TILE_QUERIES + v) - m);
      t[(from + j) % LS_W] += e;
      store(s + j * TILE_QUERIES + v, LS_SCALED ? e * kv_scale(value[j], hd) : e);
    }
    for (int half = LS_W / 2; half; half /= 2)
      for (int i = 0; i < half; i++) t[i] += t[i + half];
    vf f = shrink(before, m);
    store(fix + v, f);
    store(top + v, m);
    store(total + v, LS_MADD(load(total + v), f, t[0]));
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

// Column i of qt, [hd, TILE_QUERIES], becomes the i-th query by the factor. Lanes of no query get the first
// one: what they sum is dropped.
static void transpose_queries(const ls_task *t, int64_t nq, int64_t lanes, float factor, float *qt) {
  int64_t hd = t->a->head_dim;
  for (int64_t i = 0; i < lanes; i += 4) {
    const float *q[4];
    for (int j = 0; j < 4; j++) q[j] = task_query(t, i + j < nq ? i + j : 0);
    int64_t d = 0;
    for (; d + 4 <= hd; d += 4) {
      quad r[4];
      for (int j = 0; j < 4; j++) memcpy(&r[j], q[j] + d, sizeof *r), r[j] *= factor;
      quad ab = __builtin_shuffle(r[0], r[1], (quad_index){0, 4, 1, 5}),
           cd = __builtin_shuffle(r[2], r[3], (quad_index){0, 4, 1, 5}),
           ab2 = __builtin_shuffle(r[0], r[1], (quad_index){2, 6, 3, 7}),
           cd2 = __builtin_shuffle(r[2], r[3], (quad_index){2, 6, 3, 7});
      r[0] = __builtin_shuffle(ab, cd, (quad_index){0, 1, 4, 5});
      r[1] = __builtin_shuffle(ab, cd, (quad_index){2, 3, 6, 7});
      r[2] = __builtin_shuffle(ab2, cd2, (quad_index){0, 1, 4, 5});
      r[3] = __builtin_shuffle(ab2, cd2, (quad_index){2, 3, 6, 7});
      for (int j = 0; j < 4; j++) memcpy(qt + (d + j) * TILE_QUERIES + i, &r[j], sizeof *r);
    }
    for (; d < hd; d++)
      for (int j = 0; j < 4; j++) qt[d * TILE_QUERIES + i + j] = q[j][d] * factor;
  }
}

static void attend_tile(const ls_task *t) {
  const ls_attention_args *a = t->a;
  int64_t hd = a->head_dim, nq = t->count * t->heads;
  int64_t first = a->past[t->span] + t->first, last = first + t->count - 1;
  int64_t lanes = (nq + LS_W - 1) / LS_W * LS_W;
  float qt[TILE_QUERIES * LS_MAX_HEAD_DIM], acc[TILE_QUERIES * LS_MAX_HEAD_DIM];
  float s[(LS_KEYS + LS_QK) * TILE_QUERIES];
  float top[TILE_QUERIES], total[TILE_QUERIES], fix[TILE_QUERIES];
  ls_sums sums[TILE_QUERIES];
  int32_t position[TILE_QUERIES];
  const kv_t *k[LS_KEYS + LS_QK], *v[LS_KEYS];
  float wide[WIDE_FLOATS];
  const float *wide_rows[LS_KEYS + LS_QK];
  memset(s, 0, sizeof s),
      memset(fix, 0, sizeof fix);  // lanes beyond `lanes` are summed and dropped: no stale numbers there
  float factor = a->softcap > 0 ? a->scale : a->scale * log2e;
  transpose_queries(t, nq, lanes, factor, qt);
  for (int64_t i = 0; i < TILE_QUERIES; i++)
    position[i] = (int32_t)ls_sees(a, t->span, first + (i < nq ? i / t->heads : 0)) - 1;  // its last key's
  for (int64_t block = t->from - t->from % LS_KEYS; block < t->to; block += LS_KEYS) {
    if (begins(t, block)) {
      memset(acc, 0, (size_t)(TILE_QUERIES * hd) * sizeof *acc);
      for (int64_t i = 0; i < TILE_QUERIES; i++) top[i] = -FLT_MAX, total[i] = 0;
    }
    int64_t from = block < t->from ? t->from : block;
    int64_t n = (t->to - block < LS_KEYS ? t->to : block + LS_KEYS) - from;
    locate(a, t->span, from, n, t->kv_head, k, v);
    for (int64_t j = n; j < n + LS_QK; j++) k[j] = k[n - 1];
    const kv_t *next_k[LS_KEYS], *unused[LS_KEYS];
    int64_t more = t->to - from - n < LS_KEYS ? t->to - from - n : LS_KEYS;
    locate(a, t->span, from + n, more, t->kv_head, next_k, unused);
    const float *const *rows = widen(k, n, n + LS_QK, hd, wide, wide_rows);
    // The second-level cache may have lost them: rows that are a power of two apart share few of its sets.
    for (int64_t j = 0; j < n; j += LS_QK) {
      for (int64_t i = j; i < j + LS_QK && i < n; i++) fetch_head(v[i], hd);
      for (int64_t i = j; i < j + LS_QK && i < more; i++) fetch_head(next_k[i], hd);
      if (lanes == LS_W)
        tile_scores_1(qt, rows + j, k + j, hd, s + j * TILE_QUERIES);
      else if (lanes == 2 * LS_W)
        tile_scores_2(qt, rows + j, k + j, hd, s + j * TILE_QUERIES);
#if LS_QV > 2
      else
        tile_scores_3(qt, rows + j, k + j, hd, s + j * TILE_QUERIES);
#endif
    }
    if (a->softcap > 0)
      for (int64_t i = 0; i < n * TILE_QUERIES; i += LS_W) store(s + i, cap(load(s + i), a->softcap));
    if (from + n - 1 > first || (a->window > 0 && from <= last - a->window))
      tile_mask(a, s, from, n, lanes, position);
    tile_softmax(s, v, from, n, lanes, hd, top, total, fix);
    rows = widen(v, n, n, hd, wide, wide_rows);
    for (int64_t i = 0; i < nq; i += LS_PQ) {
      int64_t seen =
          position[i + LS_PQ <= nq ? i + LS_PQ - 1 : nq - 1] + 1 - from;  // by the block's last row
      tile_values(acc + i * hd, s + i, fix + i, rows, seen < n ? seen : n, hd);
    }
    if (ends(t, block))
      for (int64_t i = 0; i < nq; i++)
        settle(t, i, block, acc + i * hd, (ls_sums){top[i], total[i]}, sums + i);
  }
}

#endif
