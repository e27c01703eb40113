// The products of AVX2, AVX-VNNI and AVX-512 VNNI, equal to the bit. The including file defines LS_W (columns
// of a vector), LS_VNNI (0 or 1), LS_TILE (rows) and LS_NAME.
#include "attention_vector.h"
#include "product.h"

#if LS_W == 16
typedef __m512i vw;
#define LS_OP(name) _mm512_##name
#define LS_CODES(p) _mm512_loadu_si512(p)
#define LS_AND(a, b) _mm512_and_si512(a, b)
#define LS_ANDNOT(a, b) _mm512_andnot_si512(a, b)
#define LS_HALFS(p) _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(p)))
#define LS_FLOATS __m512
#define LS_ZERO _mm512_setzero_si512()
#else
typedef __m256i vw;
#define LS_OP(name) _mm256_##name
#define LS_CODES(p) _mm256_loadu_si256((const __m256i *)(p))
#define LS_AND(a, b) _mm256_and_si256(a, b)
#define LS_ANDNOT(a, b) _mm256_andnot_si256(a, b)
#define LS_HALFS(p) _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(p)))
#define LS_FLOATS __m256
#define LS_ZERO _mm256_setzero_si256()
#endif
enum { VECTORS = LS_BLOCK / 4, SCALES_4 = LS_BLOCK * LS_GROUP / 2, SCALES_8 = LS_BLOCK * LS_GROUP };

static inline vi larger(vi a, vi b) { return (vi)LS_OP(max_epi32)((vw)a, (vw)b); }

static inline int32_t largest_lane(vi v) {
#if LS_W == 16
  __m256i half = _mm256_max_epi32(_mm512_castsi512_si256((vw)v), _mm512_extracti64x4_epi64((vw)v, 1));
#else
  __m256i half = (__m256i)v;
#endif
  __m128i q = _mm_max_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
  q = _mm_max_epi32(q, _mm_shuffle_epi32(q, 0x4e));
  return _mm_cvtsi128_si32(_mm_max_epi32(q, _mm_shuffle_epi32(q, 0xb1)));
}

static inline int32_t narrow(const vi q[LS_BLOCK / LS_W], int8_t *codes) {
#if LS_W == 16
  __m256i c = _mm256_set_m128i(_mm512_cvtepi32_epi8((vw)q[1]), _mm512_cvtepi32_epi8((vw)q[0]));
#else
  __m256i c =
      _mm256_packs_epi16(_mm256_packs_epi32((vw)q[0], (vw)q[1]), _mm256_packs_epi32((vw)q[2], (vw)q[3]));
  c = _mm256_permutevar8x32_epi32(c, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
#endif
  _mm256_storeu_si256((__m256i *)codes, c);
  c = _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_set1_epi8(1), c), _mm256_set1_epi16(1));
  __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(c), _mm256_extracti128_si256(c, 1));
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1)));
}

#include "product_float.h"
#include "product_row.h"

#if LS_W == 8
static inline vw inputs(const ls_qblock *x, int i) {
  int32_t four;
  memcpy(&four, x->codes + 4 * i, sizeof four);
  return LS_OP(set1_epi32)(four);
}
#endif

enum { MOST_VECTORS = 2 };

static inline __attribute__((always_inline)) void ask(const reading *in, int64_t b, int groups, int rows) {
  const uint8_t *p = later(in, b, groups, rows);
  for (int g = 0; g < groups; g++, p += in->group)
    for (size_t i = 0; i < in->block; i += LINE) ask_line(p + i, rows);
}

// Keeps a value in a register where it is: GCC otherwise loads codes again for each row, and reorders sums
// until they spill.
static inline __attribute__((always_inline)) void hold(vw *v) { __asm__("" : "+v"(*v)); }

