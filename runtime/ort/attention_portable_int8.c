//go:build cgo

#include "attention_portable.h"
#define LS_KV LS_KV_INT8
#define LS_NAME(x) x##_portable_int8
#include "attention_kernels.h"
