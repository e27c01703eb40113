//go:build cgo

#if defined(__x86_64__)
#pragma GCC target("avx512f,avx512vl,avx512dq,avx2,fma")
#include <immintrin.h>
#define LS_W 16
#define LS_MAX(a, b) ((vf)_mm512_max_ps((__m512)(a), (__m512)(b)))
// Of 32 registers:
#define LS_QV 2  // 2 × 8 score accumulators
#define LS_QK 8
#define LS_PQ 4  // 4 × 4 value accumulators
#define LS_PV 4
#define LS_FQ 4
#define LS_NAME(x) x##_avx512
#include "attention_kernels.h"
#endif
