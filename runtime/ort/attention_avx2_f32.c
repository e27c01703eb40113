//go:build cgo

#if defined(__x86_64__)
#include "attention_avx2.h"
#define LS_KV LS_KV_F32
#define LS_NAME(x) x##_avx2_f32
#include "attention_kernels.h"
#endif
