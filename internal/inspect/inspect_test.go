package inspect_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/internal/inspect"
	"github.com/loopserve/loopserve/internal/measure/random"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/models/export"
)

// small is 1 layer before the loop, 2 in it, 1 after.
var small = random.LoopedLlama{Hidden: 32, Heads: 2, FFN: 64, Vocab: 48, Context: 40, Prelude: 1, Loop: 2, Coda: 1}

func exported(t *testing.T, opt export.Options) *bundle.Bundle {
	t.Helper()
	checkpoint, out := t.TempDir(), filepath.Join(t.TempDir(), "small")
	if err := small.Write(checkpoint, 1); err != nil {
		t.Fatal(err)
	}
	opt.Exporter = "test"
	if _, err := export.Export(t.Context(), checkpoint, out, opt); err != nil {
		t.Fatal(err)
	}
	b, err := bundle.Open(out, bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Whatever they are stored as, the parameters are the model's: worked out here from its shape.
func TestParametersInEveryPrecision(t *testing.T) {
	const d, ffn, vocab = 32, 64, 48
	const products = 4*d*d + 3*d*ffn // of a layer, as many query heads as KV heads
	const layer = products + 2*d     // and two norms
	for _, weights := range []string{"f32", "int8", "int4"} {
		t.Run(weights, func(t *testing.T) {
			f, err := inspect.Bundle(exported(t, export.Options{Weights: weights}), inspect.Load{})
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range []struct{ parameters, flops int64 }{
				{vocab*d + layer, 2 * products},
				{2 * layer, 2 * 2 * products},
				{layer + d + vocab*d, 2 * (products + vocab*d)},
			} {
				if s := f.Stages[i]; s.Parameters != want.parameters || s.RowFLOPs != want.flops {
					t.Errorf("%s: %d parameters, %d FLOPs; want %d, %d", s.Name, s.Parameters, s.RowFLOPs, want.parameters, want.flops)
				}
			}
		})
	}
}

func TestLoad(t *testing.T) {
	b := exported(t, export.Options{})
	f, err := inspect.Bundle(b, inspect.Load{Requests: 3, Length: 20, Loops: 4, PageSize: 16})
	if err != nil {
		t.Fatal(err)
	}
	// K and V of 32 numbers of 4 bytes: 256 bytes a layer. 20 tokens take 2 pages of 16.
	if got, want := f.Policies[0].TokenBytes, int64(256*(1+4*2+1)); got != want {
		t.Errorf("a token takes %d bytes at 4 loops, want %d", got, want)
	}
	if got, want := f.Memory.Cache, int64(3*32)*f.Policies[0].TokenBytes; got != want {
		t.Errorf("the cache takes %d bytes, want %d", got, want)
	}
	if f.Memory.Total != f.Memory.Weights+f.Memory.Cache+f.Memory.Rows || f.Memory.Weights != f.FileBytes {
		t.Errorf("the sum is wrong: %+v", f.Memory)
	}
	// What comes to memory: weights and cache, beside the process.
	if got, most := f.Memory.Resident-70<<20, f.Memory.Weights+f.Memory.Cache+f.Memory.Rows; got <= f.Memory.Weights+f.Memory.Cache || got > most {
		t.Errorf("resident beside the process: %d bytes, want more than the cache's %d and at most %d", got, f.Memory.Cache, most)
	}
	// scores and values: 2 products of 20 × 32, two operations each, in 2 layers
	if got := f.FLOPs.LoopAttention; got != 2*2*2*20*32 {
		t.Errorf("attention takes %d FLOPs a loop", got)
	}
	for _, c := range []struct {
		load inspect.Load
		want string
	}{
		{inspect.Load{Length: 41}, "length is 41, but the model's context is 40"},
		{inspect.Load{Loops: 999}, "loops is 999"},
		{inspect.Load{Requests: -1}, "requests is -1"},
	} {
		if _, err := inspect.Bundle(b, c.load); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want %q", c.load, err, c.want)
		}
	}
	raw, err := json.Marshal(f)
	if err != nil || !strings.Contains(string(raw), `"token_plane_bytes":512`) {
		t.Errorf("as JSON: %s, %v", raw, err)
	}
}

// The page of a dense bundle: no heads, and what a token costs without a cache. (torch stored the gains of the block's two
// norms, which are equal at random weights, once: 2192 numbers of 2224.)
func TestDensePage(t *testing.T) {
	b, err := bundle.Open("../../runtime/engine/dense/testdata/tiny", bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	f, err := inspect.Bundle(b, inspect.Load{Requests: 8, Length: 10})
	if err != nil {
		t.Fatal(err)
	}
	var page strings.Builder
	if err := f.Write(&page); err != nil {
		t.Fatal(err)
	}
	const want = `example: dense, family example, for the cpu provider

hidden 16, vocabulary 32, context 64 tokens
state before the first loop: prelude
loops 1 to 8, default 4, trained 4: 4 layers deep at the default
precision: activations f32, weights f32, embedding f32, head f32; 24.4 KiB on disk

    stage  layers  parameters   FLOPs per row  bytes per token and loop  KV caches at 4 loops
  prelude       0      1.54 k               0                         0                     0
    block       1      2.19 k           4.1 k                        64                     4
     coda       0         544          1.02 k                         0                     0
      all              4.27 k

KV policies at 4 loops:
  depth: 256 bytes per token in 4 KV caches; 1 GiB holds 8192 tokens

one token at length 10 and 4 loops: 165 k FLOPs: prelude 0, each loop 41 k, coda 1.02 k
  without a cache, stages with layers compute the whole sequence again for each token; attention's own products are not in it
memory of 8 requests of 10 tokens at 4 loops, policy depth: 168 KiB: weights 24.4 KiB, cache 32 KiB, rows 112 KiB
  resident in a server: 70.2 MiB
`
	if page.String() != want {
		t.Errorf("got\n%s", &page)
	}
}
