// Package protofield reads protobuf messages field by field, and copies them with some fields changed: how ONNX files are
// checked, counted, and retyped. It knows the encoding, not what ONNX's fields mean.
package protofield

import (
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// ErrDamaged says that bytes are not protobuf, or not as ONNX has it.
var ErrDamaged = errors.New("it is not an ONNX model (truncated or damaged)")

// Field is one field of a message: Bytes for a length-delimited one, Number for a varint.
type Field struct {
	Tag    protowire.Number
	Kind   protowire.Type
	Bytes  []byte
	Number uint64
	Raw    []byte // all of it, as it stands in the message
}

// Each calls visit for every field of a message, in order. Groups are refused: ONNX has none, and they are the one
// thing on the wire that nests without a length.
func Each(message []byte, visit func(f Field) error) error {
	for len(message) > 0 {
		tag, kind, head := protowire.ConsumeTag(message)
		if head < 0 {
			return ErrDamaged
		}
		f, n := Field{Tag: tag, Kind: kind}, 0
		content := message[head:]
		switch kind {
		case protowire.VarintType:
			f.Number, n = protowire.ConsumeVarint(content)
		case protowire.BytesType:
			f.Bytes, n = protowire.ConsumeBytes(content)
		case protowire.Fixed32Type:
			_, n = protowire.ConsumeFixed32(content)
		case protowire.Fixed64Type:
			_, n = protowire.ConsumeFixed64(content)
		default:
			return ErrDamaged
		}
		if n < 0 {
			return ErrDamaged
		}
		f.Raw, message = message[:head+n], content[n:]
		if err := visit(f); err != nil {
			return err
		}
	}
	return nil
}

// EachOf calls visit with the content of every field with one of these numbers, which must be messages or strings.
func EachOf(message []byte, visit func(tag protowire.Number, content []byte) error, tags ...protowire.Number) error {
	return Each(message, func(f Field) error {
		if !slices.Contains(tags, f.Tag) {
			return nil
		}
		content, err := f.Sub()
		if err != nil {
			return err
		}
		return visit(f.Tag, content)
	})
}

// Rewrite copies a message, each field as change gives it back.
func Rewrite(message []byte, change func(f Field) (Field, error)) ([]byte, error) {
	out := make([]byte, 0, len(message)+16)
	err := Each(message, func(f Field) error {
		f, err := change(f)
		out = append(out, f.Raw...)
		return err
	})
	return out, err
}

// WithBytes is the field with another content.
func (f Field) WithBytes(content []byte) Field {
	raw := protowire.AppendBytes(protowire.AppendTag(nil, f.Tag, protowire.BytesType), content)
	return Field{Tag: f.Tag, Kind: protowire.BytesType, Bytes: content, Raw: raw}
}

// WithNumber is the field with another number.
func (f Field) WithNumber(v uint64) Field {
	raw := protowire.AppendVarint(protowire.AppendTag(nil, f.Tag, protowire.VarintType), v)
	return Field{Tag: f.Tag, Kind: protowire.VarintType, Number: v, Raw: raw}
}

// Sub is the content of a message or string. Another wire type there is read by one parser as an unknown field and by
// another as the value: refused.
func (f Field) Sub() ([]byte, error) {
	if f.Kind != protowire.BytesType {
		return nil, fmt.Errorf("%w: field %d has wire type %d", ErrDamaged, f.Tag, f.Kind)
	}
	return f.Bytes, nil
}

// Varint is an integer.
func (f Field) Varint() (int64, error) {
	if f.Kind != protowire.VarintType {
		return 0, fmt.Errorf("%w: field %d has wire type %d", ErrDamaged, f.Tag, f.Kind)
	}
	return int64(f.Number), nil
}

// Varints appends the numbers of a repeated field, packed or not.
func (f Field) Varints(to []int64) ([]int64, error) {
	if f.Kind != protowire.BytesType {
		v, err := f.Varint()
		return append(to, v), err
	}
	for b := f.Bytes; len(b) > 0; {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return nil, ErrDamaged
		}
		to, b = append(to, int64(v)), b[n:]
	}
	return to, nil
}
