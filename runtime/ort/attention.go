//go:build cgo

package ort

/*
#cgo CFLAGS: -O3 -std=gnu11 -Wall
#cgo LDFLAGS: -ldl -lm -lpthread
#include <stdlib.h>
#include "attention.h"
*/
import "C"

import (
	"errors"
	"unsafe"
)

// attention is a call of the kernel without ONNX Runtime around it, for tests and benchmarks. The slices are Go's
// memory, which C uses during the call only.
type attention struct {
	qHeads, kvHeads, headDim  int
	slabs, pageSize, columns  int
	layer, layers             int
	q, k, v                   []float32
	qStride, kStride, vStride int
	keys, values              []float32 // the caches, where kv is kvF32
	kv                        int       // kvF32, kvF16, kvInt8
	rawKeys, rawValues        []byte    // the caches, where it is not
	cumulative, past, table   []int32
	visible                   []int32 // nil: rows see up to themselves
	cos, sin                  []float32
	positions, rotary         int
	interleaved               bool
	qkNorm                    int
	qNorm, kNorm              []float32
	eps, scale, softcap       float32
	window                    int
	out                       []float32
	written                   bool // for the reference in tests: the caches hold the rows already
	threads                   int  // 0 or 1: the caller's thread alone
}

func (a *attention) run() error {
	args := (*C.ls_attention_args)(C.calloc(1, C.sizeof_ls_attention_args))
	defer C.free(unsafe.Pointer(args))
	pin := pinner{}
	defer pin.Unpin()
	args.rows, args.spans = C.int64_t(a.cumulative[len(a.cumulative)-1]), C.int64_t(len(a.past))
	args.q_heads, args.kv_heads, args.head_dim = C.int64_t(a.qHeads), C.int64_t(a.kvHeads), C.int64_t(a.headDim)
	args.slabs, args.page_size, args.columns = C.int64_t(a.slabs), C.int64_t(a.pageSize), C.int64_t(a.columns)
	args.layer, args.num_layers = C.int64_t(a.layer), C.int64_t(max(a.layers, 1))
	args.q, args.k, args.v = pin.floats(a.q), pin.floats(a.k), pin.floats(a.v)
	args.q_stride, args.k_stride, args.v_stride = C.int64_t(a.qStride), C.int64_t(a.kStride), C.int64_t(a.vStride)
	args.key_cache, args.value_cache = unsafe.Pointer(pin.floats(a.keys)), unsafe.Pointer(pin.floats(a.values))
	if args.kv = C.int(a.kv); a.kv != kvF32 {
		args.key_cache, args.value_cache = pin.raw(a.rawKeys), pin.raw(a.rawValues)
	}
	args.cumulative, args.past, args.table = pin.ints(a.cumulative), pin.ints(a.past), pin.ints(a.table)
	args.visible = pin.ints(a.visible)
	args.cos, args.sin = pin.floats(a.cos), pin.floats(a.sin)
	args.positions, args.rotary_dim = C.int64_t(a.positions), C.int64_t(a.rotary)
	args.interleaved = truth(a.interleaved)
	args.qk_norm, args.qk_norm_eps = C.int(a.qkNorm), C.float(a.eps)
	args.q_norm, args.k_norm = pin.floats(a.qNorm), pin.floats(a.kNorm)
	args.scale, args.softcap, args.window = C.float(a.scale), C.float(a.softcap), C.int64_t(a.window)
	args.out = pin.floats(a.out)
	refused := (*C.ls_error)(C.calloc(1, C.sizeof_ls_error))
	defer C.free(unsafe.Pointer(refused))
	pool := C.ls_crew(C.size_t(max(a.threads, 1)))
	if C.ls_paged_attention(args, &pool, refused) != 0 {
		return errors.New(C.GoString(&refused.text[0]))
	}
	return nil
}

// The instruction sets of the CPU operators.
const (
	isaPortable = C.LS_ISA_PORTABLE
	isaAVX2     = C.LS_ISA_AVX2
	isaAVX512   = C.LS_ISA_AVX512
)

// What a cache holds.
const (
	kvF32  = C.LS_KV_F32
	kvF16  = C.LS_KV_F16
	kvInt8 = C.LS_KV_INT8
)

// forceISA makes the CPU operators use one instruction set (−1: the best), and reports whether the processor has it.
func forceISA(isa int) bool { return C.ls_isa_force(C.int(isa)) == 0 }
