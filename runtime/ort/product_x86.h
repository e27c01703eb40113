// The products of AVX2, AVX-VNNI and AVX-512 VNNI. The including file defines LS_W (columns of a vector),
// LS_VNNI (0 or 1), LS_TILE (rows) and LS_NAME.
#include "product.h"
#include "product_row.h"

#if LS_W == 16
typedef __m512i vw;
#define LS_OP(name) _mm512_##name
#define LS_CODES(p) _mm512_loadu_si512(p)
#define LS_AND(a, b) _mm512_and_si512(a, b)
#define LS_HALFS(p) _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(p)))
#define LS_DOT(sum, w, x) _mm512_dpbusd_epi32(sum, w, x)
#define LS_FLOATS __m512
#define LS_ZERO _mm512_setzero_si512()
#else
typedef __m256i vw;
#define LS_OP(name) _mm256_##name
#define LS_CODES(p) _mm256_loadu_si256((const __m256i *)(p))
#define LS_AND(a, b) _mm256_and_si256(a, b)
#define LS_HALFS(p) _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(p)))
#define LS_DOT(sum, w, x) _mm256_dpbusd_avx_epi32(sum, w, x)
#define LS_FLOATS __m256
#define LS_ZERO _mm256_setzero_si256()
#endif
enum { VECTORS = LS_BLOCK / 4, SCALES_4 = LS_BLOCK * LS_GROUP / 2, SCALES_8 = LS_BLOCK * LS_GROUP };

static inline vw inputs(const ls_qblock *x, int i) {
  int32_t four;
  memcpy(&four, x->codes + 4 * i, sizeof four);
  return LS_OP(set1_epi32)(four);
}

// Σ codes·inputs over a block. Without VNNI, pairs are added in 16 bits, which hold the 32 products of codes
// below 16 with inputs up to 127: 15·127·2·8 = 30,480.
static inline __attribute__((always_inline)) vw dot(const vw *w, const ls_qblock *x) {
#if LS_VNNI
  vw even = LS_ZERO, odd = LS_ZERO;
  for (int i = 0; i < VECTORS; i += 2) {
    even = LS_DOT(even, w[i], inputs(x, i));
    odd = LS_DOT(odd, w[i + 1], inputs(x, i + 1));
  }
  return LS_OP(add_epi32)(even, odd);
#else
  vw even = LS_OP(maddubs_epi16)(w[0], inputs(x, 0)), odd = LS_OP(maddubs_epi16)(w[1], inputs(x, 1));
  for (int i = 2; i < VECTORS; i += 2) {
    even = LS_OP(add_epi16)(even, LS_OP(maddubs_epi16)(w[i], inputs(x, i)));
    odd = LS_OP(add_epi16)(odd, LS_OP(maddubs_epi16)(w[i + 1], inputs(x, i + 1)));
  }
  return LS_OP(madd_epi16)(LS_OP(add_epi16)(even, odd), LS_OP(set1_epi16)(1));
#endif
}

// A vector of columns from column c on, for `rows` rows: constants both, so that sums stay in registers.
static inline __attribute__((always_inline)) void tile4(const uint8_t *w, int c, const ls_qblock *x,
                                                        int64_t blocks, int rows, float *y) {
  const vw low = LS_OP(set1_epi8)(15);
  LS_FLOATS sums[LS_TILE];
  for (int r = 0; r < rows; r++) sums[r] = LS_OP(setzero_ps)();
  for (int64_t b = 0; b < blocks; b++, w += LS_BLOCK_BYTES_4, x++) {
    vw codes[VECTORS];
    for (int i = 0; i < VECTORS / 2; i++) {
      vw both = LS_CODES(w + 64 * i + 4 * c);
      codes[2 * i] = LS_AND(both, low), codes[2 * i + 1] = LS_AND(LS_OP(srli_epi16)(both, 4), low);
    }
    LS_FLOATS scale = LS_HALFS(w + SCALES_4 + 2 * c), minimum = LS_HALFS(w + SCALES_4 + 2 * (LS_GROUP + c));
    for (int r = 0; r < rows; r++) {
      const ls_qblock *in = x + r * blocks;
      LS_FLOATS products = LS_OP(mul_ps)(LS_OP(cvtepi32_ps)(dot(codes, in)), LS_OP(set1_ps)(in->scale));
      sums[r] = LS_OP(fmadd_ps)(products, scale, sums[r]);
      sums[r] = LS_OP(fmadd_ps)(minimum, LS_OP(set1_ps)(in->sum.weighed), sums[r]);
    }
  }
  for (int r = 0; r < rows; r++) LS_OP(storeu_ps)(y + r * LS_GROUP + c, sums[r]);
}

