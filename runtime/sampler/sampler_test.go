package sampler_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"

	"github.com/loopserve/loopserve/runtime/sampler"
)

func pick(t *testing.T, p sampler.Params, logits []float32, n int) map[int32]int {
	t.Helper()
	s, err := sampler.New(p)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int32]int{}
	for range n {
		seen[s.Sample(logits).ID]++
	}
	return seen
}

func TestFiltersKeepTheRightTokens(t *testing.T) {
	// probabilities 0.5, 0.25, 0.125, 0.0625, 0.0625 at temperature 1
	logits := []float32{-3, 0, -1, -2, -3}
	for i := range logits {
		logits[i] *= math.Ln2
	}
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	for _, c := range []struct {
		name   string
		p      sampler.Params
		logits []float32
		want   []int32
	}{
		{"greedy", sampler.Params{}, logits, []int32{1}},
		{"greedy takes the first of equals", sampler.Params{}, []float32{1, 3, 3}, []int32{1}},
		{"greedy passes over NaN", sampler.Params{}, []float32{nan, 3, nan}, []int32{1}},
		{"all", sampler.Params{Temperature: 1}, logits, []int32{0, 1, 2, 3, 4}},
		{"top-k 1 is greedy", sampler.Params{Temperature: 1, TopK: 1}, logits, []int32{1}},
		{"top-k 3", sampler.Params{Temperature: 1, TopK: 3}, logits, []int32{1, 2, 3}},
		{"top-k keeps equals of its last", sampler.Params{Temperature: 1, TopK: 4}, logits, []int32{0, 1, 2, 3, 4}},
		{"top-k 1 keeps equals of the best", sampler.Params{Temperature: 1, TopK: 1}, []float32{1, 3, 3}, []int32{1, 2}},
		{"greedy whatever top-k keeps", sampler.Params{TopK: 1}, []float32{1, 3, 3}, []int32{1}},
		{"top-k over the vocabulary", sampler.Params{Temperature: 1, TopK: 99}, logits, []int32{0, 1, 2, 3, 4}},
		{"top-p 0.5 keeps one", sampler.Params{Temperature: 1, TopP: 0.5}, logits, []int32{1}},
		{"top-p 0.51 keeps two", sampler.Params{Temperature: 1, TopP: 0.51}, logits, []int32{1, 2}},
		{"top-p 0.875 keeps three", sampler.Params{Temperature: 1, TopP: 0.8749}, logits, []int32{1, 2, 3}},
		{"top-p after top-k: shares of what is left", sampler.Params{Temperature: 1, TopK: 2, TopP: 0.6}, logits, []int32{1}},
		{"min-p 0.25", sampler.Params{Temperature: 1, MinP: 0.2499}, logits, []int32{1, 2, 3}},
		{"min-p 1 keeps the best", sampler.Params{Temperature: 1, MinP: 1}, logits, []int32{1}},
		{"cold", sampler.Params{Temperature: 1e-6}, logits, []int32{1}},
		{"never NaN or -Inf", sampler.Params{Temperature: 1}, []float32{nan, 0, inf, 0}, []int32{1, 3}},
		{"nothing finite", sampler.Params{Temperature: 1}, []float32{nan, inf}, []int32{0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []int32
			for id := range pick(t, c.p, c.logits, 2000) {
				got = append(got, id)
			}
			slices.Sort(got)
			if !slices.Equal(got, c.want) {
				t.Errorf("picked %v, want %v", got, c.want)
			}
		})
	}
}

func TestDrawsFollowTheDistribution(t *testing.T) {
	const n = 200_000
	logits := []float32{0.3, -1.2, 2, 1.1, 0, -4}
	for _, temp := range []float64{0.5, 1, 2} {
		seen := pick(t, sampler.Params{Temperature: temp, Seed: 3}, logits, n)
		sum := 0.0
		for _, l := range logits {
			sum += math.Exp(float64(l) / temp)
		}
		for i, l := range logits {
			p := math.Exp(float64(l)/temp) / sum
			if got, sd := float64(seen[int32(i)])/n, math.Sqrt(p*(1-p)/n); math.Abs(got-p) > 5*sd+1e-9 {
				t.Errorf("temperature %v: token %d drawn with frequency %.4f, its probability is %.4f", temp, i, got, p)
			}
		}
	}
}

