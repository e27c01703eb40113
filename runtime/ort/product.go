//go:build cgo

package ort

/*
#include <stdlib.h>
#include "product.h"
*/
import "C"

import "unsafe"

// product is a call of the kernel without ONNX Runtime around it, for tests and benchmarks. The slices are Go's memory,
// which C uses during the call only.
type product struct {
	rows, k, n, bits     int
	scaleBits            int // 0: 16
	swiglu               bool
	weightScale, epsilon float32
	x, gain              []float32
	weights              []byte
	bias, residual, out  []float32
	threads              int // 0 or 1: the caller's thread alone
}

func (p *product) run() {
	args := (*C.ls_product_args)(C.calloc(1, C.sizeof_ls_product_args))
	defer C.free(unsafe.Pointer(args))
	pin := pinner{}
	defer pin.Unpin()
	args.rows, args.k, args.n, args.bits = C.int64_t(p.rows), C.int64_t(p.k), C.int64_t(p.n), C.int(p.bits)
	args.scale_bits = C.int(p.scaleBits)
	if p.swiglu {
		args.activation = C.LS_SWIGLU
	}
	args.weight_scale, args.epsilon = C.float(p.weightScale), C.float(p.epsilon)
	args.x, args.gain, args.weights = pin.floats(p.x), pin.floats(p.gain), (*C.uint8_t)(pin.raw(p.weights))
	args.bias, args.residual, args.out = pin.floats(p.bias), pin.floats(p.residual), pin.floats(p.out)
	scratch := C.aligned_alloc(64, (C.ls_product_scratch(args)+64)/64*64)
	defer C.free(scratch)
	pool := C.ls_crew(C.size_t(max(p.threads, 1)))
	C.ls_product(args, scratch, &pool)
}

// packedSize is the number of bytes that packed weights take.
func packedSize(n, k, bits, scaleBits int, swiglu bool) int {
	activation := C.int(C.LS_PLAIN)
	if swiglu {
		activation = C.LS_SWIGLU
	}
	return int(C.ls_product_weights(C.int64_t(n), C.int64_t(k), C.int(bits), C.int(scaleBits), activation))
}

// The instruction sets of the products.
const (
	productPortable   = C.LS_PRODUCT_PORTABLE
	productAVX2       = C.LS_PRODUCT_AVX2
	productAVXVNNI    = C.LS_PRODUCT_AVXVNNI
	productAVX512VNNI = C.LS_PRODUCT_AVX512VNNI
	productNEON       = C.LS_PRODUCT_NEON
)

// setCrewSpin is whether the threads of our own wait awake for the next call, for tests.
func setCrewSpin(spin bool) { C.ls_crew_spin(truth(spin)) }

// forceProductISA makes the products use one instruction set (−1: the best), and reports whether the processor has it.
func forceProductISA(isa int) bool { return C.ls_product_force_isa(C.int(isa)) == 0 }
