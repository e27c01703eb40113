// Paged attention on the CPU, float32 with a cache of float32, float16 or int8: the contract of
// com.microsoft.PagedAttention (see docs/bundle-format.md). No dependency on ONNX Runtime: attention_op.c
// calls it from the operator, attention_test.go from tests.
#ifndef LOOPSERVE_ATTENTION_H
#define LOOPSERVE_ATTENTION_H

#include <stddef.h>
#include <stdint.h>

#include "cpu.h"

enum { LS_MAX_HEAD_DIM = 512 };  // bounds the stack scratch of a task
// Beyond any model, and so small that no product of them and a tensor's length leaves 64 bits.
enum { LS_MAX_HEADS = 1 << 12, LS_MAX_LAYERS = 1 << 16, LS_MAX_WINDOW = 1 << 24, LS_MAX_PAGE = 1 << 24 };

// What a row and head gets is defined by positions of the row's own sequence alone, whichever kernel computes
// it, in whatever company, on however many threads, from pages of any size. Keys are cut at fixed positions:
// into blocks, for which the largest score is found at once, and segments, each of which is summed for
// itself, block by block, from its first key to its last; segments are joined in order. Lanes of a vector
// decide the order in which a score and a block's weights are summed, so bits are equal within a set of
// instructions, not between two.
enum { LS_KEYS = 64, LS_SEGMENT = 4 * LS_KEYS };

// What the caches hold: attention_kv.h. A macro each, because the preprocessor chooses by them.
#define LS_KV_F32 0
#define LS_KV_F16 1
#define LS_KV_INT8 2
enum { LS_KV_KINDS = 3, LS_KV_SCALE = 2 };  // LS_KV_SCALE: bytes of an int8 head's scale, after its numbers

typedef struct {
  int64_t rows, spans, q_heads, kv_heads, head_dim;
  int64_t slabs, page_size;   // of the cache tensors [slabs, page_size, kv_heads, head_dim (+ LS_KV_SCALE)]
  int64_t columns;            // of block_table
  int64_t layer, num_layers;  // page p of this layer is slab p*num_layers + layer
  const float *q, *k, *v;  // row r starts at r * stride (in floats), so that q, k, v may be one packed tensor
  int64_t q_stride, k_stride, v_stride;
  int kv;  // LS_KV_…
  void *key_cache, *value_cache;
  const int32_t *cumulative;  // [spans+1] first packed row of each span, then rows
  const int32_t *past;        // [spans] tokens in the cache before the span's first row
  const int32_t *table;       // [spans, columns] pages; -1: unmapped
  const int32_t *visible;     // [spans] keys that each row sees at least, written by then; NULL: up to itself
  const float *cos, *sin;     // [positions, rotary_dim/2]; NULL: no RoPE
  int64_t positions, rotary_dim;
  int interleaved;               // RoPE pairs (2i, 2i+1) instead of (i, i+rotary_dim/2)
  int qk_norm;                   // RMSNorm per head on q and k: 0 none, 1 before RoPE, 2 after
  const float *q_norm, *k_norm;  // gains [head_dim]; NULL: 1
  float qk_norm_eps;
  float scale, softcap;  // softcap 0: none
  int64_t window;        // <= 0: none; otherwise a row sees itself and the window-1 tokens before it
  float *out;            // [rows, q_heads*head_dim]; also holds the rotated queries meanwhile
} ls_attention_args;

// How many keys a row at that position of a span sees.
static inline int64_t ls_sees(const ls_attention_args *a, int64_t span, int64_t position) {
  int64_t least = a->visible ? a->visible[span] : 0;
  return position + 1 > least ? position + 1 : least;
}

// The first of them.
static inline int64_t ls_oldest(const ls_attention_args *a, int64_t position) {
  return a->window > 0 && position >= a->window ? position - a->window + 1 : 0;
}

// Writes K and V of the rows into the caches and the attention into out. Checks all metadata before it
// touches any memory: on an error it returns -1, with a message in e that names the field and the value.
int ls_paged_attention(const ls_attention_args *a, const ls_pool *pool, ls_error *e);

// The inner loops of one instruction set and one kind of cache; each attention_<isa>_<kind>.c defines one.

// Query vectors of a `few` task, and their numbers, at most.
enum { LS_FEW_VECTORS = 64, LS_FEW_FLOATS = 8192 };
// Tiles of a task that is not `few`, and numbers of their query vectors, at most: 264 vectors of 64 numbers.
enum { LS_TILES = 11, LS_TILE_FLOATS = 33 * LS_MAX_HEAD_DIM };

typedef struct ls_task {
  const ls_attention_args *a;
  int64_t span, first, count;  // rows of the span in this task
  int64_t from, to;            // keys: positions of the span
  int64_t kv_head, kv_heads;   // more than one: only with `few`, and then all of each one's query heads
  int64_t head, heads;  // query heads [head, head+heads) share kv_head, the next `heads` the next KV head
  int few;              // few query vectors for each KV head: stream the keys, rather than tile them
  // Not NULL: other tasks see other segments, each leaves its sums here. Per segment, row and head of the
  // span, head_dim + 2 numbers: sums, largest score, sum of weights.
  float *parts;
  int64_t segment;             // the first one that has a place in parts
  const struct ls_task *then;  // what the thread does afterwards: asked for in time; NULL: not known
} ls_task;

typedef struct {
  // Norm, RoPE and cache writes of one packed row.
  void (*prepare)(const ls_attention_args *a, int64_t span, int64_t row);
  void (*attend)(const ls_task *t);
  // Writes the attention of a row and head, of which `count` segments have been summed, each `stride` floats
  // behind the one before.
  void (*join)(const float *parts, int64_t count, int64_t stride, int64_t head_dim, float *out);
  int64_t tile, few;  // query vectors of a tile, and up to how many for a KV head `few` pays
} ls_kernels;
#define LS_KERNELS(isa) ls_kernels_##isa##_f32, ls_kernels_##isa##_f16, ls_kernels_##isa##_int8  // by LS_KV_…
extern const ls_kernels LS_KERNELS(portable), LS_KERNELS(avx2), LS_KERNELS(avx512);

// How a call is cut into tasks: attention_plan.c. Everything is computed from the lengths, nothing is stored.
typedef struct {
  const ls_attention_args *a;
  const ls_kernels *k;
  double cost, target;  // of the call, in multiply-adds; of a task that keeps all threads busy to the end
  size_t tasks;
  int64_t room, parts;  // floats that the sums of shared segments may take, and take
} ls_plan;
typedef struct {
  int64_t runs, chunks, parts;             // of rows, of heads, of keys; their product is the number of tasks
  int64_t run_rows, head_chunk, kv_chunk;  // of a task: rows, query heads for a KV head, KV heads
  int64_t segment, segments;               // the first one that the span sees, and how many they are
  int few;
} ls_cut;
ls_plan ls_plan_call(const ls_attention_args *a, const ls_kernels *k, size_t threads, int64_t room);
// parts_used: floats, over spans in order.
ls_cut ls_plan_span(const ls_plan *p, int64_t span, int64_t *parts_used);
ls_task ls_plan_task(const ls_plan *p, const ls_cut *c, int64_t span, int64_t number, float *parts);
void ls_join_parts(const ls_plan *p, const float *parts);
#endif
