// The products of AVX2, AVX-VNNI and AVX-512 VNNI. The including file defines LS_W (columns of a vector),
// LS_VNNI (0 or 1), LS_TILE (rows) and LS_NAME.
#include "attention_vector.h"
#include "product.h"

#if LS_W == 16
typedef __m512i vw;
#define LS_OP(name) _mm512_##name
#define LS_CODES(p) _mm512_loadu_si512(p)
#define LS_AND(a, b) _mm512_and_si512(a, b)
#define LS_ANDNOT(a, b) _mm512_andnot_si512(a, b)
#else
typedef __m256i vw;
#define LS_OP(name) _mm256_##name
#define LS_CODES(p) _mm256_loadu_si256((const __m256i *)(p))
#define LS_AND(a, b) _mm256_and_si256(a, b)
#define LS_ANDNOT(a, b) _mm256_andnot_si256(a, b)
#endif

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

#if LS_VNNI
// Keeps a value in a register where it is: GCC otherwise loads codes again for each row.
static inline __attribute__((always_inline)) void hold(vw *v) {
#if LS_W == 16 && defined(LS_EMULATE_AVX512)
  (void)v;
#else
  __asm__("" : "+v"(*v));
#endif
}

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

// sum + Σ codes·inputs.
static inline __attribute__((always_inline)) vw multiply_add(vw sum, int bits, vw codes, const ls_qblock *x,
                                                             int i) {
  (void)bits;
  const int8_t *inputs = x->codes + 4 * i;
#if LS_W == 16 && defined(LS_EMULATE_AVX512)
  return ls_dpbusd(sum, codes, inputs);
#elif LS_W == 16  // by hand: GCC spreads the inputs to a register first
  __asm__("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(sum) : "v"(codes), "m"(*(const int8_t(*)[4])inputs));
  return sum;
#else
  int32_t four;
  memcpy(&four, inputs, sizeof four);
  return _mm256_dpbusd_avx_epi32(sum, codes, _mm256_set1_epi32(four));
#endif
}

#define LS_HOLD_SUMS 0
#define LS_UNROLL
#endif

#define LS_BIASED LS_VNNI
#include "product_codes.h"
