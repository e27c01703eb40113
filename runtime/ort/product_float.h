// The products with float32 and bfloat16 weights, over GCC's vectors. Each sum is one chain of LS_MADD over
// the inputs in their order, in a lane of its own: the same in every tile, and with vectors of any width.

// A group is PARTS vectors of columns. One row waits for memory alone: NEAR is what that delivers in its
// latency, and goes to the first cache. Further rows leave time: what is FAR goes to the second, which has
// more requests under way.
enum { PARTS = LS_GROUP / LS_W, LINE = 64, NEAR = 12 << 10, FAR = 32 << 10 };

// What a tile reads: the weights of one group or of some adjacent ones, a block of each at a time.
typedef struct {
  const uint8_t *w, *next;  // of this tile, of the one that follows
  size_t group, block;      // bytes
  int64_t blocks;
  const void *x;
  ls_results to;
} reading;

// Writes a vector of a group's columns.
static inline void put(const ls_results *to, int64_t group, int64_t row, int part, vf sum) {
  int64_t at = group * to->group + row * to->row + part * LS_W;
  if (to->bias != NULL) sum += load(to->bias + group * LS_GROUP + part * LS_W);
  if (to->residual != NULL) sum = load(to->residual + at) + sum;
  store(to->y + at, sum);
}

// The groups after the first n.
static inline void advance(reading *in, int64_t n) {
  in->w += (size_t)n * in->group;
  in->to.y += n * in->to.group;
  if (in->to.bias != NULL) in->to.bias += n * LS_GROUP;
  if (in->to.residual != NULL) in->to.residual += n * in->to.group;
}

// What is to be asked for while block b is read: the core's own prefetching stops at each page and comes
// late.
static inline __attribute__((always_inline)) const uint8_t *later(const reading *in, int64_t b, int groups,
                                                                  int rows) {
  int64_t ahead = (rows == 1 ? NEAR : FAR) / (int64_t)in->block / groups;
  b += ahead < in->blocks ? ahead : in->blocks;
  return (b < in->blocks ? in->w : in->next - in->group) + (size_t)b * in->block;
}

static inline __attribute__((always_inline)) void ask_line(const uint8_t *p, int rows) {
  if (rows == 1) {
    __builtin_prefetch(p, 0, 3);
  } else {
    __builtin_prefetch(p, 0, 2);
  }
}

// Rows of a tile, and of one with two groups: as many sums as registers hold beside weights and an input.
#if LS_W == 16
enum { LS_FLOAT_TILE = 12, LS_FLOAT_WIDE = 12 };
#elif LS_W == 8 || defined(__aarch64__)
enum { LS_FLOAT_TILE = 6, LS_FLOAT_WIDE = 2 };
#else
enum { LS_FLOAT_TILE = 3, LS_FLOAT_WIDE = 1 };
#endif

// Some groups of columns for some rows: constants, so that sums stay in registers.
static inline __attribute__((always_inline)) void float_tile(const reading *in, int bits, int groups,
                                                             int rows) {
  const int vectors = groups * PARTS, each = 32 / bits;  // inputs in a line
  const int64_t stride = ls_float_stride(in->blocks);
  const float *x = in->x;
  const uint8_t *w = in->w;
  vf sums[2 * PARTS][LS_FLOAT_TILE];
  for (int v = 0; v < vectors; v++)
    for (int r = 0; r < rows; r++) sums[v][r] = (vf){};
  for (int64_t b = 0; b < in->blocks; b++) {
    const uint8_t *ask = in->next != NULL ? later(in, b, groups, rows) : w;
    for (int line = 0; line < LS_BLOCK / each; line++, w += LINE, ask += LINE, x += each) {
      vi raw[2 * PARTS];
      for (int v = 0; v < vectors; v++)
        raw[v] = (vi)load((const float *)(w + (size_t)(v / PARTS) * in->group) + v % PARTS * LS_W);
      for (int g = 0; g < groups; g++)
        if (in->next != NULL) ask_line(ask + (size_t)g * in->group, rows);
      for (int i = 0; i < each; i++) {
        vf weights[2 * PARTS];
        for (int v = 0; v < vectors; v++)
          weights[v] = (vf)(each == 1 ? raw[v] : i == 0 ? raw[v] << 16 : raw[v] & (int)0xffff0000);
        for (int r = 0; r < rows; r++)
          for (int v = 0; v < vectors; v++)
            sums[v][r] = LS_MADD(splat(x[r * stride + i]), weights[v], sums[v][r]);
      }
    }
  }
  for (int v = 0; v < vectors; v++)
    for (int r = 0; r < rows; r++) put(&in->to, v / PARTS, r, v % PARTS, sums[v][r]);
}

#define LS_ROWS(rows)                                             \
  case rows:                                                      \
    if (rows > LS_FLOAT_TILE) break;                              \
    if (rows <= LS_FLOAT_WIDE && n == 2) {                        \
      float_tile(&in, bits, 2, rows <= LS_FLOAT_WIDE ? rows : 1); \
    } else {                                                      \
      float_tile(&in, bits, 1, rows <= LS_FLOAT_TILE ? rows : 1); \
    }                                                             \
    break;
#define LS_ROWS4(a, b, c, d) LS_ROWS(a) LS_ROWS(b) LS_ROWS(c) LS_ROWS(d)

// Two groups share the loading of the inputs, and keep twice as many sums under way.
static inline __attribute__((always_inline)) void multiply_floats(const ls_product_part *p, int bits) {
  reading in = {.w = p->w,
                .block = LS_BLOCK * LS_GROUP * (size_t)bits / 8,
                .blocks = p->blocks,
                .x = p->x,
                .to = p->to};
  in.group = in.block * (size_t)p->blocks;
  int64_t together = p->rows <= LS_FLOAT_WIDE ? 2 : 1;
  for (int64_t left = p->groups, n; left > 0; left -= n) {
    n = together < left ? together : left;
    in.next = p->next == NULL || left == n ? p->next : in.w + (size_t)n * in.group;
    switch (p->rows) { LS_ROWS4(1, 2, 3, 4) LS_ROWS4(5, 6, 7, 8) LS_ROWS4(9, 10, 11, 12) }
    advance(&in, n);
  }
}

static void multiply16(const ls_product_part *p) { multiply_floats(p, 16); }
static void multiply32(const ls_product_part *p) { multiply_floats(p, 32); }
