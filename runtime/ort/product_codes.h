// The products with weights of 4 and 8 bits on processors with vectors, equal to the bit on all of them: sums
// of codes are exact, and floats are added in one order, each multiplication with its addition in one
// rounding. Over GCC's vectors, product_float.h, product_row.h, and what the including file defines: LS_NAME,
// LS_TILE (rows), LS_LOAD_F16(p), LS_LOAD_UINT8(p), the type vw of LS_W int32, LS_BIASED (1: codes of 8 bits
// are multiplied as they are, so that sums begin at the bias), and either a function that gives a whole
// block's sums, without LS_BIASED, where a group is two vectors, times its columns' scales where these are
// bytes,
//   void LS_SUM_BLOCK(int format, int rows, const uint8_t *w, const uint8_t *scales, const ls_qblock *x,
//                     vw low[], vw high[]);
// or LS_UNROLL (a pragma for the loop over a block), LS_HOLD_SUMS, and functions:
//   void hold(vw *v);  // keeps a value in a register where it is
//   // Of inputs 4i to 4i+3, and 4i+4 to 4i+7:
//   void load_codes(const uint8_t *w, int bits, int apart, int i, vw *even, vw *odd);
//   // sum + Σ codes·inputs:
//   vw multiply_add(vw sum, int bits, vw codes, const ls_qblock *x, int i);

enum { VECTORS = LS_BLOCK / 4, CODES_8 = LS_BLOCK * LS_GROUP };
enum { MOST_VECTORS = PARTS > 2 ? PARTS : 2 };

static inline __attribute__((always_inline)) void ask(const reading *in, int64_t b, int groups, int rows) {
  const uint8_t *p = later(in, b, groups, rows);
  for (int g = 0; g < groups; g++, p += in->group)
    for (size_t i = 0; i < in->block; i += LINE) ask_line(p + i, rows);
}

// Where the scales and minima of 8 bits are that come next.
typedef struct {
  int step, scales;        // bytes from the codes of this block to those of the next one, and to its scales
  const ls_qblock *first;  // of the blocks that share the row's scale
  const uint8_t *minima[MOST_VECTORS];  // theirs
} bytes_at;

#ifdef LS_SUM_BLOCK
enum { LS_INTEGERS = 1 };  // of sums that are multiplied with scales of 8 bits
#else
enum { LS_INTEGERS = 0 };
#endif

// Adds a block's sums of codes, with scales of 16 bits.
static inline __attribute__((always_inline)) void add_block(vf sums[][LS_TILE], vf scaled[][LS_TILE],
                                                            const uint8_t *w[], int bits, int vectors,
                                                            int rows, int apart, int last, const ls_qblock *x,
                                                            vw exact[][LS_TILE], const vw high[]) {
  for (int v = 0; v < vectors; v++) {
    const uint8_t *scales = w[v] + (bits == 4 ? LS_CODES_4 : CODES_8) + v % PARTS * LS_W * 2;
    vf scale = LS_LOAD_F16(scales), minimum = bits == 4 ? LS_LOAD_F16(scales + 2 * LS_GROUP) : scale;
    for (int r = 0; r < rows; r++) {
      const ls_qblock *row = x + r;
      vi sum = apart ? (vi)exact[v][r] + ((vi)high[v] >> 4) : (vi)exact[v][r];
      vf products = __builtin_convertvector(sum, vf);
      if (bits == 8) {
        sums[v][r] = LS_MADD(products * splat(row->scale), scale, sums[v][r]);
        continue;
      }
      scaled[v][r] = LS_MADD(products, scale, scaled[v][r]);
      scaled[v][r] = LS_MADD(minimum, splat(row->sum.codes), scaled[v][r]);
      if (!last) continue;
      sums[v][r] = LS_MADD(scaled[v][r], splat(row->scale), sums[v][r]);
      scaled[v][r] = (vf){};
    }
    w[v] += bits == 4 ? LS_BLOCK_BYTES_4 : LS_BLOCK_BYTES_8;
  }
}

