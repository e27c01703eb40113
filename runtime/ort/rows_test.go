//go:build cgo

package ort

import (
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// Rows of three bytes, so that no kernel's alignment hides a mistake; more rows than one native call of the mover takes.
func TestCopyRows(t *testing.T) {
	CheckLeaks(t)
	s, _ := sum().load(t)
	sp, err := openSpace(s, "Cpu", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer sp.close()
	const width, rows = 3, 2*moverRows + 100
	host := buffer(t, width*rows)
	device, err := sp.alloc(width * rows)
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	for name, b := range map[string]*Buffer{"host": host, "device": device} {
		t.Run(name, func(t *testing.T) {
			image := unsafe.Slice((*byte)(b.ptr), width*rows)
			for i := range image {
				image[i] = byte(i * 7 >> 3)
			}
			want := slices.Clone(image)
			var from, to []int64
			for i := int64(0); i+1 < rows; i += 2 {
				from, to = append(from, i), append(to, rows-1-i)
			}
			for i := range from {
				copy(want[to[i]*width:(to[i]+1)*width], image[from[i]*width:])
			}
			if err := b.CopyRows(width, from, to); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(image, want) {
				t.Error("rows are not where they belong")
			}
			if n := testing.AllocsPerRun(20, func() {
				if err := b.CopyRows(width, from[:9], to[:9]); err != nil {
					t.Fatal(err)
				}
			}); n != 0 {
				t.Errorf("%v allocations", n)
			}
			for _, wrong := range []int64{-1, rows} {
				if err := b.CopyRows(width, []int64{wrong}, []int64{0}); err == nil || !strings.Contains(err.Error(), "of 3 bytes") {
					t.Errorf("row %d: %v", wrong, err)
				}
			}
			if err := b.CopyRows(width, []int64{1}, nil); err == nil {
				t.Error("from without to")
			}
		})
	}
}
