//go:build cgo

#if defined(__x86_64__)
#pragma GCC target("avxvnni")
#include "attention_avx2.h"
#define LS_VNNI 1
#define LS_TILE 4
#define LS_NAME ls_product_avxvnni
#include "product_x86.h"
#endif
