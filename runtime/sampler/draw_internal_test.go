package sampler

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/loopserve/loopserve/loopctl"
)

// TestDrawEqualsRaceOfFiltered: a draw that looks at few weights is the one that looks at each, to the last tie, with what
// min-p and top-k leave told by a full sort.
func TestDrawEqualsRaceOfFiltered(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for seed := range uint64(4000) {
		logits := make([]float32, 1+rng.IntN(700))
		many := seed%9 == 0 // then top-k has a bound by blocks
		if many {
			logits = make([]float32, 20*drawBlock+rng.IntN(700))
		}
		spread := []float64{0, 0.1, 3, 40}[seed%4]
		for i := range logits {
			logits[i] = float32(math.Round(rng.NormFloat64()*spread*4) / 4)
			switch rng.IntN(40) {
			case 0:
				logits[i] = minusInf
			case 1:
				logits[i] = float32(math.NaN())
			}
		}
		logits[rng.IntN(len(logits))] = float32(spread)
		p := Params{Temperature: []float64{0.3, 1, 50, 1e30}[rng.IntN(4)], Seed: seed}
		p.TopK = []int{0, 0, 1, 7, 300}[rng.IntN(5)]
		if many {
			p.TopK = 1 + rng.IntN(20)
		}
		p.TopP = []float64{0, 0, 0.5, 0.95}[rng.IntN(4)]
		p.MinP = []float64{0, 0, 0.1, 1}[rng.IntN(4)]
		s, err := New(p)
		if err != nil {
			t.Fatal(err)
		}
		rng := s.rng
		high := float64(logits[loopctl.Argmax(logits)])
		plain := *s
		plain.p.TopK, plain.p.MinP = 0, 0
		want := race(plain.filter(s.sorted(logits, high), high), rng.Uint64())
		if got := s.draw(logits); got != want {
			t.Fatalf("%+v on %v: drew %d, want %d", p, logits, got, want)
		}
	}
}

// sorted is the logits with those at -Inf that min-p or top-k drops.
func (s *Sampler) sorted(logits []float32, high float64) []float32 {
	weights := []float64{}
	for _, l := range logits {
		if w := s.weight(l, high); w > 0 && w >= s.p.MinP {
			weights = append(weights, w)
		}
	}
	slices.Sort(weights)
	least := 0.0
	if k := s.p.TopK; k > 0 && len(weights) > 0 {
		least = weights[max(len(weights)-k, 0)]
	}
	left := slices.Clone(logits)
	for i, l := range logits {
		if w := s.weight(l, high); w < max(least, s.p.MinP) {
			left[i] = minusInf
		}
	}
	return left
}

func BenchmarkDraw(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	logits := make([]float32, 32000)
	for i := range logits {
		logits[i] = float32(rng.NormFloat64() * 3)
	}
	for i := range 20 { // a model that knows what it wants
		logits[i*977] = float32(22 - i)
	}
	for name, p := range map[string]Params{"all": {}, "top_k_20": {TopK: 20}, "top_p_0.95": {TopP: 0.95}, "min_p_0.05": {MinP: 0.05}} {
		p.Temperature = 1
		s, err := New(p)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				s.draw(logits)
			}
		})
		b.Run(name+"/each weight", func(b *testing.B) {
			for b.Loop() {
				race(s.filter(logits, float64(logits[s.best(logits)])), s.rng.Uint64())
			}
		})
	}
}
