// AVX-512 F, VL and DQ.
#pragma GCC optimize("no-var-tracking")  // a quarter of the time to compile
#ifdef LS_EMULATE_AVX512
#pragma GCC target("avx2,fma,f16c")
#include "avx512_emulated.h"
#else
#pragma GCC target("avx512f,avx512vl,avx512dq,avx2,fma")
#include <immintrin.h>
#endif
#define LS_W 16
#define LS_MAX(a, b) ((vf)_mm512_max_ps((__m512)(a), (__m512)(b)))
#define LS_MADD(a, b, c) ((vf)_mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c)))
#define LS_MADD1(a, b, c) __builtin_fmaf(a, b, c)
#define LS_LOAD_F16(p) ((vf)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(p))))
#define LS_STORE_F16(p, v) \
  _mm256_storeu_si256((__m256i *)(p), _mm512_cvtps_ph((__m512)(v), _MM_FROUND_TO_NEAREST_INT))
#define LS_LOAD_INT8(p) ((vf)_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(p)))))
#define LS_LOAD_UINT8(p) ((vf)_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(p)))))
// Of 32 registers:
#define LS_TQ 6
#define LS_TV 4
#define LS_FQ 4
