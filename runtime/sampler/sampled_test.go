package sampler_test

import (
	"math"
	"math/rand/v2"
	"sort"
	"testing"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/runtime/sampler"
)

func TestLogprobs(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	logits := []float32{-3 * math.Ln2, 0, -math.Ln2, inf, nan, -3 * math.Ln2} // probabilities 1/8, 1, 1/2, 0, 0, 1/8, over 7/4
	s, err := sampler.New(sampler.Params{Logprobs: true, Top: 4, Bias: []sampler.Bias{{ID: 2, Value: 50}}, Temperature: 3})
	if err != nil {
		t.Fatal(err)
	}
	got := s.Sample(logits)
	near := func(got float32, p float64) bool { return math.Abs(float64(got)-math.Log(p/1.75)) < 1e-6 }
	if got.ID != 2 || !near(got.Logprob, 0.5) {
		t.Errorf("picked %d at %v: want the model's own probability of token 2, whatever bias and temperature", got.ID, got.Logprob)
	}
	want := []struct {
		id int32
		p  float64
	}{{1, 1}, {2, 0.5}, {0, 0.125}, {5, 0.125}}
	if len(got.Top) != len(want) {
		t.Fatalf("top %v", got.Top)
	}
	for i, w := range want {
		if got.Top[i].ID != w.id || !near(got.Top[i].Logprob, w.p) {
			t.Errorf("top[%d] is %v, want token %d", i, got.Top[i], w.id)
		}
	}
	if got.Top[1].Logprob != got.Logprob {
		t.Error("the chosen token's log-probability is another float among the alternatives")
	}
	d := loopctl.NewDistribution(logits)
	if d.Logprob(3) != inf || d.Logprob(4) != inf || d.Rank(1) != 1 || d.Rank(2) != 2 || d.Rank(5) != 3 || d.Rank(3) != 5 || d.Rank(4) != 6 {
		t.Errorf("ranks %d %d %d %d %d", d.Rank(1), d.Rank(2), d.Rank(5), d.Rank(3), d.Rank(4))
	}
}

func TestLogprobsOfExtremes(t *testing.T) {
	inf := float32(math.Inf(1))
	for _, tt := range []struct {
		logits []float32
		want   []float32
	}{
		{[]float32{-inf, -inf}, []float32{-inf, -inf}},
		{[]float32{inf, 3}, []float32{0, -inf}},
		{[]float32{3e38, -3e38}, []float32{0, -inf}},
		{[]float32{float32(math.NaN()), 1}, []float32{-inf, 0}},
	} {
		d := loopctl.NewDistribution(tt.logits)
		for i, w := range tt.want {
			if got := d.Logprob(int32(i)); got != w {
				t.Errorf("%v: token %d has %v, want %v", tt.logits, i, got, w)
			}
		}
	}
}

// The k best of an insertion are those of a full sort, and the chosen token's float is among them wherever it is.
func TestTopEqualsFullSort(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		logits := make([]float32, 1+rng.IntN(50))
		for i := range logits {
			logits[i] = float32(rng.IntN(20)) / 3
		}
		ids := make([]int, len(logits))
		for i := range ids {
			ids[i] = i
		}
		sort.SliceStable(ids, func(a, b int) bool { return logits[ids[a]] > logits[ids[b]] })
		d, k := loopctl.NewDistribution(logits), rng.IntN(25)
		top := d.Top(k)
		if len(top) != min(k, len(logits)) {
			t.Fatalf("%d entries, want %d", len(top), k)
		}
		for i, e := range top {
			if int(e.ID) != ids[i] || e.Logprob != d.Logprob(e.ID) {
				t.Fatalf("entry %d is %v, want token %d", i, e, ids[i])
			}
		}
	}
}
