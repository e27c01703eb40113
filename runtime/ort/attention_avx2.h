// AVX2 with FMA and F16C.
#pragma GCC optimize("no-var-tracking")  // a quarter of the time to compile
#pragma GCC target("avx2,fma,f16c")
#include <immintrin.h>
#define LS_W 8
#define LS_MAX(a, b) ((vf)_mm256_max_ps((__m256)(a), (__m256)(b)))
#define LS_MADD(a, b, c) ((vf)_mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c)))
#define LS_MADD1(a, b, c) __builtin_fmaf(a, b, c)
#define LS_LOAD_F16(p) ((vf)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(p))))
#define LS_STORE_F16(p, v) \
  _mm_storeu_si128((__m128i *)(p), _mm256_cvtps_ph((__m256)(v), _MM_FROUND_TO_NEAREST_INT))
#define LS_LOAD_INT8(p) ((vf)_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(p)))))
#define LS_LOAD_UINT8(p) ((vf)_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(p)))))
// Of 16 registers:
#define LS_TQ 3
#define LS_TV 2
#define LS_FQ 2
