package export

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/loopserve/loopserve/models/bundle"
)

// Unrolled writes one graph that applies the bundle's block loops times: what a runtime without a loop in Go
// would run at a fixed depth. It is made for the benchmark of that loop's cost and is no part of a bundle. The nodes
// are the block's own, copied and renamed, and the weights are the bundle's: file must lie in the bundle's folder, or
// in one that holds the same external data.
//
// Inputs and outputs are the block's, except that loop t has a page table of its own, block_table_t, and the outputs
// of each row's numbers are by loop: delta_t and, where there is a gate, gate_t. hidden_out is the last loop's.
func Unrolled(b *bundle.Bundle, file string, loops int) error {
	if loops < 1 {
		return fmt.Errorf("unroll %s: %d loops, must be at least 1", b.Manifest.Name, loops)
	}
	raw, err := os.ReadFile(b.Path(b.Manifest.Block.File))
	if err != nil {
		return err
	}
	out, err := unroll(raw, loops)
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

// field is one protobuf field as it stands in the file: its number, its tag and content, and the content alone where
// it is bytes.
type field struct {
	number  protowire.Number
	raw     []byte
	content []byte
}

func fields(b []byte) ([]field, error) {
	var out []field
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return nil, protowire.ParseError(n)
		}
		size := protowire.ConsumeFieldValue(number, kind, b[n:])
		if size < 0 {
			return nil, protowire.ParseError(size)
		}
		f := field{number: number, raw: b[:n+size]}
		if kind == protowire.BytesType {
			f.content, _ = protowire.ConsumeBytes(b[n:])
		}
		out = append(out, f)
		b = b[n+size:]
	}
	return out, nil
}

// rewrite copies a message with the contents of some fields replaced.
func rewrite(message []byte, replace func(f field) []byte) ([]byte, error) {
	all, err := fields(message)
	if err != nil {
		return nil, err
	}
	var out []byte
	for _, f := range all {
		if to := replace(f); to != nil {
			out = protowire.AppendBytes(protowire.AppendTag(out, f.number, protowire.BytesType), to)
		} else {
			out = append(out, f.raw...)
		}
	}
	return out, nil
}

func unroll(model []byte, loops int) ([]byte, error) {
	var failure error
	out, err := rewrite(model, func(f field) []byte {
		if f.number != modelGraph {
			return nil
		}
		graph, err := unrollGraph(f.content, loops)
		if err != nil {
			failure = err
		}
		return graph
	})
	if failure != nil {
		return nil, failure
	}
	return out, err
}

func unrollGraph(graph []byte, loops int) ([]byte, error) {
	all, err := fields(graph)
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
		if f.number == graphNode {
			outputs, err := stringsIn([]field{f}, graphNode, nodeOutput)
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
	add := func(number protowire.Number, content []byte, t int, renamed ...protowire.Number) {
		content, e := rewrite(content, func(f field) []byte {
			if slices.Contains(renamed, f.number) {
				return []byte(at(string(f.content), t))
			}
			if number == graphNode && f.number == nodeName {
				return fmt.Appendf(nil, "%s_%d", f.content, t)
			}
			return nil
		})
		if e != nil {
			err = e
		}
		out = protowire.AppendBytes(protowire.AppendTag(out, number, protowire.BytesType), content)
	}
	for t := range loops {
		for _, f := range all {
			name := ""
			if f.number == graphInput || f.number == graphOutput {
				one, err := stringsIn([]field{f}, f.number, valueName)
				if err != nil {
					return nil, err
				}
				if len(one) != 1 {
					return nil, errors.New("an input or output without a name")
				}
				name = one[0]
			}
			switch {
			case f.number == graphNode:
				add(f.number, f.content, t, nodeInput, nodeOutput)
			case name == "block_table" || f.number == graphOutput && name != "hidden_out":
				add(f.number, f.content, t, valueName)
			case t == loops-1: // once: weights, the other inputs, hidden_out
				out = append(out, f.raw...)
			}
		}
	}
	return out, err
}

// stringsIn collects a string field of all messages with that number.
func stringsIn(all []field, number, inside protowire.Number) ([]string, error) {
	var out []string
	for _, f := range all {
		if f.number != number {
			continue
		}
		parts, err := fields(f.content)
		if err != nil {
			return nil, err
		}
		for _, p := range parts {
			if p.number == inside {
				out = append(out, string(p.content))
			}
		}
	}
	return out, nil
}
