// Any processor: vectors of four floats, which SSE2 and NEON have and GCC breaks up elsewhere. Every 64-bit
// ARM has NEON with FMA and float16, so there this is the form with vectors.
#pragma GCC optimize("no-var-tracking")  // a quarter of the time to compile
#define LS_W 4
#if defined(__SSE2__)
#include <emmintrin.h>
#define LS_MAX(a, b) ((vf)_mm_max_ps((__m128)(a), (__m128)(b)))
#else
#define LS_MAX(a, b) choose((a) > (b), (a), (b))
#endif
#if defined(__aarch64__)
#include <arm_neon.h>
#define LS_MADD(a, b, c) ((vf)vfmaq_f32((float32x4_t)(c), (float32x4_t)(a), (float32x4_t)(b)))
#define LS_MADD1(a, b, c) __builtin_fmaf(a, b, c)
#define LS_LOAD_F16(p) ((vf)vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8((const uint8_t *)(p)))))
#define LS_STORE_F16(p, v) vst1_u8((uint8_t *)(p), vreinterpret_u8_f16(vcvt_f16_f32((float32x4_t)(v))))
#else
#define LS_MADD(a, b, c) ((a) * (b) + (c))
#define LS_MADD1(a, b, c) ((a) * (b) + (c))
#endif
#if defined(__aarch64__)  // 32 registers
#define LS_TQ 6
#define LS_TV 4
#else
#define LS_TQ 3
#define LS_TV 2
#endif
#define LS_FQ 2
