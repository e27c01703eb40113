package kvcache

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
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
	out, err := rewrite(model, modelGraph, func(graph []byte) ([]byte, error) {
		return rewrite(graph, graphInput, func(input []byte) ([]byte, error) {
			name, err := text(input, valueName)
			if err != nil || name != "key_cache" && name != "value_cache" {
				return input, err
			}
			found++
			return rewrite(input, valueType, func(t []byte) ([]byte, error) {
				return rewrite(t, typeTensor, p.retypeTensor)
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
	tensor, err := rewriteNumber(tensor, tensorElement, func(uint64) uint64 { return uint64(p.Element()) })
	if err != nil {
		return nil, err
	}
	return rewrite(tensor, tensorSize, func(shape []byte) ([]byte, error) {
		dims := 0
		if _, err := rewrite(shape, shapeDim, func(d []byte) ([]byte, error) { dims++; return d, nil }); err != nil {
			return nil, err
		}
		at := 0
		return rewrite(shape, shapeDim, func(d []byte) ([]byte, error) {
			if at++; at < dims {
				return d, nil
			}
			return rewriteNumber(d, dimValue, func(n uint64) uint64 { return uint64(p.headElements(int(n))) })
		})
	})
}

var errProtobuf = errors.New("the graph is damaged")

// each calls visit with every field of a message: its number, its type, and where it begins and ends.
func each(message []byte, visit func(field protowire.Number, t protowire.Type, whole, content []byte) error) error {
	for len(message) > 0 {
		field, t, tag := protowire.ConsumeTag(message)
		if tag < 0 {
			return errProtobuf
		}
		n := protowire.ConsumeFieldValue(field, t, message[tag:])
		if n < 0 {
			return errProtobuf
		}
		if err := visit(field, t, message[:tag+n], message[tag:tag+n]); err != nil {
			return err
		}
		message = message[tag+n:]
	}
	return nil
}

// rewrite copies a message, with each submessage of one field replaced.
func rewrite(message []byte, which protowire.Number, change func([]byte) ([]byte, error)) ([]byte, error) {
	out := make([]byte, 0, len(message)+16)
	err := each(message, func(field protowire.Number, t protowire.Type, whole, content []byte) error {
		if field != which || t != protowire.BytesType {
			out = append(out, whole...)
			return nil
		}
		inner, n := protowire.ConsumeBytes(content)
		if n < 0 {
			return errProtobuf
		}
		changed, err := change(inner)
		out = protowire.AppendBytes(protowire.AppendTag(out, field, t), changed)
		return err
	})
	return out, err
}

// rewriteNumber copies a message, with each varint of one field replaced.
func rewriteNumber(message []byte, which protowire.Number, change func(uint64) uint64) ([]byte, error) {
	out := make([]byte, 0, len(message)+4)
	err := each(message, func(field protowire.Number, t protowire.Type, whole, content []byte) error {
		if field != which || t != protowire.VarintType {
			out = append(out, whole...)
			return nil
		}
		v, n := protowire.ConsumeVarint(content)
		if n < 0 {
			return errProtobuf
		}
		out = protowire.AppendVarint(protowire.AppendTag(out, field, t), change(v))
		return nil
	})
	return out, err
}

func text(message []byte, which protowire.Number) (string, error) {
	var s string
	err := each(message, func(field protowire.Number, t protowire.Type, _, content []byte) error {
		if field == which && t == protowire.BytesType {
			b, n := protowire.ConsumeBytes(content)
			if n < 0 {
				return errProtobuf
			}
			s = string(b)
		}
		return nil
	})
	return s, err
}
