//go:build cgo

package engine_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/models/protofield"
)

// writeUnrolled writes one graph that applies the bundle's block loops times: what a runtime without a loop in Go
// would run at a fixed depth. It is made for the benchmark of that loop's cost and is no part of a bundle. The nodes
// are the block's own, copied and renamed, and the weights are the bundle's: file must lie in the bundle's folder, or
// in one that holds the same external data.
//
// Inputs and outputs are the block's, except that loop t has a page table of its own, block_table_t, and the outputs
// of each row's numbers are by loop: delta_t and, where there is a gate, gate_t. hidden_out is the last loop's.
func writeUnrolled(b *bundle.Bundle, file string, loops int) error {
	if loops < 1 {
		return fmt.Errorf("unroll %s: %d loops, must be at least 1", b.Manifest.Name, loops)
	}
	raw, err := os.ReadFile(b.Path(b.Manifest.Block.File))
	if err != nil {
		return err
	}
	out, err := unrollModel(raw, loops)
	if err != nil {
		return fmt.Errorf("unroll %s of %s: %w", b.Manifest.Block.File, b.Manifest.Name, err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, out, 0o644)
}

// Field numbers of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
const (
	modelGraph = 7

	graphNode, graphInitializer, graphInput, graphOutput = 1, 5, 11, 12

	nodeInput, nodeOutput, nodeName = 1, 2, 3
	valueName                       = 1
)

func unrollModel(model []byte, loops int) ([]byte, error) {
	return protofield.Rewrite(model, func(f protofield.Field) (protofield.Field, error) {
		if f.Tag != modelGraph {
			return f, nil
		}
		graph, err := unrollGraph(f.Bytes, loops)
		return f.WithBytes(graph), err
	})
}

func unrollGraph(graph []byte, loops int) ([]byte, error) {
	all, err := fieldsOf(graph)
	if err != nil {
		return nil, err
	}
	inputs, err := stringsIn(all, graphInput, valueName)
	if err != nil {
		return nil, err
	}
	if slices.Contains(inputs, "depth") {
		return nil, errors.New("the block takes the loop's number, and an unrolled graph has nobody to give it")
	}
	made := map[string]bool{} // by the nodes: different at each loop
	for _, f := range all {
		if f.Tag == graphNode {
			outputs, err := stringsIn([]protofield.Field{f}, graphNode, nodeOutput)
			if err != nil {
				return nil, err
			}
			for _, name := range outputs {
				made[name] = true
			}
		}
	}
	if made["key_cache_out"] {
		return nil, errors.New("the block returns its caches: only graphs for the CPU are unrolled")
	}
	// at is what a name of the block is called in loop t.
	at := func(name string, t int) string {
		switch {
		case name == "hidden" && t > 0:
			return fmt.Sprintf("hidden_out_%d", t-1)
		case name == "hidden_out" && t == loops-1:
			return name
		case name == "block_table" || name != "" && made[name]:
			return fmt.Sprintf("%s_%d", name, t)
		}
		return name
	}
	var out []byte
	add := func(f protofield.Field, t int, renamed ...protowire.Number) error {
		content, err := protofield.Rewrite(f.Bytes, func(inner protofield.Field) (protofield.Field, error) {
			switch {
			case slices.Contains(renamed, inner.Tag):
				return inner.WithBytes([]byte(at(string(inner.Bytes), t))), nil
			case f.Tag == graphNode && inner.Tag == nodeName:
				return inner.WithBytes(fmt.Appendf(nil, "%s_%d", inner.Bytes, t)), nil
			}
			return inner, nil
		})
		out = append(out, f.WithBytes(content).Raw...)
		return err
	}
	for t := range loops {
		for _, f := range all {
			name := ""
			if f.Tag == graphInput || f.Tag == graphOutput {
				one, err := stringsIn([]protofield.Field{f}, f.Tag, valueName)
				if err != nil {
					return nil, err
				}
				if len(one) != 1 {
					return nil, errors.New("an input or output without a name")
				}
				name = one[0]
			}
			switch {
			case f.Tag == graphNode:
				err = add(f, t, nodeInput, nodeOutput)
			case name == "block_table" || f.Tag == graphOutput && name != "hidden_out":
				err = add(f, t, valueName)
			case t == loops-1: // once: weights, the other inputs, hidden_out
				out = append(out, f.Raw...)
			}
			if err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// stringsIn collects a string field of all messages with that number.
func stringsIn(all []protofield.Field, number, inside protowire.Number) ([]string, error) {
	var out []string
	for _, f := range all {
		if f.Tag != number {
			continue
		}
		parts, err := fieldsOf(f.Bytes)
		if err != nil {
			return nil, err
		}
		for _, p := range parts {
			if p.Tag == inside {
				out = append(out, string(p.Bytes))
			}
		}
	}
	return out, nil
}

// fieldsOf is all fields of a message.
func fieldsOf(message []byte) (all []protofield.Field, err error) {
	err = protofield.Each(message, func(f protofield.Field) error {
		all = append(all, f)
		return nil
	})
	return all, err
}
