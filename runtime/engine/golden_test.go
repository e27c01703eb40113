//go:build cgo

package engine_test

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/internal/golden"
	"github.com/loopserve/loopserve/internal/golden/goldentest"
	"github.com/loopserve/loopserve/internal/parity"
	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/loopctl/kv"
	"github.com/loopserve/loopserve/models/export"
	"github.com/loopserve/loopserve/runtime/engine"
	"github.com/loopserve/loopserve/runtime/engine/enginetest"
	"github.com/loopserve/loopserve/runtime/ort"
)

// Every case of an exportable family gives the reference's logits, states, gates, exits and greedy tokens: whole, in
// chunks that cross page borders, token by token, and with another sequence at another depth in every call.
func TestGolden(t *testing.T) {
	env := openEnv(t)
	eachCase(t, func(name string, c *golden.Case, dir string) {
		for how, chunk := range chunks {
			t.Run(name+"/"+how, func(t *testing.T) {
				report := checkedIn(t, env, c, dir, how, chunk)
				if !report.OK() {
					report.Write(t.Output())
					t.Error("outside the tolerance")
				}
			})
		}
	})
}

// A block that torch.onnx exported gives PyTorch's logits, states and greedy tokens: whole, in chunks, token by token,
// and beside a sequence of another length at another depth.
func TestPyTorchsOwnAnswers(t *testing.T) {
	const tiny = "dense/testdata/tiny" // docs/examples/dense/export_block.py's bundle of hidden 16
	ort.CheckLeaks(t)
	c := openCase(t, filepath.Join(tiny, "golden"))
	for how, chunk := range chunks {
		t.Run(how, func(t *testing.T) {
			var e parity.Engine = openEngine(t, enginetest.Env(t, 1), tiny, engine.Options{PageSize: 8, KVBytes: 4 << 20})
			if strings.Contains(how, "company") {
				e = inCompany(e)
			}
			report, err := parity.Check(e, c, parity.Options{Chunk: chunk})
			if err != nil {
				t.Fatal(err)
			}
			report.WriteSummary(t.Output())
			if !report.OK() || len(report.Lines) < 20 || len(report.Left) > 0 {
				report.Write(t.Output())
				t.Error("it differs, or too little was compared")
			}
		})
	}
}

// chunks are the ways that prompts go in: tokens in a call, 0 for all of them.
var chunks = map[string]int{"whole": 0, "chunks": 7, "one by one": 1, "in company": 0, "chunks in company": 7}

func openEnv(t testing.TB) *ort.Env {
	t.Helper()
	return enginetest.Env(t, 2)
}

func openEngine(t testing.TB, env *ort.Env, dir string, opt engine.Options) engine.Engine {
	t.Helper()
	return enginetest.Open(t, env, dir, opt)
}

// A plain decoder of which some layers are looped without training gives what the authors' loop gives: anchored, damped alone and
// naive, with a plane for each loop and, through the scheduler, with the first loop's alone; at one loop it is the model itself.
func TestGoldenTrainFree(t *testing.T) {
	env := openEnv(t)
	for path, loop := range map[string]string{"llama/tiny-gqa-llama3": "1-2", "qwen2/tiny-tied-bf16": "1-2", "qwen3/tiny-qknorm-v5": "2-3"} {
		c := openCase(t, filepath.Join(goldentest.Dir(t, "golden"), filepath.FromSlash(path)))
		for variant, opt := range map[string]export.Options{"": {}, "euler/": {LoopBeta: "0"}, "naive/": {LoopNaive: true}} {
			opt.Loop, opt.Exporter = loop, "test"
			dir := filepath.Join(t.TempDir(), "case")
			if _, err := export.Export(t.Context(), c.Dir, dir, opt); err != nil {
				t.Fatal(err)
			}
			t.Run(path+"/"+variant, func(t *testing.T) {
				if variant == "" {
					sameInEveryWay(t, env, c, dir)
					keptOnce(t, env, c, dir, loopctl.KVPolicy{Planes: 1, Keep: kv.KeepFirst}, "cache_first-full", "cache_first-bypass")
					return
				}
				compared := 0
				for _, name := range c.Names(variant) {
					var prompt, loops int
					if _, err := fmt.Sscanf(name, variant+"prompt_%d/T_%d/logits", &prompt, &loops); err != nil {
						t.Fatal(name, err)
					}
					ids, err := c.IDs(fmt.Sprintf("prompt_%d/ids", prompt))
					if err != nil {
						t.Fatal(err)
					}
					want, shape, err := c.Floats(name)
					if err != nil {
						t.Fatal(err)
					}
					e := openEngine(t, env, dir, engine.Options{PageSize: 16, KVBytes: 64 << 20})
					logits, err := parity.Alone(e, loops, 0)(ids)
					if err != nil {
						t.Fatal(err)
					}
					width := int(shape[1])
					for i, w := range want {
						if got := logits[len(ids)-int(shape[0])+i/width][i%width]; math.Abs(float64(got-w)) > c.Within("logits") {
							t.Fatalf("%s, row %d: %v, want %v", name, i/width, got, w)
						}
					}
					compared++
				}
				if compared == 0 {
					t.Error("nothing was compared")
				}
			})
		}
	}
}

