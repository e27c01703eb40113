//go:build cgo

#if defined(__x86_64__)
#pragma GCC target("avx2,fma")
#include <immintrin.h>
#define LS_W 8
#define LS_MAX(a, b) ((vf)_mm256_max_ps((__m256)(a), (__m256)(b)))
// Of 16 registers:
#define LS_QV 3  // 3 × 4 score accumulators
#define LS_QK 4
#define LS_PQ 6  // 6 × 2 value accumulators
#define LS_PV 2
#define LS_FQ 2
#define LS_NAME(x) x##_avx2
#include "attention_kernels.h"
#endif
