//go:build cgo

#if defined(__x86_64__)
#include "attention_avx2.h"
#define LS_KV LS_KV_F16
#define LS_NAME(x) x##_avx2_f16
#include "attention_kernels.h"
#endif
