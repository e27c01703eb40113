// Prefill: many query vectors that share one KV head. Its keys and values are widened a block at a time, once
// for all tiles of queries. The including file defines LS_TQ, the queries of a score block of four keys, and
// LS_TV, the vectors of a value block of TILE_VALUES queries, so that accumulators stay in registers.
#ifndef LOOPSERVE_ATTENTION_TILE_H
#define LOOPSERVE_ATTENTION_TILE_H

#include "attention_block.h"

enum { TILE_QUERIES = 24, TILE_VALUES = 6 };
_Static_assert(TILE_QUERIES % LS_TQ == 0 && TILE_QUERIES % TILE_VALUES == 0, "a block is cut off");
_Static_assert(TILE_QUERIES *LS_MAX_HEAD_DIM <= LS_TILE_FLOATS, "a tile has no room");

SCORES(tile_dots, LS_TQ, float, load, *)
VALUES(tile_values_1, TILE_VALUES, 1, float, load)
VALUES(tile_values_n, TILE_VALUES, LS_TV, float, load)

// Some of a task's rows, TILE_QUERIES query vectors at most, and what they have come to.
typedef struct {
  ls_task rows;
  int64_t queries;
  float *q, *acc;  // [TILE_QUERIES, hd]
  ls_sums segment[TILE_QUERIES], sums[TILE_QUERIES];
} tile;

// A block of keys, of which a task sees those from the `from`-th to before the `to`-th. Other keys
// are 0 or of an earlier block, and their scores masked; other values are not read. Values are widened when
// the first tile gets to them: then they are in the first-level cache.
typedef struct {
  int64_t begin, from, to;
  int values_are_wide;
  const float *k[LS_KEYS], *v[LS_KEYS];
  float *wide_v;  // where v's begin
  float k_scale[LS_KEYS], v_scale[LS_KEYS];
  const kv_t *k_heads[LS_KEYS], *v_heads[LS_KEYS];  // from the `from`-th on
} keys;

static void tile_block(tile *x, keys *b) {
  const ls_task *t = &x->rows;
  const ls_attention_args *a = t->a;
  int64_t hd = a->head_dim, first = a->past[t->span] + t->first;
  int64_t from = t->from - b->begin > b->from ? t->from - b->begin : b->from;
  int64_t to = t->to - b->begin < b->to ? t->to - b->begin : b->to;
  float s[TILE_QUERIES * LS_KEYS], fix[TILE_QUERIES] = {0};
  if (begins(t, b->begin)) {
    memset(x->acc, 0, (size_t)(TILE_QUERIES * hd) * sizeof *x->acc);
    for (int64_t i = 0; i < TILE_QUERIES; i++) x->segment[i] = (ls_sums){-FLT_MAX, 0};
  }
  for (int64_t j = from / 4 * 4; j < to; j += 4) {
    for (int64_t i = 0; i < x->queries; i += LS_TQ) {
      quad score[LS_TQ];
      tile_dots(x->q + i * hd, b->k + j, hd, score);
      for (int64_t r = 0; r < LS_TQ; r++) {
        if (LS_SCALED)
          score[r] *= (quad){b->k_scale[j], b->k_scale[j + 1], b->k_scale[j + 2], b->k_scale[j + 3]};
        memcpy(s + (i + r) * LS_KEYS + j, &score[r], sizeof *score);
      }
    }
  }
  if (!b->values_are_wide)
    widen(b->v_heads, b->to - b->from, hd, b->wide_v + b->from * hd, b->v_scale + b->from);
  b->values_are_wide = 1;
  for (int64_t i = 0; i < x->queries; i++) {
    float *line = s + i * LS_KEYS;
    fix[i] = weigh(t, line, b->begin, from, i / t->heads, x->segment + i);
    for (int64_t j = 0; LS_SCALED && j < LS_KEYS; j++) line[j] *= b->v_scale[j];
  }
  memset(s + x->queries * LS_KEYS, 0, (size_t)((TILE_QUERIES - x->queries) * LS_KEYS) * sizeof *s);
  for (int64_t i = 0; i < x->queries; i += TILE_VALUES) {
    int64_t last = i + TILE_VALUES <= x->queries ? i + TILE_VALUES - 1 : x->queries - 1, d = 0;
    int64_t seen = ls_sees(a, t->span, first + last / t->heads) - b->begin;
    int64_t n = (seen < to ? seen : to) - from;
    float *acc = x->acc + i * hd;
    const float *p = s + i * LS_KEYS + from;
    const float *const *v = b->v + from;
    for (; d + LS_TV * LS_W <= hd; d += LS_TV * LS_W) tile_values_n(acc + d, fix + i, p, v, d, n, hd);
    for (; d + LS_W <= hd; d += LS_W) tile_values_1(acc + d, fix + i, p, v, d, n, hd);
    for (; d < hd; d++)
      for (int64_t r = 0; i + r <= last; r++) {
        float sum = acc[r * hd + d] * fix[i + r];
        for (int64_t j = 0; j < n; j++) sum = LS_MADD1(p[r * LS_KEYS + j], v[j][d], sum);
        acc[r * hd + d] = sum;
      }
  }
  if (ends(t, b->begin))
    for (int64_t i = 0; i < x->queries; i++)
      settle(t, i, b->begin, x->acc + i * hd, x->segment[i], x->sums + i);
}

static void attend_tile(const ls_task *t) {
  const ls_attention_args *a = t->a;
  int64_t hd = a->head_dim, per_tile = TILE_QUERIES / t->heads, tiles = 0;
  float q[LS_TILE_FLOATS], acc[LS_TILE_FLOATS], k[LS_KEYS * LS_MAX_HEAD_DIM], v[LS_KEYS * LS_MAX_HEAD_DIM];
  tile all[LS_TILES];
  for (int64_t row = 0; row < t->count; row += per_tile, tiles++) {
    tile *x = all + tiles;
    x->rows = *t;
    if (t->count > per_tile) {  // each sees other keys
      x->rows.first = t->first + row;
      x->rows.count = t->count - row < per_tile ? t->count - row : per_tile;
      int64_t first = a->past[t->span] + x->rows.first;
      x->rows.from = ls_oldest(a, first);
      x->rows.to = ls_sees(a, t->span, first + x->rows.count - 1);
    }
    x->queries = x->rows.count * t->heads;
    x->q = q + tiles * TILE_QUERIES * hd, x->acc = acc + tiles * TILE_QUERIES * hd;
    for (int64_t i = 0; i < TILE_QUERIES; i++)  // those beyond the last are computed, and not used
      take_query(&x->rows, i < x->queries ? i : 0, x->q + i * hd);
  }
  keys b = {.wide_v = v};
  memset(k, 0, (size_t)(LS_KEYS * hd) * sizeof *k);
  for (int64_t j = 0; j < LS_KEYS; j++) b.k[j] = k + j * hd, b.v[j] = v + j * hd;
  for (b.begin = t->from - t->from % LS_KEYS; b.begin < t->to; b.begin += LS_KEYS) {
    b.from = b.begin < t->from ? t->from - b.begin : 0;
    b.to = t->to - b.begin < LS_KEYS ? t->to - b.begin : LS_KEYS;
    locate(a, t->span, b.begin + b.from, b.to - b.from, t->kv_head, b.k_heads, b.v_heads);
    widen(b.k_heads, b.to - b.from, hd, k + b.from * hd, b.k_scale + b.from);
    b.values_are_wide = 0;
    for (tile *x = all; x < all + tiles; x++)
      if (x->rows.from < b.begin + b.to && b.begin < x->rows.to) tile_block(x, &b);
  }
}

#endif
