package kvcache

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/loopserve/loopserve/models/protofield"
)

// Field numbers of onnx.proto3.
const (
	modelGraph, graphInput                = 7, 11
	valueName, valueType                  = 1, 2
	typeTensor, tensorElement, tensorSize = 1, 1, 2
	shapeDim, dimValue                    = 1, 1
)

// Retype returns an ONNX model whose inputs key_cache and value_cache, float32 [.., .., .., head_dim], are declared as p
// stores them. loopserve.PagedAttention takes each of these types, so a bundle needs no other export for another
// precision. Everything else stays, byte for byte.
func Retype(model []byte, p Precision) ([]byte, error) {
	found := 0
	out, err := inside(model, modelGraph, func(graph []byte) ([]byte, error) {
		return inside(graph, graphInput, func(input []byte) ([]byte, error) {
			name, err := text(input, valueName)
			if err != nil || name != "key_cache" && name != "value_cache" {
				return input, err
			}
			found++
			return inside(input, valueType, func(t []byte) ([]byte, error) {
				return inside(t, typeTensor, p.retypeTensor)
			})
		})
	})
	if err == nil && found != 2 {
		err = fmt.Errorf("the graph has %d inputs named key_cache or value_cache, not 2", found)
	}
	if err != nil {
		return nil, fmt.Errorf("kv precision %s: %w", p, err)
	}
	return out, nil
}

func (p Precision) retypeTensor(tensor []byte) ([]byte, error) {
	return protofield.Rewrite(tensor, func(f protofield.Field) (protofield.Field, error) {
		switch f.Tag {
		case tensorElement:
			return f.WithNumber(uint64(p.Element())), nil
		case tensorSize:
			shape, err := p.reshape(f.Bytes)
			return f.WithBytes(shape), err
		}
		return f, nil
	})
}

// reshape gives the last of a shape's dimensions the size of a head.
func (p Precision) reshape(shape []byte) ([]byte, error) {
	left := 0
	err := protofield.Each(shape, func(f protofield.Field) error {
		if f.Tag == shapeDim {
			left++
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return inside(shape, shapeDim, func(d []byte) ([]byte, error) {
		if left--; left > 0 {
			return d, nil
		}
		return protofield.Rewrite(d, func(f protofield.Field) (protofield.Field, error) {
			if f.Tag != dimValue {
				return f, nil
			}
			return f.WithNumber(uint64(p.headElements(int(f.Number)))), nil
		})
	})
}

// inside copies a message, with each submessage of one field changed.
func inside(message []byte, which protowire.Number, change func([]byte) ([]byte, error)) ([]byte, error) {
	return protofield.Rewrite(message, func(f protofield.Field) (protofield.Field, error) {
		if f.Tag != which {
			return f, nil
		}
		changed, err := change(f.Bytes)
		return f.WithBytes(changed), err
	})
}

func text(message []byte, which protowire.Number) (s string, err error) {
	err = protofield.Each(message, func(f protofield.Field) error {
		if f.Tag == which {
			s = string(f.Bytes)
		}
		return nil
	})
	return s, err
}
