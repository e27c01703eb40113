//go:build cgo

package engine_test

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/loopserve/loopserve/internal/golden"
	"github.com/loopserve/loopserve/internal/golden/goldentest"
	"github.com/loopserve/loopserve/internal/measure/random"
	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/loopctl/kv"
	"github.com/loopserve/loopserve/models/export"
	"github.com/loopserve/loopserve/runtime/engine"
	"github.com/loopserve/loopserve/runtime/engine/enginetest"
	"github.com/loopserve/loopserve/runtime/kvcache"
	"github.com/loopserve/loopserve/runtime/ort"
	"github.com/loopserve/loopserve/runtime/sampler"
)

// sumOfBits is FNV-1a of the numbers' bits: another bit anywhere gives another sum.
func sumOfBits(x []float32) uint64 {
	sum := uint64(14695981039346656037)
	for _, v := range x {
		sum = (sum ^ uint64(math.Float32bits(v))) * 1099511628211
	}
	return sum
}

// exactMixes is how many mixes each bundle plays: a few, or as many as `make exact` asks for.
func exactMixes(t *testing.T) int {
	n, err := strconv.Atoi(os.Getenv("LOOPSERVE_EXACT_MIXES"))
	if err != nil && os.Getenv("LOOPSERVE_EXACT_MIXES") != "" {
		t.Fatal(err)
	}
	return max(n, 12)
}

// What bundles of packed products promise: a request's logits are the same to the bit alone and in any company, whatever the sizes
// of chunks and calls, with and without the prefix cache, after a preemption, on any number of threads. Alone means one
// thread, pages of 16 tokens and calls of 256 rows here.
func TestBundlesAreExact(t *testing.T) {
	ort.CheckLeaks(t)
	for _, spec := range []string{
		"hidden=128,layers=2,heads=2,ffn=192,vocab=320,context=340,loops=6,weights=int4",
		"hidden=96,layers=1,prelude=1,coda=1,heads=6,kv_heads=2,ffn=160,vocab=320,context=340,loops=6,weights=int8",
		"hidden=128,layers=2,heads=2,ffn=192,vocab=320,context=340,loops=6,weights=f32",
		"hidden=96,layers=1,prelude=1,coda=1,heads=6,kv_heads=2,ffn=160,vocab=320,context=340,loops=6,weights=bf16",
	} {
		t.Run(spec, func(t *testing.T) {
			model, err := random.Parse(spec)
			if err != nil {
				t.Fatal(err)
			}
			dir, err := model.Make(t.Context(), t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			var sum script
			tokens := 0
			for seed := range uint64(exactMixes(t)) {
				tokens += exactMix(t, dir, seed, &sum, mixOf{longest: 300, vocab: 320})
			}
			// Here a request whose prompt's last row left early is preempted, and another one, whose row there did all loops, has put
			// that page into the prefix cache: it was taken from there once, and the rest of the answer had other logits.
			tokens += exactMix(t, dir, 237, &sum, mixOf{longest: 300, vocab: 320})
			d := &sum.did
			t.Logf("%d tokens; %d out of the prefix cache, %d preemptions, %d rows filled, %d guesses right, up to %d depths in a call, %d waiting",
				tokens, d.Cached, d.Preempted, d.Fills, d.Accepted, sum.depths, sum.waiting)
			if d.Cached == 0 || d.Preempted == 0 || sum.depths < 4 || sum.waiting == 0 {
				t.Error("the mixes prove too little")
			}
		})
	}
}

// Each family's graphs, in each precision of weights: the logits of a prompt whole, in chunks, and token by token.
func TestFamiliesAreExact(t *testing.T) {
	env := openEnv(t)
	eachCase(t, func(name string, c *golden.Case, _ string) {
		for _, weights := range []string{export.Int4, export.Int8, export.BF16, export.F32} {
			t.Run(name+"/"+weights, func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "case")
				if _, err := export.Export(t.Context(), c.Dir, dir, export.Options{Exporter: "test", Weights: weights}); err != nil {
					t.Fatal(err)
				}
				e := openEngine(t, env, dir, engine.Options{Sequence: 1, KVBytes: 64 << 20})
				l := e.Capacity()
				prompt := make([]int32, min(90, l.Context))
				for i := range prompt {
					prompt[i] = int32((i*i*7 + 3*i + 1) % l.Vocab)
				}
				loops := min(l.Loops.Trained, l.Loops.Max)
				want := feed(t, e, prompt, loops, 1)
				for _, chunk := range []int{2, 7, 32, len(prompt)} {
					for i, got := range feed(t, e, prompt, loops, chunk) {
						if sumOfBits(got) != sumOfBits(want[i]) {
							t.Errorf("in chunks of %d, row %d has other logits than token by token", chunk, i)
							break
						}
					}
				}
			})
		}
	})
}

