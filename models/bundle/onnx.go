package bundle

import (
	"fmt"
	"slices"

	"github.com/loopserve/loopserve/models/protofield"
)

// Limits of the reader. Graphs of ours nest one level and have some hundred nodes.
const (
	maxNesting = 16
	maxNodes   = 1 << 20
)

// domains are those whose operators a bundle may use. Anything else would be a kernel that we did not register.
var domains = []string{"", "ai.onnx", "com.microsoft", "loopserve"}

// graphInfo is what the reader keeps of an ONNX file.
type graphInfo struct {
	inputs, outputs []tensorInfo
	initializers    map[string]bool
	external        []external
	attention       map[string]int // PagedAttention nodes by domain, subgraphs included

	nodes int
}

// tensorInfo is a graph's declared input or output. A dimension is −1 where it is dynamic.
type tensorInfo struct {
	name   string
	elem   int64
	ranked bool
	dims   []int64
}

// readGraph reads an ONNX file: graph, subgraphs in attributes, and functions. It refuses what could make the runtime
// read or run something else than what is checked here.
func readGraph(raw []byte) (*graphInfo, error) {
	g := &graphInfo{initializers: map[string]bool{}, attention: map[string]int{}}
	graphs := 0
	err := protofield.Each(raw, func(f protofield.Field) error {
		switch f.Tag {
		case 7:
			if graphs++; graphs > 1 {
				return fmt.Errorf("%w: two graphs", protofield.ErrDamaged) // parsers merge them
			}
			b, err := f.Sub()
			if err != nil {
				return err
			}
			return g.graph(b, 0)
		case 20:
			return fmt.Errorf("it holds training information: only inference graphs are served")
		case 25:
			b, err := f.Sub()
			if err != nil {
				return err
			}
			return g.function(b)
		}
		return nil
	})
	if err == nil && graphs == 0 {
		err = fmt.Errorf("%w: no graph", protofield.ErrDamaged)
	}
	return g, err
}

func (g *graphInfo) graph(raw []byte, depth int) error {
	if depth > maxNesting {
		return fmt.Errorf("graphs nest more than %d deep", maxNesting)
	}
	return protofield.Each(raw, func(f protofield.Field) error {
		switch f.Tag {
		case 1, 5, 11, 12, 15:
		default:
			return nil
		}
		b, err := f.Sub()
		if err != nil {
			return err
		}
		switch {
		case f.Tag == 1:
			return g.node(b, depth)
		case f.Tag == 5:
			return g.tensor(b, depth == 0)
		case f.Tag == 15:
			return fmt.Errorf("it has a sparse initializer: store it dense")
		case depth == 0:
			return g.value(b, f.Tag == 11)
		}
		return nil
	})
}

func (g *graphInfo) function(raw []byte) error {
	return protofield.Each(raw, func(f protofield.Field) error {
		if f.Tag != 7 && f.Tag != 11 {
			return nil
		}
		b, err := f.Sub()
		if err != nil {
			return err
		}
		if f.Tag == 11 {
			return g.attribute(b, 1)
		}
		return g.node(b, 1)
	})
}

func (g *graphInfo) node(raw []byte, depth int) error {
	if g.nodes++; g.nodes > maxNodes {
		return fmt.Errorf("more than %d nodes", maxNodes)
	}
	var name, op, domain string
	err := protofield.Each(raw, func(f protofield.Field) error {
		if f.Tag != 3 && f.Tag != 4 && f.Tag != 5 && f.Tag != 7 {
			return nil
		}
		b, err := f.Sub()
		if err != nil {
			return err
		}
		switch f.Tag {
		case 3:
			name = string(b)
		case 4:
			op = string(b)
		case 5:
			return g.attribute(b, depth)
		case 7:
			domain = string(b)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("node %q (%s): %w", name, op, err)
	}
	if !slices.Contains(domains, domain) {
		return fmt.Errorf("node %q is the operator %s of the domain %q: a bundle may use ONNX's own, com.microsoft and loopserve",
			name, op, domain)
	}
	if op == "PagedAttention" {
		g.attention[domain]++
	}
	return nil
}

func (g *graphInfo) attribute(raw []byte, depth int) error {
	tensors, graphs := 0, 0
	return protofield.Each(raw, func(f protofield.Field) error {
		switch f.Tag {
		case 5, 10: // t, tensors
			b, err := f.Sub()
			if err != nil {
				return err
			}
			if f.Tag == 5 {
				if tensors++; tensors > 1 {
					return fmt.Errorf("%w: an attribute with two tensors", protofield.ErrDamaged)
				}
			}
			return g.tensor(b, false)
		case 6, 11: // g, graphs
			b, err := f.Sub()
			if err != nil {
				return err
			}
			if f.Tag == 6 {
				if graphs++; graphs > 1 {
					return fmt.Errorf("%w: an attribute with two graphs", protofield.ErrDamaged)
				}
			}
			return g.graph(b, depth+1)
		case 22, 23:
			return fmt.Errorf("it has a sparse tensor: store it dense")
		}
		return nil
	})
}

// value reads a ValueInfoProto of the main graph.
func (g *graphInfo) value(raw []byte, input bool) error {
	var v tensorInfo
	err := protofield.Each(raw, func(f protofield.Field) error {
		if f.Tag != 1 && f.Tag != 2 {
			return nil
		}
		b, err := f.Sub()
		if err != nil {
			return err
		}
		if f.Tag == 1 {
			v.name = string(b)
			return nil
		}
		return protofield.Each(b, func(f protofield.Field) error { // TypeProto
			if f.Tag != 1 {
				return nil
			}
			tensor, err := f.Sub()
			if err != nil {
				return err
			}
			return v.tensorType(tensor)
		})
	})
	if input {
		g.inputs = append(g.inputs, v)
	} else {
		g.outputs = append(g.outputs, v)
	}
	return err
}

func (v *tensorInfo) tensorType(raw []byte) error {
	return protofield.Each(raw, func(f protofield.Field) (err error) {
		switch f.Tag {
		case 1:
			v.elem, err = f.Varint()
		case 2:
			v.ranked = true
			var shape []byte
			if shape, err = f.Sub(); err == nil {
				err = protofield.Each(shape, v.dim)
			}
		}
		return err
	})
}

func (v *tensorInfo) dim(f protofield.Field) error {
	if f.Tag != 1 {
		return nil
	}
	b, err := f.Sub()
	if err != nil {
		return err
	}
	size := int64(-1)
	err = protofield.Each(b, func(f protofield.Field) (err error) {
		if f.Tag == 1 {
			size, err = f.Varint()
		}
		return err
	})
	v.dims = append(v.dims, size)
	return err
}
