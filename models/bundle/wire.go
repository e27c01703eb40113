package bundle

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// errWire says that bytes are not protobuf, or not as ONNX has it.
var errWire = errors.New("it is not an ONNX model (truncated or damaged)")

// field is one field of a message: bytes for a length-delimited one, number for a varint.
type field struct {
	tag    protowire.Number
	kind   protowire.Type
	bytes  []byte
	number uint64
}

// fields calls each for every field of a message, in order. Groups are refused: ONNX has none, and they are the one
// thing on the wire that nests without a length.
func fields(message []byte, each func(f field) error) error {
	for len(message) > 0 {
		tag, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return errWire
		}
		message = message[n:]
		f := field{tag: tag, kind: kind}
		switch kind {
		case protowire.VarintType:
			f.number, n = protowire.ConsumeVarint(message)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(message)
		case protowire.Fixed32Type:
			_, n = protowire.ConsumeFixed32(message)
		case protowire.Fixed64Type:
			_, n = protowire.ConsumeFixed64(message)
		default:
			return errWire
		}
		if n < 0 {
			return errWire
		}
		message = message[n:]
		if err := each(f); err != nil {
			return err
		}
	}
	return nil
}

// sub checks that a field of ours is a message or string. Another wire type there is read by one parser as an
// unknown field and by another as the value: refused.
func (f field) sub() ([]byte, error) {
	if f.kind != protowire.BytesType {
		return nil, fmt.Errorf("%w: field %d has wire type %d", errWire, f.tag, f.kind)
	}
	return f.bytes, nil
}

func (f field) varint() (int64, error) {
	if f.kind != protowire.VarintType {
		return 0, fmt.Errorf("%w: field %d has wire type %d", errWire, f.tag, f.kind)
	}
	return int64(f.number), nil
}