// The families of which a loop is not one pass of plain layers keep the promise among requests of different K: a decoder looped without
// training, HRM-Text, Dory and LoopFormer, with a plane for each loop, and where the family has it with one loop's alone; then the cut of
// prompts is the configuration's.
func TestOtherLoopsAreExact(t *testing.T) {
	one := func(keep kv.Keep) loopctl.KVPolicy { return loopctl.KVPolicy{Planes: 1, Keep: keep} }
	for _, c := range []struct {
		path, loop string
		weights    []string
		policies   []loopctl.KVPolicy
	}{
		{"llama/tiny-gqa-llama3", "1-2", []string{export.F32}, []loopctl.KVPolicy{{}, one(kv.KeepFirst)}},
		{"hrm-text/tiny-h2l3", "", []string{export.F32, export.Int4}, []loopctl.KVPolicy{{}}},
		{"dory/tiny-1-3-1-bf16", "", []string{export.F32, export.Int4}, []loopctl.KVPolicy{{}, one(kv.KeepLast)}},
		{"loopformer/tiny-2x8", "", []string{export.F32, export.Int4}, []loopctl.KVPolicy{{}}},
	} {
		from := openCase(t, filepath.Join(goldentest.Dir(t, "golden"), filepath.FromSlash(c.path)))
		for _, weights := range c.weights {
			dir := filepath.Join(t.TempDir(), "case")
			m, err := export.Export(t.Context(), from.Dir, dir, export.Options{Loop: c.loop, Weights: weights, Exporter: "test"})
			if err != nil {
				t.Fatal(err)
			}
			for _, policy := range c.policies {
				t.Run(fmt.Sprintf("%s/%s/%+v", c.path, weights, policy), func(t *testing.T) {
					var sum script
					tokens := 0
					for seed := range uint64(6) {
						tokens += exactMix(t, dir, seed, &sum, mixOf{longest: 90, vocab: 256, deepest: min(6, m.Loops.Max), policy: policy, fixed: true})
					}
					if tokens < 200 || sum.depths < min(4, m.Loops.Max) {
						t.Errorf("%d tokens at up to %d depths in a call prove too little", tokens, sum.depths)
					}
				})
			}
		}
	}
}

// mixOf says what a mix is drawn from.
type mixOf struct {
	longest, vocab int
	deepest        int // the most loops; 0: 6
	policy         loopctl.KVPolicy
	fixed          bool // no policies that end a row's loops, and calls of one size
}

