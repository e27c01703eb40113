//go:build cgo

#include "attention_portable.h"
#define LS_KV LS_KV_F16
#define LS_NAME(x) x##_portable_f16
#include "attention_kernels.h"
