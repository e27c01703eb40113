//go:build cgo

#if defined(__x86_64__)
#ifndef LS_EMULATE_AVX512
#pragma GCC target("avx512bw,avx512vnni")
#endif
#include "attention_avx512.h"
#define LS_VNNI 1
#define LS_TILE 8
#define LS_NAME ls_product_avx512vnni
#include "product_x86.h"
#endif
