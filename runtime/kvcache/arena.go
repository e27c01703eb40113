package kvcache

import (
	"errors"
	"fmt"

	"github.com/loopserve/loopserve/runtime/ort"
)

// Arena is the KV memory of one stage: two tensors of [Pages·Layers, PageSize, KVHeads, HeadDim]
// (int8: and 2 for the scale), on the device that
// the sessions run on. On a CPU the system gives physical memory only to pages that have been written.
type Arena struct {
	Key, Value *ort.Buffer
	Pages      int
	Shape      Shape
}

// New allocates an arena, zeroed, where the session computes.
func New(s *ort.Session, pages int, shape Shape) (*Arena, error) {
	bytes := int64(pages) * shape.PageBytes() / 2
	a := &Arena{Pages: pages, Shape: shape}
	var err error
	if a.Key, err = s.NewDeviceBuffer(int(bytes)); err == nil {
		a.Value, err = s.NewDeviceBuffer(int(bytes))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("kv arena of %d pages, %d bytes: %w", pages, 2*bytes, err), a.Close())
	}
	return a, nil
}

// Dims are those of both tensors.
func (a *Arena) Dims() (slabs, pageSize, kvHeads, headDim int64) {
	s := a.Shape
	return int64(a.Pages) * int64(s.Layers), int64(s.PageSize), int64(s.KVHeads), int64(s.Precision.headElements(s.HeadDim))
}

// Row is the place of a token in both tensors, taken for rows of all KV heads of one token and layer.
func (a *Arena) Row(page int32, layer, position int) int64 {
	slab := int64(page)*int64(a.Shape.Layers) + int64(layer)
	return slab*int64(a.Shape.PageSize) + int64(position%a.Shape.PageSize)
}

// CopyRows copies rows to other places, keys and values: from[i] to to[i].
func (a *Arena) CopyRows(from, to []int64) error {
	width := int(a.Shape.TokenBytes()) / 2 / a.Shape.Layers
	if err := a.Key.CopyRows(width, from, to); err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	if err := a.Value.CopyRows(width, from, to); err != nil {
		return fmt.Errorf("values: %w", err)
	}
	return nil
}

// Close frees the memory. It is safe on nil and more than once.
func (a *Arena) Close() error {
	if a == nil {
		return nil
	}
	return errors.Join(a.Key.Close(), a.Value.Close())
}
