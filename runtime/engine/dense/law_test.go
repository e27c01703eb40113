//go:build cgo

package dense_test

import (
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/models/export/onnx"
	"github.com/loopserve/loopserve/runtime/engine/spec"
	"github.com/loopserve/loopserve/runtime/ort"
)

// The sums model has everything that a dense bundle may have: rows that see earlier ones in all three graphs, an
// injection, a state of zeros, the depth, positions, a mask, a gate. Its attention is a running sum. With e_i what the
// prelude injects at row i, and h the state, one loop after t others is
//
//	h'_i = ½·h_i + 0.1·Σ_{j≤i} h_j + e_i + 0.002·t + 0.0001·i,  e_i = Σ_{j≤i} id_j · (0.01, 0.02, 0.03)
//
// and the logits are Σ_{j≤i} h_j · W. The state is wider than h: one number more counts the loops, and half of 0.002·t is its.
const sumsHidden, sumsVocab = 3, 10

func sumsHead(k, v int) float64 { return math.Sin(float64(1 + 3*k + 7*v)) }

// writeSums writes the bundle, with a batch axis that is dynamic or fixed at 1.
func writeSums(t *testing.T, batch onnx.Dim) string {
	t.Helper()
	dir := t.TempDir()
	seq, d := onnx.Dynamic("seq"), onnx.Fixed(sumsHidden)
	save := func(file string, g *onnx.Graph) {
		if err := os.WriteFile(filepath.Join(dir, file), g.Encode("test"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	number := func(g *onnx.Graph, x string, axes ...int64) string { // float32, with more axes
		x = g.Node("", "Cast", []string{x}, onnx.Attr{Name: "to", V: 1})
		return g.Node("", "Unsqueeze", []string{x, g.Ints(g.Name("axes"), axes, int64(len(axes)))})
	}
	sum := func(g *onnx.Graph, x string) string {
		return g.Node("", "CumSum", []string{x, g.Ints(g.Name("axis"), []int64{1}, 1)})
	}
	times := func(g *onnx.Graph, x string, f float32) string {
		return g.Node("", "Mul", []string{x, g.Floats(g.Name("factor"), []float32{f}, 1)})
	}
	add := func(g *onnx.Graph, terms ...string) string {
		total := terms[0]
		for _, term := range terms[1:] {
			total = g.Node("", "Add", []string{total, term})
		}
		return total
	}

	parts := func(g *onnx.Graph, state string) (h, count string) {
		p := g.NodeN("", "Split", []string{state, g.Ints("parts", []int64{sumsHidden, 1}, 2)}, 2, onnx.Attr{Name: "axis", V: 2})
		return p[0], p[1]
	}

	g := onnx.NewGraph("prelude")
	ids := g.Input("input_ids", onnx.Int64, batch, seq)
	scaled := g.Node("", "Mul", []string{number(g, ids, 2), g.Floats("scale", []float32{0.01, 0.02, 0.03}, 1, 1, 3)})
	g.NodeTo("", "CumSum", []string{scaled, g.Ints("axis_of_seq", []int64{1}, 1)}, []string{"inject"})
	g.Output("inject", onnx.Float, batch, seq, d)
	save("prelude.onnx", g)

	g = onnx.NewGraph("block")
	wide := onnx.Fixed(sumsHidden + 1)
	state, inject := g.Input("hidden", onnx.Float, batch, seq, wide), g.Input("inject", onnx.Float, batch, seq, d)
	hidden, count := parts(g, state)
	depth, places := g.Input("depth", onnx.Int64, batch), g.Input("position_ids", onnx.Int64, batch, seq)
	mask := g.Input("attention_mask", onnx.Int64, batch, seq)
	masked := g.Node("", "Mul", []string{hidden, number(g, mask, 2)})
	next := add(g, times(g, hidden, 0.5), times(g, sum(g, masked), 0.1), inject, times(g, number(g, depth, 1, 2), 0.001), times(g, count, 0.001), times(g, number(g, places, 2), 0.0001))
	counted := add(g, count, g.Floats("one", []float32{1}, 1))
	g.NodeTo("", "Concat", []string{next, counted}, []string{"hidden_out"}, onnx.Attr{Name: "axis", V: 2})
	g.NodeTo("", "ReduceSum", []string{next, g.Ints("last", []int64{2}, 1)}, []string{"gate"}, onnx.Attr{Name: "keepdims", V: 0})
	g.Output("hidden_out", onnx.Float, batch, seq, wide)
	g.Output("gate", onnx.Float, batch, seq)
	save("block.onnx", g)

	g = onnx.NewGraph("coda")
	hidden, _ = parts(g, g.Input("hidden", onnx.Float, batch, seq, wide))
	var head []float32
	for k := range sumsHidden {
		for v := range sumsVocab {
			head = append(head, float32(sumsHead(k, v)))
		}
	}
	g.NodeTo("", "MatMul", []string{sum(g, hidden), g.Floats("head", head, sumsHidden, sumsVocab)}, []string{"logits"})
	g.Output("logits", onnx.Float, batch, seq, onnx.Fixed(sumsVocab))
	save("coda.onnx", g)

	m := &bundle.Manifest{
		ManifestVersion: bundle.Version, Name: "sums", Kind: bundle.KindDense, Family: "test", Source: bundle.Source{ModelType: "test", Exporter: "test"},
		HiddenSize: sumsHidden, VocabSize: sumsVocab, Context: 40,
		Prelude: bundle.Graph{File: "prelude.onnx", Layers: 1}, Block: bundle.Graph{File: "block.onnx", Layers: 1}, Coda: bundle.Graph{File: "coda.onnx", Layers: 1},
		Loops: bundle.LoopRange{Min: 1, Default: 3, Trained: 3, Max: 6}, State: bundle.State{Kind: "zeros", Width: sumsHidden + 1}, Inject: true, Gate: &bundle.Gate{Kind: "hazard"},
		KVPolicies: []string{"depth", "latest"}, Precision: bundle.Precision{Activations: "f32", Weights: "f32", Embedding: "f32", Head: "f32"},
		Tokens: bundle.Tokens{Stop: []int32{}}, Files: map[string]bundle.File{"prelude.onnx": {}, "block.onnx": {}, "coda.onnx": {}},
	}
	if err := bundle.Save(dir, m); err != nil {
		t.Fatal(err)
	}
	return dir
}

// sums is the model, written out: the logits after the last of ids.
func sums(ids []int32, loops int) []float64 {
	h := make([][sumsHidden]float64, len(ids))
	for t := range loops {
		var injected, before [sumsHidden]float64
		for i := range h {
			for k := range sumsHidden {
				injected[k] += float64(ids[i]) * 0.01 * float64(k+1)
				before[k] += h[i][k]
				h[i][k] = 0.5*h[i][k] + 0.1*before[k] + injected[k] + 0.002*float64(t) + 0.0001*float64(i)
			}
		}
	}
	logits := make([]float64, sumsVocab)
	for v := range logits {
		for _, row := range h {
			for k := range sumsHidden {
				logits[v] += row[k] * sumsHead(k, v)
			}
		}
	}
	return logits
}

// asker picks the most likely token and keeps all logits.
type asker struct{ seen [][]float32 }

func (a *asker) Sample(logits []float32) loopctl.Sampled {
	a.seen = append(a.seen, slices.Clone(logits))
	return loopctl.Sampled{ID: int32(loopctl.Argmax(logits))}
}

type answer struct {
	tokens []int32
	loops  []int
	logits [][]float32
}

// ask runs requests, all at once, through a controller with small chunks and calls.
func ask(t *testing.T, e loopctl.Engine, reqs ...loopctl.Request) []answer {
	t.Helper()
	c := loopctl.New(e, loopctl.Config{RowBudget: 9, ChunkRows: 5})
	c.Start()
	defer func() {
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	out := make([]answer, len(reqs))
	pickers := make([]*asker, len(reqs))
	all := make([]*loopctl.Request, len(reqs))
	for i := range reqs {
		pickers[i] = &asker{}
		r := reqs[i]
		r.Sampler = pickers[i]
		all[i] = &r
	}
	streams, err := c.Submit(all...)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range streams {
		for {
			ev, err := s.Next(t.Context())
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil || ev.Err != nil {
				t.Fatalf("request %d: %v, %v", i, err, ev.Err)
			}
			if ev.Token.ID >= 0 {
				out[i].tokens, out[i].loops = append(out[i].tokens, ev.Token.ID), append(out[i].loops, ev.Loops)
			}
		}
		out[i].logits = pickers[i].seen
	}
	return out
}

// Prompts of all lengths at all depths, in one mix, give the numbers of the formula: through chunks, pages, padding and
// batches, or one by one where the batch is fixed at 1.
func TestEverythingADenseBundleMayHave(t *testing.T) {
	ort.CheckLeaks(t)
	for name, batch := range map[string]onnx.Dim{"batch": onnx.Dynamic("batch"), "batch of 1": onnx.Fixed(1)} {
		t.Run(name, func(t *testing.T) {
			e := openEngine(t, writeSums(t, batch), spec.Options{MaxRows: 12, PageSize: 4, KVBytes: 1 << 20})
			rng := rand.New(rand.NewPCG(1, 2))
			var reqs []loopctl.Request
			for i := range 18 {
				r := loopctl.Request{MaxTokens: 6, Loops: 1 + i%6}
				for range 1 + rng.IntN(30) {
					r.Prompt = append(r.Prompt, int32(rng.IntN(sumsVocab)))
				}
				reqs = append(reqs, r)
			}
			for i, a := range ask(t, e, reqs...) {
				ids := slices.Clone(reqs[i].Prompt)
				for j, token := range a.tokens {
					want := sums(ids, reqs[i].Loops)
					for v, w := range want {
						if got := float64(a.logits[j][v]); math.Abs(got-w) > 1e-4*(1+math.Abs(w)) {
							t.Fatalf("%d prompt tokens, %d loops, token %d, logit %d: %v, want %v", len(reqs[i].Prompt), reqs[i].Loops, j, v, got, w)
						}
					}
					ids = append(ids, token)
				}
				if len(a.tokens) != 6 {
					t.Errorf("request %d has %d tokens", i, len(a.tokens))
				}
			}
		})
	}
}

// The law: with rows that leave early, by the change or by the gate, a request has the same tokens and depths alone and
// among others; under the policy latest, too.
func TestLaw(t *testing.T) {
	ort.CheckLeaks(t)
	for _, c := range []struct {
		name, dir string
		kv        loopctl.KVPolicy
		exits     []loopctl.ExitPolicy
	}{
		{"sums", writeSums(t, onnx.Dynamic("batch")), loopctl.KVPolicy{}, []loopctl.ExitPolicy{
			{}, {Kind: loopctl.ExitDelta, Threshold: 0.5}, {Kind: loopctl.ExitGate, Threshold: 0.9}, {Kind: loopctl.ExitArgmax, Threshold: 2},
		}},
		{"sums, latest", writeSums(t, onnx.Dynamic("batch")), loopctl.KVPolicy{Planes: 1}, []loopctl.ExitPolicy{{}, {Kind: loopctl.ExitDelta, Threshold: 0.5}}},
		{"torch", tiny, loopctl.KVPolicy{}, []loopctl.ExitPolicy{{}, {Kind: loopctl.ExitDelta, Threshold: 0.3}, {Kind: loopctl.ExitKL, Threshold: 0.5}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := openEngine(t, c.dir, spec.Options{MaxRows: 12, PageSize: 4, KVBytes: 1 << 20, KV: c.kv})
			rng := rand.New(rand.NewPCG(3, 4))
			var reqs []loopctl.Request
			for i := range 16 {
				exit := c.exits[i%len(c.exits)]
				r := loopctl.Request{MaxTokens: 8, Loops: 1 + rng.IntN(6), Exit: exit, NoCache: true}
				for range 1 + rng.IntN(20) {
					r.Prompt = append(r.Prompt, int32(rng.IntN(e.Capacity().Vocab)))
				}
				reqs = append(reqs, r)
			}
			mixed := ask(t, e, reqs...)
			early := 0
			for i, r := range reqs {
				alone := ask(t, e, r)[0]
				if !slices.Equal(alone.tokens, mixed[i].tokens) || !slices.Equal(alone.loops, mixed[i].loops) {
					t.Errorf("request %d, %d loops, %+v: tokens %v after %v loops alone, %v after %v in the mix",
						i, r.Loops, r.Exit, alone.tokens, alone.loops, mixed[i].tokens, mixed[i].loops)
				}
				for _, n := range alone.loops {
					if n < r.Loops {
						early++
					}
				}
			}
			if early == 0 {
				t.Error("nobody left early: the mix proves too little")
			}
			t.Logf("%d tokens left early", early)
		})
	}
}
