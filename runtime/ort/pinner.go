//go:build cgo

package ort

// #include <stdint.h>
import "C"

import (
	"runtime"
	"unsafe"
)

// pinner pins slices whose addresses go into C memory for the time of a call.
type pinner struct{ runtime.Pinner }

func (p *pinner) floats(s []float32) *C.float {
	if len(s) == 0 {
		return nil
	}
	p.Pin(unsafe.SliceData(s))
	return (*C.float)(unsafe.SliceData(s))
}

func (p *pinner) ints(s []int32) *C.int32_t {
	if len(s) == 0 {
		return nil
	}
	p.Pin(unsafe.SliceData(s))
	return (*C.int32_t)(unsafe.SliceData(s))
}

func (p *pinner) raw(s []byte) unsafe.Pointer {
	if len(s) == 0 {
		return nil
	}
	p.Pin(unsafe.SliceData(s))
	return unsafe.Pointer(unsafe.SliceData(s))
}
