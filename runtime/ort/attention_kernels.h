// The inner loops, written once over GCC's vector extension and compiled for each instruction set: the including file
// defines LS_W (floats of a vector), LS_KEYS (keys of a score block) and LS_NAME(x).
#include <math.h>
#include <string.h>

#include "attention.h"

enum { QUERIES = 16, KEYS = 64 };  // a task's query vectors at most; keys of one softmax pass: 4 KiB of scores

typedef float vf __attribute__((vector_size(LS_W * 4)));
typedef int32_t vi __attribute__((vector_size(LS_W * 4)));
typedef float vfu __attribute__((vector_size(LS_W * 4), aligned(4), may_alias));

static inline vf load(const float *p) { return *(const vfu *)p; }
static inline void store(float *p, vf v) { *(vfu *)p = v; }
static inline float sum(vf v) {
  float s[LS_W], t = 0;
  memcpy(s, &v, sizeof v);
  for (int step = LS_W / 2; step; step /= 2)
    for (int i = 0; i < step; i++) s[i] += s[i + step];
  t = s[0];
  return t;
}

// e^x for x <= 0: Cody-Waite reduction and a degree-6 polynomial, relative error below 2e-7; 0 below -87.
static inline vf exp_neg(vf x) {
  const vf magic = (vf){} + 12582912.0f;  // 1.5·2^23: adding it rounds to an integer
  vi tiny = x < -87.0f;
  x = (vf)(((vi)x & ~tiny) | ((vi)((vf){} - 87.0f) & tiny));
  vf n = (x * 1.44269504088896341f + magic) - magic;
  vf r = x - n * 0.693145751953125f - n * 1.428606765330187045e-06f;
  vf p = (vf){} + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  vi exponent = __builtin_convertvector(n, vi) << 23;
  return (vf)(((vi)p + exponent) & ~tiny);
}

static void norm(float *x, int64_t n, const float *gain, float eps) {
  double sq = 0;
  for (int64_t i = 0; i < n; i++) sq += (double)x[i] * x[i];
  float f = (float)(1 / sqrt(sq / (double)n + eps));
  for (int64_t i = 0; i < n; i++) x[i] *= gain ? f * gain[i] : f;
}

static void rope(float *x, const float *c, const float *s, int64_t half, int interleaved) {
  int64_t step = interleaved ? 2 : 1, other = interleaved ? 1 : half;
  for (int64_t i = 0; i < half; i++) {
    float a = x[i * step], b = x[i * step + other];
    x[i * step] = a * c[i] - b * s[i];
    x[i * step + other] = b * c[i] + a * s[i];
  }
}

static void turn(const ls_attention_args *a, float *x, const float *gain, int64_t position) {
  if (a->qk_norm == 1) norm(x, a->head_dim, gain, a->qk_norm_eps);
  if (a->cos) {
    int64_t half = a->rotary_dim / 2;
    rope(x, a->cos + position * half, a->sin + position * half, half, a->interleaved);
  }
  if (a->qk_norm == 2) norm(x, a->head_dim, gain, a->qk_norm_eps);
}

// Where (position, kv_head) of a span lives in both caches.
static inline int64_t slot(const ls_attention_args *a, int64_t span, int64_t position, int64_t kv_head) {
  int64_t slab = (int64_t)a->table[span * a->columns + position / a->page_size] * a->num_layers + a->layer;
  return ((slab * a->page_size + position % a->page_size) * a->kv_heads + kv_head) * a->head_dim;
}

static void prepare(const ls_attention_args *a, int64_t span, int64_t row) {
  int64_t position = a->past[span] + (row - a->cumulative[span]), hd = a->head_dim;
  size_t bytes = (size_t)hd * sizeof(float);
  for (int64_t h = 0; h < a->kv_heads; h++) {
    float *k = a->key_cache + slot(a, span, position, h);
    memcpy(k, a->k + row * a->k_stride + h * hd, bytes);
    turn(a, k, a->k_norm, position);
    memcpy(a->value_cache + slot(a, span, position, h), a->v + row * a->v_stride + h * hd, bytes);
  }
  float *q = a->out + row * a->q_heads * hd;
  for (int64_t h = 0; h < a->q_heads; h++, q += hd) {
    memcpy(q, a->q + row * a->q_stride + h * hd, bytes);
    turn(a, q, a->q_norm, position);
  }
}

