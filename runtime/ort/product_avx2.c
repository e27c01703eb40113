//go:build cgo

#if defined(__x86_64__)
#include "attention_avx2.h"
#define LS_VNNI 0
#define LS_TILE 4
#define LS_NAME ls_product_avx2
#include "product_x86.h"
#endif
