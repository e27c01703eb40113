package benchlocal

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/loopserve/loopserve/models/export"
	"github.com/loopserve/loopserve/models/export/exporttest"
)

// Random says which random model to make.
type Random struct {
	Size    exporttest.LoopedLlama
	Weights string
	Seed    uint64
}

// RandomKeys are what ParseRandom takes.
const RandomKeys = "hidden, layers, prelude, coda, heads, kv_heads, ffn, vocab, context, loops, weights, seed"

// ParseRandom reads hidden=1024,layers=4,heads=16,ffn=2816,vocab=32000,weights=int4. layers are those of the block;
// what is not given is as in this example, with float32 weights.
func ParseRandom(spec string) (Random, error) {
	r := Random{Weights: export.F32, Seed: 1, Size: exporttest.LoopedLlama{
		Hidden: 1024, Heads: 16, FFN: 2816, Vocab: 32000, Loop: 4, Context: 1024, Loops: 16,
	}}
	s := &r.Size
	numbers := map[string]*int{
		"hidden": &s.Hidden, "layers": &s.Loop, "prelude": &s.Prelude, "coda": &s.Coda, "heads": &s.Heads, "kv_heads": &s.KVHeads,
		"ffn": &s.FFN, "vocab": &s.Vocab, "context": &s.Context, "loops": &s.Loops,
	}
	for _, item := range strings.Split(spec, ",") {
		key, value, ok := strings.Cut(strings.TrimSpace(item), "=")
		if !ok {
			return r, fmt.Errorf("random model: %q: must be key=value, the keys are %s", item, RandomKeys)
		}
		if key == "weights" {
			r.Weights = value
			continue
		}
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 || n > 1<<20 {
			return r, fmt.Errorf("random model: %s is %q: must be a whole number from 0 to %d", key, value, 1<<20)
		}
		switch {
		case key == "seed":
			r.Seed = uint64(n)
		case numbers[key] != nil:
			*numbers[key] = n
		default:
			return r, fmt.Errorf("random model: unknown key %q: the keys are %s", key, RandomKeys)
		}
	}
	switch {
	case s.Loop < 1 || s.Heads < 1 || s.FFN < 1 || s.Vocab < 2 || s.Context < 2 || s.Loops < 1:
		return r, fmt.Errorf("random model: %q: layers, heads, ffn, vocab, context and loops must not be 0", spec)
	case s.Hidden < s.Heads || s.Hidden%s.Heads != 0 || s.Hidden/s.Heads%2 != 0:
		return r, fmt.Errorf("random model: hidden is %d and heads %d: a head's size must be whole and even", s.Hidden, s.Heads)
	case s.KVHeads != 0 && s.Heads%s.KVHeads != 0:
		return r, fmt.Errorf("random model: heads is %d and kv_heads %d: it must divide them", s.Heads, s.KVHeads)
	}
	return r, nil
}

// Make writes the checkpoint and exports it; both lie below dir. It returns the bundle's folder.
func (r Random) Make(ctx context.Context, dir string) (string, error) {
	hf := filepath.Join(dir, "checkpoint")
	if err := r.Size.Write(hf, r.Seed); err != nil {
		return "", err
	}
	s := r.Size
	out := filepath.Join(dir, fmt.Sprintf("random-h%d-k%d-%s", s.Hidden, s.Loop, r.Weights))
	if _, err := export.Export(ctx, hf, out, export.Options{Weights: r.Weights, Exporter: "loopserve bench"}); err != nil {
		return "", err
	}
	return out, os.RemoveAll(hf)
}