// scores[i][j] = q[i]·k[j] for i < nq <= 4 and LS_KEYS keys: the block stays in registers.
#define SCORES(NQ)                                                                                        \
  static inline void scores_##NQ(float *const *q, const float *const *k, int64_t hd, float *out) {        \
    vf acc[NQ][LS_KEYS];                                                                                  \
    memset(acc, 0, sizeof acc);                                                                           \
    int64_t d = 0;                                                                                        \
    for (; d + LS_W <= hd; d += LS_W) {                                                                   \
      vf kv[LS_KEYS];                                                                                     \
      for (int j = 0; j < LS_KEYS; j++) kv[j] = load(k[j] + d);                                           \
      for (int i = 0; i < NQ; i++) {                                                                      \
        vf qv = load(q[i] + d);                                                                           \
        for (int j = 0; j < LS_KEYS; j++) acc[i][j] += qv * kv[j];                                        \
      }                                                                                                   \
    }                                                                                                     \
    for (int i = 0; i < NQ; i++)                                                                          \
      for (int j = 0; j < LS_KEYS; j++) {                                                                 \
        float s = sum(acc[i][j]);                                                                         \
        for (int64_t e = d; e < hd; e++) s += q[i][e] * k[j][e];                                          \
        out[i * KEYS + j] = s;                                                                            \
      }                                                                                                   \
  }
SCORES(1)
SCORES(2)
SCORES(4)

// acc[i] = acc[i]·fix[i] + Σ_j p[i][j]·v[j] for NQ queries, two vectors of the head at a time.
#define VALUES(NQ)                                                                                                              \
  static inline void values_##NQ(float *acc, const float *p, const float *fix, const float *const *v, int64_t n, int64_t hd) {  \
    int64_t d = 0;                                                                                                              \
    for (; d + 2 * LS_W <= hd; d += 2 * LS_W) {                                                                                 \
      vf x[NQ], y[NQ];                                                                                                          \
      for (int i = 0; i < NQ; i++) x[i] = load(acc + i * hd + d) * fix[i], y[i] = load(acc + i * hd + d + LS_W) * fix[i];       \
      for (int64_t j = 0; j < n; j++) {                                                                                         \
        vf a = load(v[j] + d), b = load(v[j] + d + LS_W);                                                                       \
        for (int i = 0; i < NQ; i++) x[i] += a * p[i * KEYS + j], y[i] += b * p[i * KEYS + j];                                  \
      }                                                                                                                         \
      for (int i = 0; i < NQ; i++) store(acc + i * hd + d, x[i]), store(acc + i * hd + d + LS_W, y[i]);                         \
    }                                                                                                                           \
    for (; d < hd; d++)                                                                                                         \
      for (int i = 0; i < NQ; i++) {                                                                                            \
        float s = acc[i * hd + d] * fix[i];                                                                                     \
        for (int64_t j = 0; j < n; j++) s += p[i * KEYS + j] * v[j][d];                                                         \
        acc[i * hd + d] = s;                                                                                                    \
      }                                                                                                                         \
  }
VALUES(1)
VALUES(2)
VALUES(4)

// One pass of online softmax over a row of scores: returns the factor for what was summed before.
static inline float softmax_row(float *s, int64_t n, int64_t padded, float *top, float *total) {
  float m = *top;
  for (int64_t j = 0; j < n; j++) m = s[j] > m ? s[j] : m;
  if (m == -INFINITY) {  // nothing seen yet, and nothing to see here
    memset(s, 0, (size_t)n * sizeof *s);
    return 1;
  }
  for (int64_t j = n; j < padded; j++) s[j] = -INFINITY;
  float fix = *top == -INFINITY ? 0 : expf(*top - m);
  vf t = {};
  for (int64_t j = 0; j < padded; j += LS_W) {
    vf e = exp_neg(load(s + j) - m);
    store(s + j, e);
    t += e;
  }
  *total = *total * fix + sum(t);
  *top = m;
  return fix;
}

