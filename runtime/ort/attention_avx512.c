//go:build cgo

#if defined(__x86_64__)
#pragma GCC target("avx512f,avx512vl,avx512dq,avx2,fma")
#define LS_W 16
#define LS_KEYS 4  // 4 × 4 accumulators of 32 registers
#define LS_NAME(x) x##_avx512
#include "attention_kernels.h"
#endif