// Selection in linear time must keep what a full sort keeps.
func TestSelectionEqualsFullSort(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		logits := make([]float32, 2+rng.IntN(60))
		for i := range logits {
			logits[i] = float32(rng.IntN(12)) / 2 // many ties
		}
		p := sampler.Params{Temperature: 0.3 + rng.Float64(), TopK: rng.IntN(len(logits) + 3), TopP: rng.Float64(), Seed: rng.Uint64()}
		want := sorted(logits, p)
		for id := range pick(t, p, logits, 200) {
			if !slices.Contains(want, id) {
				t.Fatalf("%+v over %v picked %d, a full sort keeps %v", p, logits, id, want)
			}
		}
	}
}

func sorted(logits []float32, p sampler.Params) []int32 {
	ids := make([]int32, len(logits))
	for i := range ids {
		ids[i] = int32(i)
	}
	sort.SliceStable(ids, func(a, b int) bool { return logits[ids[a]] > logits[ids[b]] })
	if p.TopK > 0 && p.TopK < len(ids) {
		n := p.TopK
		for n < len(ids) && logits[ids[n]] == logits[ids[p.TopK-1]] {
			n++
		}
		ids = ids[:n]
	}
	total, sum := 0.0, 0.0
	for _, id := range ids {
		total += math.Exp(float64(logits[id]) / p.Temperature)
	}
	for i, id := range ids {
		if sum += math.Exp(float64(logits[id])/p.Temperature) / total; p.TopP > 0 && sum >= p.TopP+1e-12 {
			return ids[:i+1]
		}
	}
	return ids
}

func TestSeedRepeats(t *testing.T) {
	logits := make([]float32, 100)
	draw := func(seed uint64) (ids []int32) {
		s, err := sampler.New(sampler.Params{Temperature: 1, TopP: 0.9, Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			ids = append(ids, s.Sample(logits).ID)
		}
		return ids
	}
	if a, b := draw(7), draw(7); !slices.Equal(a, b) {
		t.Errorf("seed 7 gave %v, then %v", a, b)
	}
	if a, b := draw(7), draw(8); slices.Equal(a, b) {
		t.Errorf("seeds 7 and 8 gave the same %v", a)
	}
}

// Rounding flips a draw at near ties only: with noise of 1e-3 on 4,000 logits about one draw in a thousand changes. A walk
// over summed probabilities flips a tenth of them. And a filter changes no draw that it keeps.
func TestDrawsAreStable(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	logits, near := make([]float32, 4000), make([]float32, 4000)
	flips := 0
	for seed := range uint64(2000) {
		for i := range logits {
			logits[i] = float32(rng.NormFloat64())
			near[i] = logits[i] + float32(rng.NormFloat64())*1e-3
		}
		draw := func(p sampler.Params, logits []float32) (id int32) {
			p.Temperature, p.Seed = 1, seed
			for id = range pick(t, p, logits, 1) {
			}
			return id
		}
		all := draw(sampler.Params{}, logits)
		if draw(sampler.Params{}, near) != all {
			flips++
		}
		for _, p := range []sampler.Params{{TopP: 0.6}, {TopK: 1500}} {
			if seed%20 > 0 {
				break
			}
			p.Temperature = 1
			if only := draw(p, logits); only != all && slices.Contains(sorted(logits, p), all) {
				t.Fatalf("seed %d, %+v: drew %d, though it keeps %d, which all draw", seed, p, only, all)
			}
		}
	}
	if flips > 12 {
		t.Errorf("%d of 2000 draws flipped", flips)
	}
}

func TestParamsOutOfRange(t *testing.T) {
	for _, p := range []sampler.Params{{Temperature: -1}, {Temperature: math.NaN()}, {Temperature: math.Inf(1)}, {TopP: 1.1}, {TopP: math.NaN()}, {MinP: -0.1}} {
		if _, err := sampler.New(p); !errors.Is(err, sampler.ErrParams) {
			t.Errorf("New(%+v) = %v, want ErrParams", p, err)
		}
	}
}

func BenchmarkPick(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	logits := make([]float32, 49152)
	for i := range logits {
		logits[i] = float32(rng.NormFloat64() * 3)
	}
	for name, p := range map[string]sampler.Params{
		"greedy":      {},
		"temperature": {Temperature: 1},
		"top_k_20":    {Temperature: 1, TopK: 20},
		"top_p_0.95":  {Temperature: 1, TopP: 0.95},
		"min_p_0.05":  {Temperature: 1, MinP: 0.05},
	} {
		b.Run(name, func(b *testing.B) {
			s, err := sampler.New(p)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				s.Sample(logits)
			}
		})
	}
}
