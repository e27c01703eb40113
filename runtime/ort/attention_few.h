// Decode: few query vectors for each KV head, so what counts is how the keys and values stream in. A task
// walks them once, position by position with all of its KV heads side by side, as they lie in memory, and
// says ahead what comes. With more than FEW_QUERIES for a KV head the tile kernel is faster. LS_FQ is how
// many queries share a block of four keys in registers.
#ifndef LOOPSERVE_ATTENTION_FEW_H
#define LOOPSERVE_ATTENTION_FEW_H

#include "attention_block.h"

enum { FEW_QUERIES = 5, FEW_AHEAD = 64 };

// s[i][0..3] = q[i]·k[0..3] for NQ queries.
#define FEW_SCORES(NQ)                                                                             \
  SCORES(few_dots_##NQ, NQ, kv_t, load_kv, one_kv)                                                 \
  static inline void few_scores_##NQ(const float *q, const kv_t *const *k, int64_t at, int64_t hd, \
                                     float *s) {                                                   \
    quad x[NQ];                                                                                    \
    const kv_t *row[4] = {k[0] + at, k[1] + at, k[2] + at, k[3] + at};                             \
    few_dots_##NQ(q, row, hd, x);                                                                  \
    for (int i = 0; i < NQ; i++) {                                                                 \
      x[i] = scaled4(x[i], row, hd);                                                               \
      memcpy(s + i * LS_KEYS, &x[i], sizeof *x);                                                   \
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
  for (; i + 4 <= nq; i += 4) few_scores_4(q + i * hd, k, at, hd, s + i * LS_KEYS);
#endif
  for (; i + 2 <= nq; i += 2) few_scores_2(q + i * hd, k, at, hd, s + i * LS_KEYS);
  if (i < nq) few_scores_1(q + i * hd, k, at, hd, s + i * LS_KEYS);
}

VALUES(few_values_1_1, 1, 1, kv_t, load_kv)
VALUES(few_values_1_4, 1, 4, kv_t, load_kv)
VALUES(few_values_2_1, 2, 1, kv_t, load_kv)
VALUES(few_values_2_4, 2, 4, kv_t, load_kv)
#if LS_W < 16
VALUES(few_values_1_8, 1, 8, kv_t, load_kv)
#endif

static inline void few_values(float *acc, int64_t nq, const float *fix, const float *p, const kv_t *const *v,
                              int64_t at, int64_t n, int64_t hd) {
  for (int64_t i = 0; i < nq; acc += 2 * hd, p += 2 * LS_KEYS, fix += 2, i += 2) {
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
        for (int64_t j = 0; j < n; j++) s = LS_MADD1(p[r * LS_KEYS + j], one_kv(v[j] + at + d), s);
        acc[r * hd + d] = s;
      }
  }
}

// Rows that are read later, asked for in the order in which they lie in memory, a part at a time: head by
// head, as they are read, a key takes up to a fifth longer.
typedef struct {
  const kv_t *const *rows;
  int64_t line, lines;  // the next one of a row, and how many it has
  int64_t part, left;   // lines at a time, and to come
} asking;

static inline asking ask(const kv_t *const *rows, int64_t count, int64_t bytes, int64_t parts) {
  int64_t lines = (bytes + LINE_BYTES - 1) / LINE_BYTES, all = count * lines;
  return (asking){rows, 0, lines, (all + parts - 1) / parts, all};
}

static inline void fetch(asking *at) {
  for (int64_t i = 0; i < at->part && at->left > 0; i++, at->left--) {
    __builtin_prefetch((const char *)*at->rows + at->line * LINE_BYTES, 0, 2);
    if (++at->line == at->lines) at->line = 0, at->rows++;
  }
}

// The first keys that a task reads, n at most.
static inline int64_t locate_first(const ls_task *t, int64_t n, const kv_t **k, const kv_t **v) {
  if (t->to - t->from < n) n = t->to - t->from;
  locate(t->a, t->span, t->from, n, t->kv_head, k, v);
  return n;
}

static void attend_few(const ls_task *t) {
  const ls_attention_args *a = t->a;
  int64_t hd = a->head_dim, nq = t->count * t->heads, all = nq * t->kv_heads;
  float q[LS_FEW_FLOATS], acc[LS_FEW_FLOATS], s[LS_FEW_VECTORS * LS_KEYS];
  float fix[LS_FEW_VECTORS], ones[LS_FEW_VECTORS];
  ls_sums segment[LS_FEW_VECTORS], sums[LS_FEW_VECTORS];
  // What the walk reads in order: the block's keys, its values, the keys of the next block or task.
  const kv_t *walk[2 * LS_KEYS + FEW_AHEAD + 8];
  int64_t ahead = 4;  // keys that are asked for in advance: some 64 KiB, into the second-level cache
  int64_t row = kv_row(hd), bytes = t->kv_heads * row * (int64_t)sizeof(kv_t);
  while (ahead < FEW_AHEAD && ahead * bytes < 65536) ahead += 4;
  for (int64_t i = 0; i < nq; i++) ones[i] = 1;
  for (int64_t i = 0; i < all; i++) take_query(t, i, q + i * hd);
  for (int64_t block = t->from - t->from % LS_KEYS; block < t->to; block += LS_KEYS) {
    if (begins(t, block)) {
      memset(acc, 0, (size_t)(all * hd) * sizeof *acc);
      for (int64_t i = 0; i < all; i++) segment[i] = (ls_sums){-FLT_MAX, 0};
    }
    int64_t from = block < t->from ? t->from - block : 0,
            n = t->to - block < LS_KEYS ? t->to - block : LS_KEYS;
    int64_t padded = (n + 3) / 4 * 4;
    const kv_t **k = walk, **v = walk + padded, **next = v + padded, *unused[FEW_AHEAD];
    locate(a, t->span, block + from, n - from, t->kv_head, k + from, v + from);
    for (int64_t j = 0; j < from; j++) k[j] = k[from], v[j] = v[from];
    for (int64_t j = n; j < padded; j++) k[j] = k[n - 1], v[j] = v[n - 1];
    int64_t more = t->to - block - n < ahead ? t->to - block - n : ahead;
    locate(a, t->span, block + n, more, t->kv_head, next, unused);
    if (more < ahead && t->then != NULL) more += locate_first(t->then, ahead - more, next + more, unused);
    for (int64_t j = more; j < ahead + 8; j++) next[j] = k[from];
    for (int64_t j = from / 4 * 4; j < padded; j += 4) {
      asking later = ask(k + j + ahead, 4, bytes, t->kv_heads);
      for (int64_t h = 0; h < t->kv_heads; h++) {
        fetch(&later);
        few_scores(q + h * nq * hd, nq, k + j, h * row, hd, s + h * nq * LS_KEYS + j);
      }
    }
    for (int64_t i = 0; i < all; i++) {
      float *line = s + i * LS_KEYS;
      fix[i] = weigh(t, line, block, from, i % nq / t->heads, segment + i);
      scale_weights(line + from, v + from, i / nq * row, n - from, hd);
    }
    for (int64_t j = from; j < n; j += 8) {
      asking later = ask(v + j + ahead, 8, bytes, t->kv_heads);
      for (int64_t h = 0; h < t->kv_heads; h++) {
        fetch(&later);
        few_values(acc + h * nq * hd, nq, j > from ? ones : fix + h * nq, s + h * nq * LS_KEYS + j, v + j,
                   h * row, n - j < 8 ? n - j : 8, hd);
      }
    }
    if (ends(t, block))
      for (int64_t i = 0; i < all; i++) settle(t, i, block, acc + i * hd, segment[i], sums + i);
  }
}

#endif
