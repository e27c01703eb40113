//go:build cgo

package ort

import (
	"bytes"
	"strings"
	"testing"
	"unsafe"
)

func TestBufferIsZeroedAlignedAndCapped(t *testing.T) {
	CheckLeaks(t)
	b := buffer(t, 10)
	if got := b.Bytes(); !bytes.Equal(got, make([]byte, 10)) || cap(got) != 10 {
		t.Errorf("bytes %v, capacity %d", got, cap(got))
	}
	if f, i, l := b.F32(), b.I32(), b.I64(); len(f) != 2 || cap(f) != 2 || len(i) != 2 || len(l) != 1 || cap(l) != 1 {
		t.Errorf("views of 10 bytes hold %d float32, %d int32, %d int64", len(f), len(i), len(l))
	}
	if at := uintptr(unsafe.Pointer(&b.Bytes()[0])); at%64 != 0 {
		t.Errorf("address %#x is not aligned to 64", at)
	}
}

func TestBufferSizes(t *testing.T) {
	CheckLeaks(t)
	if b := buffer(t, 0); b.size != 0 || len(b.Bytes()) != 0 {
		t.Errorf("an empty buffer has %d bytes", b.size)
	}
	if _, err := NewBuffer(-1); err == nil {
		t.Error("a buffer of −1 bytes")
	}
	// Memory is taken as it is written: a buffer may be larger than what the machine has free.
	if b := buffer(t, 1<<36); b.size != 1<<36 {
		t.Errorf("size %d", b.size)
	}
	b := buffer(t, 8)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil || b.Bytes() != nil || b.F32() != nil {
		t.Errorf("after Close: %v, %v", err, b.Bytes())
	}
}

// Device memory through ONNX Runtime's allocator and copies: the code is the same for CUDA, run here on the allocator
// of the CPU provider.
func TestDeviceBufferOnTheCPUAllocator(t *testing.T) {
	CheckLeaks(t)
	s, c := sum().load(t)
	sp, err := openSpace(s, "Cpu", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer sp.close()
	device := func() *Buffer {
		b, err := sp.alloc(16)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	x, y := device(), device()
	if x.Bytes() != nil || x.F32() != nil || x.size != 16 {
		t.Errorf("device memory can be looked into: %v", x.Bytes())
	}
	copy(unsafe.Slice((*float32)(x.ptr), 4), []float32{1, 2, 3, 4}) // this allocator's memory can be, by its address
	c.In(0, x, 2, 2)
	c.Out(0, y, 2, 2)
	if err := c.Run(); err != nil {
		t.Fatal(err)
	}
	if err := y.CopyRows(8, []int64{1}, []int64{0}); err != nil {
		t.Fatal(err)
	}
	if got := [4]float32(unsafe.Slice((*float32)(y.ptr), 4)); got != [4]float32{6, 8, 6, 8} {
		t.Errorf("got %v", got)
	}
	if err := s.Close(); err == nil {
		t.Error("a session closes under its device buffers")
	}
	for _, b := range []*Buffer{x, y} {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := x.CopyRows(4, nil, nil); err == nil {
		t.Error("a copy in closed memory")
	}
}

func TestCheckLeaksNamesWhatIsLeftOpen(t *testing.T) {
	var r recorder
	CheckLeaks(&r)
	b, err := NewBuffer(123)
	if err != nil {
		t.Fatal(err)
	}
	r.end()
	if len(r.said) != 1 || !strings.Contains(r.said[0], "buffer of 123 bytes") || !strings.Contains(r.said[0], "TestCheckLeaksNames") {
		t.Errorf("said %q", r.said)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}