// checkedIn compares a bundle with its case in one of chunks.
func checkedIn(t *testing.T, env *ort.Env, c *golden.Case, dir, how string, chunk int) parity.Report {
	t.Helper()
	var e parity.Engine = openEngine(t, env, dir, engine.Options{PageSize: 16, KVBytes: 64 << 20})
	if strings.Contains(how, "company") {
		e = inCompany(e)
	}
	report, err := parity.Check(e, c, parity.Options{Chunk: chunk})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// sameInEveryWay runs the case in each of chunks.
func sameInEveryWay(t *testing.T, env *ort.Env, c *golden.Case, dir string) {
	for how, chunk := range chunks {
		report := checkedIn(t, env, c, dir, how, chunk)
		if !report.OK() || len(report.Lines) < 8 {
			report.Write(t.Output())
			t.Errorf("%s: outside the tolerance, or too little was compared", how)
		}
	}
}

// keptOnce runs a case's greedy continuations with one plane that one loop writes, all of them at one time, through the scheduler: a
// folder's name says whether generated tokens pass the window once (bypass). Each follows the reference's tokens.
func keptOnce(t *testing.T, env *ort.Env, c *golden.Case, dir string, policy loopctl.KVPolicy, folders ...string) {
	e := openEngine(t, env, dir, engine.Options{PageSize: 16, KVBytes: 64 << 20, KV: policy})
	ctl := loopctl.New(e, loopctl.Config{})
	ctl.Start()
	defer ctl.Close(t.Context())
	ids, err := c.IDs("prompt_1/ids")
	if err != nil {
		t.Fatal(err)
	}
	var followers []*follower
	var reqs []*loopctl.Request
	for _, folder := range folders {
		for _, loops := range c.Loops(folder) {
			f, err := newFollower(c, fmt.Sprintf("%s/T_%d/", folder, loops))
			if err != nil {
				t.Fatal(err)
			}
			r := &loopctl.Request{ID: f.at, Prompt: ids, MaxTokens: len(f.tokens), Loops: loops, Sampler: f}
			if strings.HasSuffix(folder, "bypass") {
				r.Replay = []int{loops, 1}
			}
			followers, reqs = append(followers, f), append(reqs, r)
		}
	}
	streams, err := ctl.Submit(reqs...)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range streams {
		for {
			ev, err := s.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if ev.Finish != loopctl.FinishNone {
				break
			}
		}
		if f := followers[i]; f.next != len(f.tokens) || f.differ > 0 || !(f.worst <= c.Within("logits")) {
			t.Errorf("%s: %d of %d tokens, %d are others, logits are off by %g, the tolerance is %g", f.at, f.next, len(f.tokens), f.differ, f.worst, c.Within("logits"))
		}
	}
	if len(streams) < 2 {
		t.Errorf("%d continuations in %v", len(streams), folders)
	}
}

// Dory with one plane, which its last loop alone writes: greedily, and a prompt in two pieces, which is another answer.
func TestGoldenLastLoop(t *testing.T) {
	env := openEnv(t)
	c := openCase(t, filepath.Join(goldentest.Dir(t, "golden"), "dory", "tiny-1-3-1-bf16"))
	dir, policy := exported(t, c), loopctl.KVPolicy{Planes: 1, Keep: kv.KeepLast}
	keptOnce(t, env, c, dir, policy, "cache_last-loop")
	ctl := loopctl.New(openEngine(t, env, dir, engine.Options{PageSize: 16, KVBytes: 64 << 20, KV: policy}), loopctl.Config{})
	ctl.Start()
	defer ctl.Close(t.Context())
	ids, err := c.IDs("prompt_2/ids")
	if err != nil {
		t.Fatal(err)
	}
	for _, loops := range c.Loops("cache_last-loop/prompt_2") {
		f := &follower{tokens: []int32{0}, margin: []float32{0}}
		if f.want, _, err = c.Floats(fmt.Sprintf("cache_last-loop/prompt_2/T_%d/chunks_25_35/logits", loops)); err != nil {
			t.Fatal(err)
		}
		streams, err := ctl.Submit(&loopctl.Request{Prompt: ids, MaxTokens: 1, Loops: loops, Cut: []int{25}, Sampler: f})
		if err != nil {
			t.Fatal(err)
		}
		for ev := (loopctl.Event{}); ev.Finish == loopctl.FinishNone; {
			if ev, err = streams[0].Next(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if f.next != 1 || !(f.worst <= c.Within("logits")) {
			t.Errorf("%d loops, in two pieces: logits are off by %g", loops, f.worst)
		}
	}
}

// follower samples a reference's tokens and compares the logits that each was taken from.
type follower struct {
	at           string
	tokens       []int32
	want, margin []float32
	next, differ int
	worst, sure  float64
}

func newFollower(c *golden.Case, at string) (*follower, error) {
	f := &follower{at: at, sure: 2 * c.Within("logits")}
	var errs [3]error
	f.tokens, errs[0] = c.IDs(at + "tokens")
	f.want, _, errs[1] = c.Floats(at + "logits")
	f.margin, _, errs[2] = c.Floats(at + "margin")
	return f, errors.Join(errs[:]...)
}

func (f *follower) Sample(logits []float32) loopctl.Sampled {
	i := f.next
	f.next++
	for j, w := range f.want[i*len(logits) : (i+1)*len(logits)] {
		f.worst = max(f.worst, math.Abs(float64(logits[j]-w)))
	}
	if loopctl.Argmax(logits) != int(f.tokens[i]) && float64(f.margin[i]) > f.sure {
		f.differ++
	}
	return loopctl.Sampled{ID: f.tokens[i]}
}
