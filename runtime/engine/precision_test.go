//go:build cgo

package engine_test

import (
	"fmt"
	"math"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/internal/golden"
	"github.com/loopserve/loopserve/internal/parity"
	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/runtime/engine"
	"github.com/loopserve/loopserve/runtime/kvcache"
	"github.com/loopserve/loopserve/runtime/ort"
)

// feed runs a prompt at so many loops, in chunks, on the engine's first pages, and gives the logits of every row.
func feed(tb testing.TB, e engine.Engine, prompt []int32, loops, chunk int) (all [][]float32) {
	tb.Helper()
	goOn := parity.Alone(e, loops, 0)
	for tokens := range slices.Chunk(prompt, chunk) {
		logits, err := goOn(tokens)
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, logits...)
	}
	return all
}

// drift compares logits with those of float32 KV.
type drift struct {
	worst, squares, reference float64
	rows, agree               int
}

func (d *drift) add(got, want [][]float32) {
	for i := range want {
		d.rows++
		if loopctl.Argmax(got[i]) == loopctl.Argmax(want[i]) {
			d.agree++
		}
		for j := range want[i] {
			diff := math.Abs(float64(got[i][j]) - float64(want[i][j]))
			d.worst, d.squares, d.reference = max(d.worst, diff), d.squares+diff*diff, d.reference+float64(want[i][j])*float64(want[i][j])
		}
	}
}

func (d *drift) relative() float64 { return math.Sqrt(d.squares / d.reference) }

func (d *drift) String() string {
	return fmt.Sprintf("logits off by %.1e at most, %.1e relative (rms); greedy tokens equal %d of %d", d.worst, d.relative(), d.agree, d.rows)
}

// A prompt on every case's checkpoint, at the loops that it was trained with, in chunks: KV of each precision against
// float32. Run with -v, it prints what docs/adr/0004-kv-precision.md sums up.
func TestKVPrecisionOnGoldens(t *testing.T) {
	env := openEnv(t)
	eachCase(t, func(name string, _ *golden.Case, dir string) {
		t.Run(name, func(t *testing.T) {
			engines := map[kvcache.Precision]engine.Engine{}
			for _, p := range []kvcache.Precision{kvcache.F32, kvcache.F16, kvcache.Int8} {
				engines[p] = openEngine(t, env, dir, engine.Options{Sequence: 1, KVBytes: 64 << 20, KVPrecision: p})
			}
			l := engines[kvcache.F32].Capacity()
			prompt := make([]int32, min(48, l.Context))
			for i := range prompt {
				prompt[i] = int32((i*i*7 + 3*i + 1) % l.Vocab)
			}
			loops := min(l.Loops.Trained, l.Loops.Max)
			want := feed(t, engines[kvcache.F32], prompt, loops, 7)
			for p, most := range map[kvcache.Precision]float64{kvcache.F16: 2e-3, kvcache.Int8: 5e-2} {
				var d drift
				d.add(feed(t, engines[p], prompt, loops, 7), want)
				t.Logf("%s at %d loops, kv %s: %s", path.Base(name), loops, p, &d)
				if d.relative() > most {
					t.Errorf("kv %s: off by %v relative, want at most %v", p, d.relative(), most)
				}
			}
		})
	})
}

// A Fill moves quantised rows as they are: what a later token reads in the filled plane is what the plane that was left holds.
func TestFillOfEachPrecision(t *testing.T) {
	ort.CheckLeaks(t)
	env := openEnv(t)
	prompt := []int32{1, 2, 3, 4, 5}
	for _, p := range []kvcache.Precision{kvcache.F32, kvcache.F16, kvcache.Int8} {
		t.Run(p.String(), func(t *testing.T) {
			e := openEngine(t, env, adder, engine.Options{Sequence: 1, KVPrecision: p})
			feed(t, e, prompt, 1, 5)
			var fills []loopctl.Fill
			for i := range prompt {
				fills = append(fills, loopctl.Fill{Position: i, From: 0, To: []int32{1}})
			}
			if err := e.Fill(fills); err != nil {
				t.Fatal(err)
			}
			// One more token in loop 1, on the plane that was computed and on the one that was filled.
			var got [2][]float32
			for page := range int32(2) {
				span := loopctl.Span{Past: 5, Rows: []int32{0}, Tokens: []int32{6}}
				if err := e.Prelude(&loopctl.Batch{Spans: []loopctl.Span{span}, Rows: 1}); err != nil {
					t.Fatal(err)
				}
				span.Pages = []int32{page}
				if _, err := e.Block(&loopctl.Batch{Spans: []loopctl.Span{span}, Rows: 1}); err != nil {
					t.Fatal(err)
				}
				got[page] = make([]float32, e.Capacity().Hidden)
				if err := e.Latent(0, got[page]); err != nil {
					t.Fatal(err)
				}
			}
			if !slices.Equal(got[0], got[1]) {
				t.Error("the filled plane gives another state")
			}
		})
	}
}

// Pages by precision: heads of 32 numbers take 128, 64 and 34 bytes.
func TestPrecisionSizesTheArena(t *testing.T) {
	env := openEnv(t)
	pages := map[kvcache.Precision]int{}
	for _, p := range []kvcache.Precision{kvcache.F32, kvcache.F16, kvcache.Int8} {
		pages[p] = openEngine(t, env, adder, engine.Options{KVBytes: 8 << 20, KVPrecision: p}).Capacity().Pages[loopctl.StageBlock]
	}
	dim := openEngine(t, env, adder, engine.Options{Sequence: 1}).Manifest().Attention.HeadDim
	for p, head := range map[kvcache.Precision]float64{kvcache.F16: float64(2 * dim), kvcache.Int8: float64(dim + 2)} {
		got, want := float64(pages[p])/float64(pages[kvcache.F32]), float64(4*dim)/head
		if math.Abs(got-want) > 0.02*want {
			t.Errorf("%s: %d pages, f32 has %d: %.3f times as many, want %.3f", p, pages[p], pages[kvcache.F32], got, want)
		}
	}
}

// What cannot be had is an error that says what to set, and nothing stays open.
func TestPrecisionIsRefused(t *testing.T) {
	ort.CheckLeaks(t)
	env := openEnv(t)
	for want, spoil := range map[string]func(m *bundle.Manifest){
		"absent.onnx":             func(m *bundle.Manifest) { m.Block.File = "absent.onnx" },
		"set kv_precision to f32": func(m *bundle.Manifest) { m.Precision.Activations = "bf16" },
		"0 PagedAttention nodes":  func(m *bundle.Manifest) { m.Block.File = "coda.onnx" },
	} {
		b, err := bundle.Open(adder, bundle.Options{SkipHash: true})
		if err != nil {
			t.Fatal(err)
		}
		spoil(&b.Manifest)
		if e, err := engine.Open(env, b, engine.Options{KVPrecision: kvcache.Int8}); err == nil || !strings.Contains(err.Error(), want) {
			e.Close()
			t.Errorf("%v, want %q", err, want)
		}
	}
}
