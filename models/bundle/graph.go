package bundle

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// The walk over an ONNX file. It decodes what decides safety and the contract, and skips the rest: every tensor's
// external data must lie inside a listed file, every operator must come from a known domain. Field numbers are
// onnx.proto's.

// domains that operators may come from.
var domains = []string{"", "ai.onnx", "com.microsoft", "loopserve"}

// maxNesting bounds graphs inside attributes of nodes of graphs.
const maxNesting = 8

type walker struct {
	m       *Manifest
	inputs  []value
	outputs []value
}

func checkGraph(raw []byte, g namedGraph, m *Manifest) error {
	w := &walker{m: m}
	found := false
	err := fields(raw, func(n protowire.Number, v []byte, _ uint64) error {
		switch n {
		case 7: // graph
			found = true
			return w.graph(v, 0)
		case 20: // training_info
			return errors.New("it carries training information, which is refused")
		case 25: // functions
			return fields(v, func(n protowire.Number, v []byte, _ uint64) error {
				if n == 7 {
					return w.node(v, 1)
				}
				return nil
			})
		}
		return nil
	})
	if err != nil {
		return err
	}
	if !found {
		return errors.New("it is not an ONNX model: no graph in it")
	}
	in, out, may := m.contract(g)
	if err := compare("input", w.inputs, in, may); err != nil {
		return err
	}
	return compare("output", w.outputs, out, may)
}

func (w *walker) graph(raw []byte, depth int) error {
	if depth > maxNesting {
		return fmt.Errorf("graphs are nested deeper than %d", maxNesting)
	}
	return fields(raw, func(n protowire.Number, v []byte, _ uint64) error {
		switch n {
		case 1:
			return w.node(v, depth)
		case 5:
			return w.tensor(v)
		case 15:
			return errors.New("it has a sparse initializer, which is refused")
		case 11, 12:
			x, err := declared(v)
			if err != nil || depth > 0 {
				return err
			}
			if n == 11 {
				w.inputs = append(w.inputs, x)
			} else {
				w.outputs = append(w.outputs, x)
			}
		}
		return nil
	})
}

func (w *walker) node(raw []byte, depth int) error {
	op, domain := "", ""
	err := fields(raw, func(n protowire.Number, v []byte, _ uint64) error {
		switch n {
		case 4:
			op = string(v)
		case 7:
			domain = string(v)
		case 5:
			return w.attribute(v, depth)
		}
		return nil
	})
	if err == nil && !slices.Contains(domains, domain) {
		err = fmt.Errorf("operator %q comes from domain %q: only ONNX's own, com.microsoft and loopserve are taken", op, domain)
	}
	return err
}

func (w *walker) attribute(raw []byte, depth int) error {
	return fields(raw, func(n protowire.Number, v []byte, _ uint64) error {
		switch n {
		case 5, 10: // t, tensors
			return w.tensor(v)
		case 6, 11: // g, graphs
			return w.graph(v, depth+1)
		case 22, 23:
			return errors.New("it has a sparse tensor, which is refused")
		}
		return nil
	})
}

// tensor checks where a tensor's bytes are.
func (w *walker) tensor(raw []byte) error {
	name, external := "", map[string]string{}
	location := uint64(0)
	err := fields(raw, func(n protowire.Number, v []byte, x uint64) error {
		switch n {
		case 8:
			name = string(v)
		case 13:
			key, val := "", ""
			if err := fields(v, func(n protowire.Number, v []byte, _ uint64) error {
				switch n {
				case 1:
					key = string(v)
				case 2:
					val = string(v)
				}
				return nil
			}); err != nil {
				return err
			}
			external[key] = val
		case 14:
			location = x
		}
		return nil
	})
	if err != nil || location == 0 && len(external) == 0 {
		return err
	}
	file := external["location"]
	listed, ok := w.m.Files[file]
	if !ok {
		return fmt.Errorf("tensor %q has its data in %q, which the manifest does not list", name, file)
	}
	number := func(key string) (int64, error) {
		if external[key] == "" {
			return 0, nil
		}
		v, err := strconv.ParseInt(external[key], 10, 64)
		if err != nil || v < 0 {
			return 0, fmt.Errorf("tensor %q has external %s %q, must be a whole number from 0", name, key, external[key])
		}
		return v, nil
	}
	offset, err := number("offset")
	if err != nil {
		return err
	}
	length, err := number("length")
	if err != nil {
		return err
	}
	if offset > listed.Size || length > listed.Size-offset {
		return fmt.Errorf("tensor %q has its data at %d, %d bytes long, in %s of %d bytes", name, offset, length, file, listed.Size)
	}
	return nil
}

// declared reads a ValueInfoProto.
func declared(raw []byte) (value, error) {
	var x value
	return x, fields(raw, func(n protowire.Number, v []byte, _ uint64) error {
		switch n {
		case 1:
			x.name = string(v)
		case 2: // type → tensor_type
			return fields(v, func(n protowire.Number, v []byte, _ uint64) error {
				if n != 1 {
					return fmt.Errorf("%q is no tensor", x.name)
				}
				return x.tensorType(v)
			})
		}
		return nil
	})
}

func (x *value) tensorType(raw []byte) error {
	return fields(raw, func(n protowire.Number, v []byte, number uint64) error {
		switch n {
		case 1:
			x.kind = int64(number)
		case 2:
			return fields(v, func(_ protowire.Number, dim []byte, _ uint64) error {
				size := int64(-1)
				err := fields(dim, func(n protowire.Number, _ []byte, number uint64) error {
					if n == 1 {
						size = int64(number)
					}
					return nil
				})
				x.dims = append(x.dims, size)
				return err
			})
		}
		return nil
	})
}

// fields calls f for each field of a message: bytes for the length-delimited ones, number for varints.
func fields(raw []byte, f func(n protowire.Number, bytes []byte, number uint64) error) error {
	for len(raw) > 0 {
		n, kind, size := protowire.ConsumeTag(raw)
		if size < 0 {
			return fmt.Errorf("damaged protobuf: %w", protowire.ParseError(size))
		}
		raw = raw[size:]
		var bytes []byte
		var number uint64
		switch kind {
		case protowire.BytesType:
			bytes, size = protowire.ConsumeBytes(raw)
		case protowire.VarintType:
			number, size = protowire.ConsumeVarint(raw)
		default:
			size = protowire.ConsumeFieldValue(n, kind, raw)
		}
		if size < 0 {
			return fmt.Errorf("damaged protobuf: %w", protowire.ParseError(size))
		}
		raw = raw[size:]
		if err := f(n, bytes, number); err != nil {
			return err
		}
	}
	return nil
}