static inline __attribute__((always_inline)) void tile8(const uint8_t *w, int c, const ls_qblock *x,
                                                        int64_t blocks, int rows, float *y) {
  LS_FLOATS sums[LS_TILE];
  for (int r = 0; r < rows; r++) sums[r] = LS_OP(setzero_ps)();
  for (int64_t b = 0; b < blocks; b++, w += LS_BLOCK_BYTES_8, x++) {
    vw exact[LS_TILE];
#if LS_VNNI
    vw codes[VECTORS];
    for (int i = 0; i < VECTORS; i++) codes[i] = LS_CODES(w + 64 * i + 4 * c);
    for (int r = 0; r < rows; r++) {
      const ls_qblock *in = x + r * blocks;
      exact[r] = LS_OP(add_epi32)(LS_OP(set1_epi32)(in->sum.bias), dot(codes, in));
    }
#else
    const vw ones = LS_OP(set1_epi16)(1), middle = LS_OP(set1_epi8)(-128);
    for (int r = 0; r < rows; r++) exact[r] = LS_ZERO;
    for (int i = 0; i < VECTORS;
         i++) {  // a code's sign goes to the input, so that a pair, 128·127·2, fits 16 bits
      vw code = _mm256_xor_si256(LS_CODES(w + 64 * i + 4 * c), middle), size = LS_OP(abs_epi8)(code);
      for (int r = 0; r < rows; r++) {
        vw pairs = LS_OP(maddubs_epi16)(size, LS_OP(sign_epi8)(inputs(x + r * blocks, i), code));
        exact[r] = LS_OP(add_epi32)(exact[r], LS_OP(madd_epi16)(pairs, ones));
      }
    }
#endif
    LS_FLOATS scale = LS_HALFS(w + SCALES_8 + 2 * c);
    for (int r = 0; r < rows; r++) {
      LS_FLOATS products = LS_OP(mul_ps)(LS_OP(cvtepi32_ps)(exact[r]), LS_OP(set1_ps)(x[r * blocks].scale));
      sums[r] = LS_OP(fmadd_ps)(products, scale, sums[r]);
    }
  }
  for (int r = 0; r < rows; r++) LS_OP(storeu_ps)(y + r * LS_GROUP + c, sums[r]);
}

#define LS_ROWS(tile, n)                                                  \
  case n:                                                                 \
    for (int c = 0; c < LS_GROUP; c += LS_W) tile(w, c, x, blocks, n, y); \
    return;
#if LS_TILE == 8
#define LS_MANY(tile) LS_ROWS(tile, 5) LS_ROWS(tile, 6) LS_ROWS(tile, 7) LS_ROWS(tile, 8)
#else
#define LS_MANY(tile)
#endif
#define LS_GROUPS(name, tile)                                                                           \
  static void name(const uint8_t *w, const ls_qblock *x, int64_t blocks, int64_t rows, float *y) {      \
    switch (rows) { LS_ROWS(tile, 1) LS_ROWS(tile, 2) LS_ROWS(tile, 3) LS_ROWS(tile, 4) LS_MANY(tile) } \
  }
LS_GROUPS(group4, tile4)
LS_GROUPS(group8, tile8)

const ls_product_kernels LS_NAME = {quantize, group4, group8, swiglu, LS_TILE};