// The same with scales of 8 bits: minima wait for the last of the blocks that share the row's scale.
static inline __attribute__((always_inline)) void add_block_of_bytes(vf sums[][LS_TILE], vf scaled[][LS_TILE],
                                                                     const uint8_t *w[], bytes_at *at,
                                                                     int vectors, int rows, int apart,
                                                                     int last, const ls_qblock *x,
                                                                     vw exact[][LS_TILE], const vw high[]) {
  for (int v = 0; v < vectors; v++) {
    vf scale = {};
    if (!LS_INTEGERS) scale = LS_LOAD_UINT8(w[v] + at->scales + v % PARTS * LS_W);
    for (int r = 0; r < rows; r++) {
      vi sum = apart ? (vi)exact[v][r] + ((vi)high[v] >> 4) : (vi)exact[v][r];
      scaled[v][r] = LS_INTEGERS ? (vf)((vi)scaled[v][r] + sum)
                                 : LS_MADD(__builtin_convertvector(sum, vf), scale, scaled[v][r]);
    }
    w[v] += at->step;
  }
  if (!last) return;
  for (int v = 0; v < vectors; v++) {
    const ls_qblock *first = at->first;
    _Static_assert(LS_SHARE_4 % 2 == 0, "whole pairs of blocks share a scale");
#pragma GCC unroll 4
    for (int i = 0; i < LS_SHARE_4; i++, first += rows) {
      if (i > 0 && first > x) break;
      vf minimum = LS_LOAD_UINT8(at->minima[v] + i / 2 * 2 * LS_BLOCK_BYTES_4B + i % 2 * 2 * LS_GROUP);
      for (int r = 0; r < rows; r++) sums[v][r] = LS_MADD(minimum, splat(first[r].sum.codes), sums[v][r]);
    }
    for (int r = 0; r < rows; r++) {
      vf products = LS_INTEGERS ? __builtin_convertvector((vi)scaled[v][r], vf) : scaled[v][r];
      sums[v][r] = LS_MADD(products, splat(x[r].scale), sums[v][r]);
      scaled[v][r] = (vf){};
    }
    at->minima[v] += LS_SHARE_4 * LS_BLOCK_BYTES_4B;
  }
  at->first = x + rows;
}

// Some groups of columns for some rows: constants, so that sums stay in registers.
static inline __attribute__((always_inline)) void tile(const reading *in, int format, int groups, int rows) {
  const int bits = format == LS_BITS_8 ? 8 : 4, bytes = format == LS_BITS_4B;
  // One row has a chain of sums to itself: with two of them fewer steps wait, and one shift serves for four.
  const int vectors = groups * PARTS, apart = LS_W == 16 && bits == 4 && rows == 1;
  const uint8_t *w[MOST_VECTORS];
  // With 4 bits `scaled` is of the blocks that share the row's scale, so that it is multiplied with once;
  // with scales of 8 bits it is an integer, exact in float32 too: 32·15·127·68·LS_SHARE_4 is below 2^24.
  vf sums[MOST_VECTORS][LS_TILE], scaled[MOST_VECTORS][LS_TILE];
  bytes_at at = {.step = LS_CODES_4, .scales = 2 * LS_CODES_4, .first = in->x};
  for (int v = 0; v < vectors; v++) {
    w[v] = in->w + (size_t)(v / PARTS) * in->group;
    at.minima[v] = w[v] + 2 * LS_CODES_4 + LS_GROUP + v % PARTS * LS_W;
    for (int r = 0; r < rows; r++) sums[v][r] = scaled[v][r] = (vf){};
  }
  const ls_qblock *x = in->x;
  for (int64_t b = 0; b < in->blocks; b++, x += rows) {
    if (in->next != NULL) ask(in, b, groups, rows);
    vw exact[MOST_VECTORS][LS_TILE], high[MOST_VECTORS] = {};
    for (int v = 0; v < vectors; v++)
      for (int r = 0; r < rows; r++)
        exact[v][r] = (vw)((vi){} + (bits == 8 && LS_BIASED ? x[r].sum.bias : 0));
#ifdef LS_SUM_BLOCK
    _Static_assert(PARTS == 2 && !LS_BIASED, "what LS_SUM_BLOCK is for");
    LS_SUM_BLOCK(format, rows, w[0], w[0] + at.scales, x, exact[0], exact[1]);
#else
    LS_UNROLL
    for (int i = 0; i < VECTORS; i += 2) {
      for (int v = 0; v < vectors; v++) {
        vw even, odd;
        load_codes(w[v] + v % PARTS * LS_W * 4, bits, apart, i, &even, &odd);
        for (int r = 0; r < rows; r++) {
          vw *to = apart ? &high[v] : &exact[v][r];
          exact[v][r] = multiply_add(exact[v][r], bits, even, x + r, i);
          *to = multiply_add(*to, bits, odd, x + r, i + 1);
          if (LS_HOLD_SUMS) hold(&exact[v][r]);
        }
      }
    }
#endif
    const int last = b % LS_SHARE_4 == LS_SHARE_4 - 1 || b == in->blocks - 1;
    if (bytes) {
      add_block_of_bytes(sums, scaled, w, &at, vectors, rows, apart, last, x, exact, high);
      at.step = 2 * LS_BLOCK_BYTES_4B - at.step;
      at.scales = 3 * LS_CODES_4 + 2 * LS_GROUP - at.scales;
    } else {
      add_block(sums, scaled, w, bits, vectors, rows, apart, last, x, exact, high);
    }
  }
  for (int v = 0; v < vectors; v++) {
    const uint8_t *columns =
        in->w + (size_t)(v / PARTS + 1) * in->group - LS_GROUP * sizeof(float) + v % PARTS * sizeof(vf);
    for (int r = 0; r < rows; r++) {
      // A multiplication that no compiler makes part of the addition of a bias.
      if (bytes) sums[v][r] = LS_MADD(sums[v][r], load((const float *)columns), (vf){});
      put(&in->to, v / PARTS, r, v % PARTS, sums[v][r]);
    }
  }
}