static void score_tile(const ls_attention_args *a, float *const *q, int64_t nq, const float *const *k, int64_t n, float *s) {
  for (int64_t j = 0; j < n; j += LS_KEYS)  // k is padded to a multiple of LS_KEYS with its last key
    for (int64_t i = 0; i < nq;) {
      if (nq - i >= 4) scores_4(q + i, k + j, a->head_dim, s + i * KEYS + j), i += 4;
      else if (nq - i >= 2) scores_2(q + i, k + j, a->head_dim, s + i * KEYS + j), i += 2;
      else scores_1(q + i, k + j, a->head_dim, s + i * KEYS + j), i += 1;
    }
  for (int64_t i = 0; i < nq; i++)
    for (int64_t j = 0; j < n; j++) {
      float x = s[i * KEYS + j] * a->scale;
      s[i * KEYS + j] = a->softcap > 0 ? a->softcap * tanhf(x / a->softcap) : x;
    }
}

static void value_tile(const ls_attention_args *a, float *acc, const float *s, const float *fix, int64_t nq, const float *const *v, int64_t n) {
  int64_t hd = a->head_dim;
  for (int64_t i = 0; i < nq;) {
    if (nq - i >= 4) values_4(acc + i * hd, s + i * KEYS, fix + i, v, n, hd), i += 4;
    else if (nq - i >= 2) values_2(acc + i * hd, s + i * KEYS, fix + i, v, n, hd), i += 2;
    else values_1(acc + i * hd, s + i * KEYS, fix + i, v, n, hd), i += 1;
  }
}

// A tile of query rows × heads that share one KV head, over all the keys that any of them sees.
static void attend(const ls_task *t) {
  const ls_attention_args *a = t->a;
  int64_t hd = a->head_dim, nq = t->count * t->heads, past = a->past[t->span];
  int64_t first = past + t->first, last = first + t->count - 1;
  float acc[QUERIES * LS_MAX_HEAD_DIM], s[QUERIES * KEYS + LS_W], fix[QUERIES], top[QUERIES], total[QUERIES];
  float *q[QUERIES];
  const float *k[KEYS + LS_KEYS], *v[KEYS];
  memset(acc, 0, (size_t)(nq * hd) * sizeof *acc);
  for (int64_t i = 0; i < nq; i++) {
    int64_t row = a->cumulative[t->span] + t->first + i / t->heads, head = t->head + i % t->heads;
    q[i] = a->out + (row * a->q_heads + head) * hd;
    top[i] = -INFINITY, total[i] = 0;
  }
  int64_t from = a->window > 0 && first - a->window + 1 > 0 ? first - a->window + 1 : 0;
  for (; from <= last; from += KEYS) {
    int64_t n = last + 1 - from < KEYS ? last + 1 - from : KEYS;
    for (int64_t j = 0; j < n; j++) {
      int64_t at = slot(a, t->span, from + j, t->kv_head);
      k[j] = a->key_cache + at, v[j] = a->value_cache + at;
    }
    for (int64_t j = n; j < n + LS_KEYS; j++) k[j] = k[n - 1];
    score_tile(a, q, nq, k, n, s);
    for (int64_t i = 0; i < nq; i++) {
      int64_t position = first + i / t->heads, low = a->window > 0 ? position - a->window + 1 : 0;
      for (int64_t j = position + 1 - from > 0 ? position + 1 - from : 0; j < n; j++) s[i * KEYS + j] = -INFINITY;
      for (int64_t j = 0; j < n && from + j < low; j++) s[i * KEYS + j] = -INFINITY;
      fix[i] = softmax_row(s + i * KEYS, n, (n + LS_W - 1) / LS_W * LS_W, top + i, total + i);
    }
    value_tile(a, acc, s, fix, nq, v, n);
  }
  for (int64_t i = 0; i < nq; i++) {
    float f = 1 / total[i];
    for (int64_t d = 0; d < hd; d++) q[i][d] = acc[i * hd + d] * f;
  }
}

const ls_kernels LS_NAME(ls_kernels) = {prepare, attend};
