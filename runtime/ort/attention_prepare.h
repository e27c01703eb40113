// First half of a call: what a row brings is normed, turned and written where attention will read it.
#ifndef LOOPSERVE_ATTENTION_PREPARE_H
#define LOOPSERVE_ATTENTION_PREPARE_H

#include "attention_kv.h"

static void norm(float *x, int64_t n, const float *gain, float eps) {
  vf squares = {};
  float rest = 0;
  int64_t i = 0;
  for (; i + LS_W <= n; i += LS_W) squares += load(x + i) * load(x + i);
  for (; i < n; i++) rest += x[i] * x[i];
  float f = 1 / sqrtf((sum(squares) + rest) / (float)n + eps);
  for (i = 0; i < n; i++) x[i] *= gain ? f * gain[i] : f;
}

static void rope(float *x, const float *c, const float *s, int64_t half, int interleaved) {
  int64_t i = 0, step = interleaved ? 2 : 1, other = interleaved ? 1 : half;
  if (!interleaved)
    for (; i + LS_W <= half; i += LS_W) {
      vf a = load(x + i), b = load(x + half + i), cv = load(c + i), sv = load(s + i);
      store(x + i, a * cv - b * sv);
      store(x + half + i, b * cv + a * sv);
    }
  for (; i < half; i++) {
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
  return ((slab * a->page_size + position % a->page_size) * a->kv_heads + kv_head) * kv_row(a->head_dim);
}

// Fills k and v with where n positions of a span lie, page by page: a division for each would cost as much as
// a key.
static inline void locate(const ls_attention_args *a, int64_t span, int64_t from, int64_t n, int64_t kv_head,
                          const kv_t **k, const kv_t **v) {
  const int32_t *page = a->table + span * a->columns + from / a->page_size;
  int64_t in_page = from % a->page_size, row = kv_row(a->head_dim), step = a->kv_heads * row;
  const kv_t *keys = a->key_cache, *values = a->value_cache;
  for (int64_t j = 0; j < n; page++, in_page = 0) {
    int64_t slab = (int64_t)*page * a->num_layers + a->layer;
    int64_t at = ((slab * a->page_size + in_page) * a->kv_heads + kv_head) * row;
    for (; in_page < a->page_size && j < n; in_page++, j++, at += step) k[j] = keys + at, v[j] = values + at;
  }
}

static void prepare(const ls_attention_args *a, int64_t span, int64_t row) {
  int64_t position = a->past[span] + (row - a->cumulative[span]), hd = a->head_dim;
  const float *from_k = a->k + row * a->k_stride, *from_v = a->v + row * a->v_stride;
  kv_t *k = (kv_t *)a->key_cache + slot(a, span, position, 0);
  kv_t *v = (kv_t *)a->value_cache + slot(a, span, position, 0);
#if LS_KV == LS_KV_F32
  size_t wide = (size_t)(a->kv_heads * hd) * sizeof(float);
  memcpy(k, from_k, wide);
  memcpy(v, from_v, wide);
  for (int64_t h = 0; h < a->kv_heads; h++) turn(a, k + h * hd, a->k_norm, position);
#else
  for (int64_t h = 0; h < a->kv_heads; h++) {
    float head[LS_MAX_HEAD_DIM];
    memcpy(head, from_k + h * hd, (size_t)hd * sizeof(float));
    turn(a, head, a->k_norm, position);
    put_kv(k + h * kv_row(hd), head, hd);
    put_kv(v + h * kv_row(hd), from_v + h * hd, hd);
  }
#endif
  float *q = a->out + row * a->q_heads * hd;
  memcpy(q, a->q + row * a->q_stride, (size_t)(a->q_heads * hd) * sizeof(float));
  for (int64_t h = 0; h < a->q_heads; h++) turn(a, q + h * hd, a->q_norm, position);
}

#endif
