package kvcache

import (
	"fmt"

	"github.com/loopserve/loopserve/runtime/ort"
)

// Precision is what a number of K or V is stored as.
type Precision uint8

// The precisions. The zero value is float32.
const (
	F32 Precision = iota
	F16
	BF16 // on CUDA alone
	// Int8 is symmetric: a head of a token has head_dim numbers and a scale, a bfloat16, after them.
	Int8
)

// scaleBytes is LS_KV_SCALE of runtime/ort/attention.h.
const scaleBytes = 2

// ParsePrecision reads what configuration may ask for on a CPU: f32, f16 or int8.
func ParsePrecision(s string) (Precision, error) {
	switch s {
	case "f32":
		return F32, nil
	case "f16":
		return F16, nil
	case "int8":
		return Int8, nil
	}
	return F32, fmt.Errorf("kv precision %q: must be f32, f16 or int8", s)
}

// String is the word for it.
func (p Precision) String() string { return [...]string{"f32", "f16", "bf16", "int8"}[p] }

// Element is the type of the tensors.
func (p Precision) Element() ort.ElementType {
	return [...]ort.ElementType{ort.Float32, ort.Float16, ort.BFloat16, ort.Uint8}[p]
}

// headElements is the last dimension of the tensors.
func (p Precision) headElements(headDim int) int {
	if p == Int8 {
		return headDim + scaleBytes
	}
	return headDim
}