// The codes of a vector's columns with inputs 4i to 4i+3, and 4i+4 to 4i+7; these 16-fold where they stay
// apart.
static inline __attribute__((always_inline)) void load_codes(const uint8_t *w, int bits, int apart, int i,
                                                             vw *even, vw *odd) {
  if (bits == 8) {
    *even = LS_CODES(w + 64 * i), *odd = LS_CODES(w + 64 * (i + 1));
    hold(even), hold(odd);
    return;
  }
  const vw low = LS_OP(set1_epi8)(15);
  vw both = LS_CODES(w + 32 * i);
  hold(&both);
  *even = LS_AND(both, low);
  *odd = apart ? LS_ANDNOT(low, both) : LS_AND(LS_OP(srli_epi16)(both, 4), low);
}

// sum + Σ codes·inputs. Without VNNI, the 32 products of 4-bit codes with inputs, 15·127·2·8 = 30,480 for a
// pair, are added in 16 bits; an 8-bit code's sign goes to the input, so that a pair, 128·127·2, fits.
static inline __attribute__((always_inline)) vw multiply_add(vw sum, int bits, vw codes, const ls_qblock *x,
                                                             int i) {
#if LS_W == 16  // by hand: GCC spreads the inputs to a register first
  (void)bits;
  __asm__("vpdpbusd %2%{1to16%}, %1, %0"
          : "+v"(sum)
          : "v"(codes), "m"(*(const int8_t(*)[4])(x->codes + 4 * i)));
  return sum;
#elif LS_VNNI
  (void)bits;
  return _mm256_dpbusd_avx_epi32(sum, codes, inputs(x, i));
#else
  vw four = inputs(x, i);
  if (bits == 4) return LS_OP(add_epi16)(sum, LS_OP(maddubs_epi16)(codes, four));
  codes = LS_OP(xor_si256)(codes, LS_OP(set1_epi8)(-128));
  vw pairs = LS_OP(maddubs_epi16)(LS_OP(abs_epi8)(codes), LS_OP(sign_epi8)(four, codes));
  return LS_OP(add_epi32)(sum, LS_OP(madd_epi16)(pairs, LS_OP(set1_epi16)(1)));
#endif
}

// Some groups of columns for some rows: constants, so that sums stay in registers.
static inline __attribute__((always_inline)) void tile(const reading *in, int bits, int groups, int rows) {
  // One row has a chain of sums to itself: with two of them fewer steps wait, and one shift serves for four.
  const int vectors = groups * PARTS, apart = LS_W == 16 && bits == 4 && rows == 1;
  const uint8_t *w[MOST_VECTORS];
  // With 4 bits `scaled` is of the blocks that share the row's scale, so that it is multiplied with once.
  LS_FLOATS sums[MOST_VECTORS][LS_TILE], scaled[MOST_VECTORS][LS_TILE];
  for (int v = 0; v < vectors; v++) {
    w[v] = in->w + (size_t)(v / PARTS) * in->group;
    for (int r = 0; r < rows; r++) sums[v][r] = scaled[v][r] = LS_OP(setzero_ps)();
  }
  const ls_qblock *x = in->x;
  for (int64_t b = 0; b < in->blocks; b++, x += rows) {
    if (in->next != NULL) ask(in, b, groups, rows);
    vw exact[MOST_VECTORS][LS_TILE], high[MOST_VECTORS] = {LS_ZERO, LS_ZERO};
    for (int v = 0; v < vectors; v++)
      for (int r = 0; r < rows; r++)
        exact[v][r] = bits == 8 && LS_VNNI ? LS_OP(set1_epi32)(x[r].sum.bias) : LS_ZERO;
    for (int i = 0; i < VECTORS; i += 2) {
      for (int v = 0; v < vectors; v++) {
        vw even, odd;
        load_codes(w[v] + v % PARTS * LS_W * 4, bits, apart, i, &even, &odd);
        for (int r = 0; r < rows; r++) {
          vw *to = apart ? &high[v] : &exact[v][r];
          exact[v][r] = multiply_add(exact[v][r], bits, even, x + r, i);
          *to = multiply_add(*to, bits, odd, x + r, i + 1);
          if (!LS_VNNI) hold(&exact[v][r]);
        }
      }
    }
    const int last = b % LS_SHARE_4 == LS_SHARE_4 - 1 || b == in->blocks - 1;
    for (int v = 0; v < vectors; v++) {
      const uint8_t *scales = w[v] + (bits == 4 ? SCALES_4 : SCALES_8) + v % PARTS * LS_W * 2;
      LS_FLOATS scale = LS_HALFS(scales), minimum = bits == 4 ? LS_HALFS(scales + 2 * LS_GROUP) : scale;
      for (int r = 0; r < rows; r++) {
        const ls_qblock *row = x + r;
        vw sum = apart ? LS_OP(add_epi32)(exact[v][r], LS_OP(srai_epi32)(high[v], 4)) : exact[v][r];
#if !LS_VNNI
        if (bits == 4) sum = LS_OP(madd_epi16)(sum, LS_OP(set1_epi16)(1));
#endif
        if (bits == 8) {
          LS_FLOATS products = LS_OP(mul_ps)(LS_OP(cvtepi32_ps)(sum), LS_OP(set1_ps)(row->scale));
          sums[v][r] = LS_OP(fmadd_ps)(products, scale, sums[v][r]);
          continue;
        }
        scaled[v][r] = LS_OP(fmadd_ps)(LS_OP(cvtepi32_ps)(sum), scale, scaled[v][r]);
        scaled[v][r] = LS_OP(fmadd_ps)(minimum, LS_OP(set1_ps)(row->sum.codes), scaled[v][r]);
        if (!last) continue;
        sums[v][r] = LS_OP(fmadd_ps)(scaled[v][r], LS_OP(set1_ps)(row->scale), sums[v][r]);
        scaled[v][r] = LS_OP(setzero_ps)();
      }
      w[v] += bits == 4 ? LS_BLOCK_BYTES_4 : LS_BLOCK_BYTES_8;
    }
  }
  for (int v = 0; v < vectors; v++)
    for (int r = 0; r < rows; r++) put(&in->to, v / PARTS, r, v % PARTS, (vf)sums[v][r]);
}

