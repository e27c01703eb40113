//go:build cgo

#if defined(__x86_64__)
#pragma GCC target("avx2,fma")
#define LS_W 8
#define LS_KEYS 2  // 4 queries × 2 keys of accumulators leave registers for the operands (of 16)
#define LS_NAME(x) x##_avx2
#include "attention_kernels.h"
#endif