#define LS_CASE(format, groups, rows) \
  case 16 * groups + rows:            \
    tile(&in, format, groups, rows);  \
    break;
#define LS_FEW(format, groups) \
  LS_CASE(format, groups, 2) LS_CASE(format, groups, 3) LS_CASE(format, groups, 4)
#if LS_W == 16
#define LS_MANY(format) \
  LS_CASE(format, 1, 5) LS_CASE(format, 1, 6) LS_CASE(format, 1, 7) LS_CASE(format, 1, 8)
#define LS_WIDE(format) LS_FEW(format, 2) LS_MANY(format)
#else
#define LS_WIDE(format)
#endif
// Two groups share the loading of 2 to 4 rows' inputs. One row, and 8 bits, wait for memory, where one stream
// of reading is the fastest.
#define LS_MULTIPLY(name)                                                                                  \
  static void multiply##name(const ls_product_part *p) {                                                   \
    const int format = LS_BITS_##name;                                                                     \
    reading in = {.w = p->w, .block = LS_BLOCK_BYTES_##name, .blocks = p->blocks, .x = p->x, .to = p->to}; \
    in.group = ls_group_bytes(p->blocks, format);                                                          \
    int64_t together = LS_W == 16 && format != LS_BITS_8 && p->rows >= 2 && p->rows <= 4 ? 2 : 1;          \
    for (int64_t left = p->groups, n; left > 0; left -= n) {                                               \
      n = together < left ? together : left;                                                               \
      in.next = p->next == NULL || left == n ? p->next : in.w + (size_t)n * in.group;                      \
      switch (16 * n + p->rows) { LS_CASE(format, 1, 1) LS_FEW(format, 1) LS_WIDE(format) }                \
      advance(&in, n);                                                                                     \
    }                                                                                                      \
  }
LS_MULTIPLY(4)
LS_MULTIPLY(4B)
LS_MULTIPLY(8)

const ls_product_kernels LS_NAME = {
    .of = {{quantize, multiply4, LS_TILE},
           {quantize, multiply8, LS_TILE},
           {prepare_floats, multiply16, LS_FLOAT_TILE},
           {prepare_floats, multiply32, LS_FLOAT_TILE},
           {quantize, multiply4B, LS_TILE}},
    .swiglu = swiglu,
};
