//go:build cgo

// Any processor: vectors of four floats, which SSE2 and NEON have and GCC breaks up elsewhere.
#define LS_W 4
#define LS_KEYS 2
#define LS_NAME(x) x##_portable
#include "attention_kernels.h"
