// The AVX-512 that the kernels use, as two halves of AVX2: with LS_EMULATE_AVX512 their code for 16 lanes is
// tested on processors that have none (make avx512). It is slow, and not the machine code that is shipped.
#ifndef LOOPSERVE_AVX512_EMULATED_H
#define LOOPSERVE_AVX512_EMULATED_H
#include <immintrin.h>
#include <stdint.h>

typedef union {
  __m512 f;
  __m512i i;
  __m256 fs[2];
  __m256i is[2];
  int32_t lanes[16];
  uint8_t bytes[64];
} ls_512;

// A function's half h.
#define LS_FLOATS(name, parameters, half)         \
  static inline __m512 ls_##name parameters {     \
    ls_512 out;                                   \
    for (int h = 0; h < 2; h++) out.fs[h] = half; \
    return out.f;                                 \
  }
#define LS_INTS(name, parameters, half)           \
  static inline __m512i ls_##name parameters {    \
    ls_512 out;                                   \
    for (int h = 0; h < 2; h++) out.is[h] = half; \
    return out.i;                                 \
  }
#define LS_F(v) (((ls_512){.f = v}).fs[h])
#define LS_I(v) (((ls_512){.i = v}).is[h])

LS_FLOATS(max_ps, (__m512 a, __m512 b), _mm256_max_ps(LS_F(a), LS_F(b)))
LS_FLOATS(fmadd_ps, (__m512 a, __m512 b, __m512 c), _mm256_fmadd_ps(LS_F(a), LS_F(b), LS_F(c)))
LS_FLOATS(cvtepi32_ps, (__m512i v), _mm256_cvtepi32_ps(LS_I(v)))
LS_FLOATS(cvtph_ps, (__m256i v),
          _mm256_cvtph_ps(h ? _mm256_extracti128_si256(v, 1) : _mm256_castsi256_si128(v)))
LS_INTS(cvtepi8_epi32, (__m128i v), _mm256_cvtepi8_epi32(h ? _mm_srli_si128(v, 8) : v))
LS_INTS(cvtepu8_epi32, (__m128i v), _mm256_cvtepu8_epi32(h ? _mm_srli_si128(v, 8) : v))
LS_INTS(loadu_si512, (const void *p), _mm256_loadu_si256((const __m256i *)p + h))
LS_INTS(set1_epi8, (char c), _mm256_set1_epi8(c))
LS_INTS(and_si512, (__m512i a, __m512i b), _mm256_and_si256(LS_I(a), LS_I(b)))
LS_INTS(andnot_si512, (__m512i a, __m512i b), _mm256_andnot_si256(LS_I(a), LS_I(b)))
LS_INTS(srli_epi16, (__m512i v, int n), _mm256_srli_epi16(LS_I(v), n))
LS_INTS(max_epi32, (__m512i a, __m512i b), _mm256_max_epi32(LS_I(a), LS_I(b)))

static inline __m256i ls_half(__m512i v, int h) { return LS_I(v); }

static inline __m256i ls_to_f16(__m512 v) {
  const ls_512 u = {.f = v};
  return _mm256_set_m128i(_mm256_cvtps_ph(u.fs[1], _MM_FROUND_TO_NEAREST_INT),
                          _mm256_cvtps_ph(u.fs[0], _MM_FROUND_TO_NEAREST_INT));
}

static inline __m128i ls_cvtepi32_epi8(__m512i v) {
  const ls_512 u = {.i = v};
  int8_t out[16];
  for (int i = 0; i < 16; i++) out[i] = (int8_t)u.lanes[i];
  return _mm_loadu_si128((const __m128i *)out);
}

// In each lane sum + Σ of four codes and four inputs, as vpdpbusd has it.
static inline __m512i ls_dpbusd(__m512i sum, __m512i codes, const int8_t *inputs) {
  const ls_512 c = {.i = codes};
  ls_512 out = {.i = sum};
  for (int i = 0; i < 64; i++) out.lanes[i / 4] += c.bytes[i] * inputs[i % 4];
  return out.i;
}

#define _mm512_max_ps ls_max_ps
#define _mm512_fmadd_ps ls_fmadd_ps
#define _mm512_cvtepi32_ps ls_cvtepi32_ps
#define _mm512_cvtph_ps ls_cvtph_ps
#define _mm512_cvtps_ph(v, nearest) ls_to_f16(v)
#define _mm512_cvtepi8_epi32 ls_cvtepi8_epi32
#define _mm512_cvtepu8_epi32 ls_cvtepu8_epi32
#define _mm512_loadu_si512 ls_loadu_si512
#define _mm512_set1_epi8 ls_set1_epi8
#define _mm512_and_si512 ls_and_si512
#define _mm512_andnot_si512 ls_andnot_si512
#define _mm512_srli_epi16 ls_srli_epi16
#define _mm512_max_epi32 ls_max_epi32
#define _mm512_castsi512_si256(v) ls_half(v, 0)
#define _mm512_extracti64x4_epi64 ls_half
#define _mm512_cvtepi32_epi8 ls_cvtepi32_epi8
#endif