#define LS_CASE(bits, groups, rows) \
  case 16 * groups + rows:          \
    tile(&in, bits, groups, rows);  \
    break;
#define LS_FEW(bits, groups) LS_CASE(bits, groups, 2) LS_CASE(bits, groups, 3) LS_CASE(bits, groups, 4)
#if LS_W == 16
#define LS_MANY(bits) LS_CASE(bits, 1, 5) LS_CASE(bits, 1, 6) LS_CASE(bits, 1, 7) LS_CASE(bits, 1, 8)
#define LS_WIDE(bits) LS_FEW(bits, 2) LS_MANY(bits)
#else
#define LS_WIDE(bits)
#endif
// Two groups share the loading of 2 to 4 rows' inputs. One row, and 8 bits, wait for memory, where one stream
// of reading is the fastest.
#define LS_MULTIPLY(bits)                                                                                  \
  static void multiply##bits(const ls_product_part *p) {                                                   \
    reading in = {.w = p->w, .block = LS_BLOCK_BYTES_##bits, .blocks = p->blocks, .x = p->x, .to = p->to}; \
    in.group = in.block * (size_t)p->blocks;                                                               \
    int64_t together = LS_W == 16 && bits == 4 && p->rows >= 2 && p->rows <= 4 ? 2 : 1;                    \
    for (int64_t left = p->groups, n; left > 0; left -= n) {                                               \
      n = together < left ? together : left;                                                               \
      in.next = p->next == NULL || left == n ? p->next : in.w + (size_t)n * in.group;                      \
      switch (16 * n + p->rows) { LS_CASE(bits, 1, 1) LS_FEW(bits, 1) LS_WIDE(bits) }                      \
      advance(&in, n);                                                                                     \
    }                                                                                                      \
  }
LS_MULTIPLY(4)
LS_MULTIPLY(8)

const ls_product_kernels LS_NAME = {
    .of = {{quantize, multiply4, LS_TILE},
           {quantize, multiply8, LS_TILE},
           {prepare_floats, multiply16, LS_FLOAT_TILE},
           {prepare_floats, multiply32, LS_FLOAT_TILE}},
    .swiglu = swiglu,
};
