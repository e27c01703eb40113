// Package random makes bundles of random weights, of any size, for benchmarks: speed depends on sizes, not on what the
// weights say. It writes a looped_llama checkpoint and exports it as `loopserve export` would. The
// writer takes any checkpoint's tensors: tests of exports use it too.
//
// Weights are normal with the variance that keeps activations near 1, and norm gains are random around 1: an exporter
// that drops a gain or swaps two matrices changes the outputs. The same sizes and seed give the same bytes.
package random

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/loopserve/loopserve/models/export"
)

// Model says which one to make.
type Model struct {
	LoopedLlama
	Weights string // as `loopserve export --weights` takes them
	Seed    uint64
}

// Keys are what Parse takes.
const Keys = "hidden, layers, prelude, coda, heads, kv_heads, ffn, vocab, context, loops, weights, seed"

// mostOf bounds each number of a model.
const mostOf = 1 << 20

// Parse reads hidden=1024,layers=4,heads=16,ffn=2816,vocab=32000,weights=int4. What is not given is as in this example,
// with float32 weights.
func Parse(spec string) (Model, error) {
	m := Model{
		LoopedLlama: LoopedLlama{Hidden: 1024, Heads: 16, FFN: 2816, Vocab: 32000, Loop: 4, Context: 1024, Loops: 16},
		Weights:     export.F32,
	}
	seed := 1
	numbers := map[string]*int{
		"hidden": &m.Hidden, "layers": &m.Loop, "prelude": &m.Prelude, "coda": &m.Coda, "heads": &m.Heads, "kv_heads": &m.KVHeads,
		"ffn": &m.FFN, "vocab": &m.Vocab, "context": &m.Context, "loops": &m.Loops, "seed": &seed,
	}
	for item := range strings.SplitSeq(spec, ",") {
		key, value, ok := strings.Cut(strings.TrimSpace(item), "=")
		switch {
		case !ok:
			return m, fmt.Errorf("random model: %q: must be key=value, the keys are %s", item, Keys)
		case key == "weights":
			m.Weights = value
			continue
		case numbers[key] == nil:
			return m, fmt.Errorf("random model: unknown key %q: the keys are %s", key, Keys)
		}
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 || n > mostOf {
			return m, fmt.Errorf("random model: %s is %q: must be an integer from 0 to %d", key, value, mostOf)
		}
		*numbers[key] = n
	}
	m.Seed = uint64(seed)
	m.KVHeads = cmp.Or(m.KVHeads, m.Heads)
	return m, m.check(spec)
}

func (m *Model) check(spec string) error {
	switch {
	case m.Loop < 1 || m.Heads < 1 || m.FFN < 1 || m.Vocab < 2 || m.Context < 2 || m.Loops < 1:
		return fmt.Errorf("random model: %q: layers, heads, ffn and loops must be at least 1, vocab and context at least 2", spec)
	case m.Hidden < m.Heads || m.Hidden%m.Heads != 0 || m.Hidden/m.Heads%2 != 0:
		return fmt.Errorf("random model: hidden is %d and heads is %d: hidden/heads must be an even integer", m.Hidden, m.Heads)
	case m.Heads%m.KVHeads != 0:
		return fmt.Errorf("random model: heads is %d and kv_heads is %d: kv_heads must divide heads", m.Heads, m.KVHeads)
	}
	return nil
}

// Make writes the checkpoint and exports it; both lie below dir. It returns the bundle's folder.
func (m *Model) Make(ctx context.Context, dir string) (string, error) {
	hf := filepath.Join(dir, "checkpoint")
	if err := m.Write(hf, m.Seed); err != nil {
		return "", err
	}
	out := filepath.Join(dir, fmt.Sprintf("random-h%d-k%d-%s", m.Hidden, m.Loop, m.Weights))
	if _, err := export.Export(ctx, hf, out, export.Options{Weights: m.Weights, Exporter: "loopserve bench"}); err != nil {
		return "", err
	}
	return out, os.RemoveAll(hf)
}
