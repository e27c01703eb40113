//go:build cgo

// How a call is cut into tasks: rows into runs of some tiles, heads into chunks and, where that leaves
// threads idle, keys into parts of whole segments, which are joined at the end. It decides who computes what,
// never what comes out.
#include <math.h>

#include "attention.h"

enum { TASKS = 4 };  // of a thread: what a call is worth dividing into, so that all are busy to the end

static int64_t at_least_1(double x) { return x < 1 ? 1 : x > INT32_MAX ? INT32_MAX : (int64_t)x; }
static int64_t parted(int64_t n, int64_t size) { return (n + size - 1) / size; }
static int64_t span_rows(const ls_attention_args *a, int64_t s) {
  return a->cumulative[s + 1] - a->cumulative[s];
}

static int64_t span_keys(const ls_attention_args *a, int64_t s) {
  return ls_sees(a, s, a->past[s] + span_rows(a, s) - 1);
}

static int64_t span_low(const ls_attention_args *a, int64_t s) { return ls_oldest(a, a->past[s]); }

// What one KV head of a span costs, in multiply-adds: a key that is only read counts as some arithmetic too.
static double head_cost(const ls_attention_args *a, int64_t s) {
  double rows = (double)span_rows(a, s), group = (double)(a->q_heads / a->kv_heads);
  double keys = (double)(a->past[s] - span_low(a, s)) + rows / 2;
  if (a->visible && keys < a->visible[s]) keys = a->visible[s];
  if (a->window > 0 && keys > (double)a->window) keys = (double)a->window;
  return rows > 0 ? (rows * group * 2 + 8) * keys * (double)a->head_dim : 0;
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// Into how many parts the segments of a span are cut, of the number that is wanted.
static int64_t cut_keys(const ls_plan *p, int64_t rows, int64_t segments, int64_t wanted,
                        int64_t *parts_used) {
  const ls_attention_args *a = p->a;
  int64_t parts = least(wanted, segments), room = (p->room - *parts_used) / (a->head_dim + 2);
  if (parts < 2 || segments > room / (rows * a->q_heads)) return 1;
  *parts_used += segments * rows * a->q_heads * (a->head_dim + 2);
  return parts;
}

ls_cut ls_plan_span(const ls_plan *p, int64_t s, int64_t *parts_used) {
  const ls_attention_args *a = p->a;
  int64_t rows = span_rows(a, s), group = a->q_heads / a->kv_heads;
  double cost = head_cost(a, s);
  ls_cut c = {.runs = 0, .chunks = 1, .parts = 1, .segment = span_low(a, s) / LS_SEGMENT};
  if (rows == 0) return c;
  c.segments = parted(span_keys(a, s), LS_SEGMENT) - c.segment;
  c.few = rows * group <= p->k->few && rows * group * a->head_dim <= LS_FEW_FLOATS;
  // By keys, in whole segments, and by heads only as far as the longest part would leave threads idle for
  // most of the time: rows of all heads stream in much faster, since a core that needs a part of each also
  // reads ahead what is another one's.
  if (c.few) {
    int64_t wanted = at_least_1(cost * (double)a->kv_heads / p->target + 0.5);
    int64_t most = least(LS_FEW_VECTORS / (rows * group), LS_FEW_FLOATS / (rows * group * a->head_dim));
    c.parts = cut_keys(p, rows, c.segments, wanted, parts_used);
    int64_t keys = span_keys(a, s) - span_low(a, s),
            longest = least(parted(c.segments, c.parts) * LS_SEGMENT, keys);
    int64_t by_heads = at_least_1((double)longest * (double)wanted / (double)(TASKS * keys) + 0.25);
    c.kv_chunk = least(parted(a->kv_heads, by_heads), most);
    c.runs = 1, c.run_rows = rows, c.head_chunk = group;
    c.chunks = parted(a->kv_heads, c.kv_chunk);
    return c;
  }
  int64_t per_group = parted(group, p->k->tile);
  c.head_chunk = parted(group, per_group), c.kv_chunk = 1;
  // As many tiles as there is room for, unless that leaves threads idle.
  int64_t of_tile = p->k->tile / c.head_chunk, tiles = parted(rows, of_tile);
  int64_t most = least(LS_TILES, LS_TILE_FLOATS / (p->k->tile * a->head_dim));
  int64_t wanted = at_least_1(cost / (p->target * (double)per_group) + 0.5);
  c.run_rows =
      parted(tiles, least(tiles, wanted > parted(tiles, most) ? wanted : parted(tiles, most))) * of_tile;
  c.runs = parted(rows, c.run_rows);
  c.chunks = a->kv_heads * per_group;
  if (tiles == 1)
    c.parts = cut_keys(p, rows, c.segments, at_least_1(cost / (p->target * (double)per_group)), parts_used);
  return c;
}

ls_task ls_plan_task(const ls_plan *p, const ls_cut *c, int64_t s, int64_t number, float *parts) {
  const ls_attention_args *a = p->a;
  int64_t rows = span_rows(a, s), group = a->q_heads / a->kv_heads, per_group = parted(group, c->head_chunk);
  int64_t run = c->runs - 1 - number % c->runs;  // the last one sees the most keys: longest first
  int64_t chunk = number / c->runs % c->chunks, part = number / c->runs / c->chunks;
  ls_task t = {.a = a, .span = s, .first = run * c->run_rows, .few = c->few};
  t.count = rows - t.first < c->run_rows ? rows - t.first : c->run_rows;
  t.kv_head = chunk / per_group * c->kv_chunk;
  t.kv_heads = a->kv_heads - t.kv_head < c->kv_chunk ? a->kv_heads - t.kv_head : c->kv_chunk;
  int64_t within = chunk % per_group * c->head_chunk;
  t.head = t.kv_head * group + within;
  t.heads = group - within < c->head_chunk ? group - within : c->head_chunk;
  t.from = ls_oldest(a, a->past[s] + t.first);
  t.to = ls_sees(a, s, a->past[s] + t.first + t.count - 1);
  if (c->parts > 1) {
    int64_t from = c->segment + part * c->segments / c->parts,
            to = c->segment + (part + 1) * c->segments / c->parts;
    if (part > 0) t.from = from * LS_SEGMENT;
    if (part + 1 < c->parts) t.to = to * LS_SEGMENT;
    t.parts = parts, t.segment = c->segment;
  }
  return t;
}

ls_plan ls_plan_call(const ls_attention_args *a, const ls_kernels *k, size_t threads, int64_t room) {
  ls_plan p = {.a = a, .k = k, .room = room, .target = INFINITY};
  for (int64_t s = 0; s < a->spans; s++) p.cost += head_cost(a, s) * (double)a->kv_heads;
  if (threads > 1) p.target = p.cost / (double)(TASKS * threads) + 1;
  for (int64_t s = 0; s < a->spans; s++) {
    ls_cut c = ls_plan_span(&p, s, &p.parts);
    p.tasks += (size_t)(c.runs * c.chunks * c.parts);
  }
  return p;
}

void ls_join_parts(const ls_plan *p, const float *parts) {
  const ls_attention_args *a = p->a;
  int64_t used = 0, base = 0;
  for (int64_t s = 0; s < a->spans; s++, base = used) {
    ls_cut c = ls_plan_span(p, s, &used);
    if (c.parts == 1) continue;
    int64_t hd = a->head_dim, vectors = span_rows(a, s) * a->q_heads;
    float *out = a->out + a->cumulative[s] * a->q_heads * hd;
    for (int64_t i = 0; i < vectors; i++)
      p->k->join(parts + base + i * (hd + 2), c.segments, vectors * (hd + 2), hd, out + i * hd);
  }
}