// exactMix plays one mix and each of its requests alone, and gives the tokens compared.
func exactMix(t *testing.T, dir string, seed uint64, sum *script, of mixOf) (tokens int) {
	rng := rand.New(rand.NewPCG(seed, 41))
	precision := []kvcache.Precision{kvcache.F32, kvcache.F16, kvcache.Int8}[seed%3]
	mixed := &script{players: exactPlayers(rng, seed%2 == 1 && !of.fixed, of)}
	t.Run("mixed", func(t *testing.T) {
		most := 24 + rng.IntN(200)
		cfg := loopctl.Config{
			MaxRunning: 4 + rng.IntN(8), RowBudget: 2 + rng.IntN(most-2), ChunkRows: 1 + rng.IntN(most), WrapRows: 4,
			ReserveTokens: rng.IntN(8) - 1, NoPrefixCache: rng.IntN(4) == 0,
		}
		if of.fixed {
			most, cfg.RowBudget, cfg.ChunkRows = 256, 40, 40
		}
		e := openEngine(t, enginetest.Env(t, 2), dir, engine.Options{MaxRows: most, PageSize: 1 + rng.IntN(24), Sequence: 3, KVPrecision: precision, KV: of.policy})
		mixed.run(t, e, cfg)
	})
	t.Run("alone", func(t *testing.T) {
		e := openEngine(t, enginetest.Env(t, 1), dir, engine.Options{Sequence: 1, KVPrecision: precision, KV: of.policy})
		cfg := loopctl.Config{WrapRows: 4, MaxRunning: 1, NoPrefixCache: true}
		if of.fixed {
			cfg.RowBudget, cfg.ChunkRows = 40, 40
		}
		for _, p := range mixed.players {
			alone := &player{prompt: p.prompt, loops: p.loops, most: p.most, sampling: p.sampling, exit: p.exit}
			(&script{players: []*player{alone}}).run(t, e, cfg)
			n := min(len(p.tokens), len(alone.tokens))
			if p.last.Finish != loopctl.FinishCancelled && len(p.tokens) != len(alone.tokens) {
				t.Errorf("seed %d: %d tokens in the mix, %d alone", seed, len(p.tokens), len(alone.tokens))
			}
			if !slices.Equal(p.tokens[:n], alone.tokens[:n]) || !slices.Equal(p.depths[:n], alone.depths[:n]) {
				t.Errorf("seed %d, prompt of %d, %d loops, %+v: tokens %v at %v in the mix, %v at %v alone",
					seed, len(p.prompt), p.loops, p.exit, p.tokens, p.depths, alone.tokens, alone.depths)
			}
			for i := range n {
				if p.seen.bits[i] != alone.seen.bits[i] {
					t.Errorf("seed %d, prompt of %d, %d loops, %+v: token %d of %d has other logits in the mix: the best is off by %g",
						seed, len(p.prompt), p.loops, p.exit, i, n, p.seen.best[i]-alone.seen.best[i])
					break
				}
			}
			tokens += n
		}
	})
	sum.count(&mixed.did)
	sum.depths, sum.waiting = max(sum.depths, mixed.depths), max(sum.waiting, mixed.waiting)
	return tokens
}

// exactPlayers are requests with prompts of 1 to 300 tokens, some of which begin as an earlier one does; with policies, some
// leave early or guess.
func exactPlayers(rng *rand.Rand, policies bool, of mixOf) (players []*player) {
	at := 0
	for i := range 12 {
		p := &player{loops: 1 + rng.IntN(cmp.Or(of.deepest, 6)), most: 1 + rng.IntN(12), at: at}
		for range 1 + rng.IntN([]int{8, of.longest / 3, of.longest}[rng.IntN(3)]) {
			p.prompt = append(p.prompt, int32(rng.IntN(of.vocab)))
		}
		if i > 0 && rng.IntN(2) == 0 {
			other := players[rng.IntN(i)]
			p.loops = other.loops
			copy(p.prompt, other.prompt)
		}
		if i%3 == 2 {
			p.sampling = sampler.Params{Temperature: 1, TopP: 0.95, Seed: rng.Uint64()}
		}
		if policies {
			p.varied(rng, loopctl.Capacity{})
		}
		if i%6 == 5 {
			p.cancel = at + rng.IntN(60)
		}
		at += rng.IntN(6)
		players = append(players, p)
	}
	return players
}
