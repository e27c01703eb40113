package sampler_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/loopserve/loopserve/runtime/sampler"
)

// run picks greedily, n times from the same logits.
func run(t *testing.T, p sampler.Params, logits []float32, n int) (ids []int32) {
	t.Helper()
	s, err := sampler.New(p)
	if err != nil {
		t.Fatal(err)
	}
	before := slices.Clone(logits)
	for range n {
		ids = append(ids, s.Sample(logits).ID)
	}
	if !slices.Equal(before, logits) {
		t.Error("the engine's logits were changed")
	}
	return ids
}

func TestWishes(t *testing.T) {
	logits := []float32{4, 3, 2, -1, float32(math.Inf(-1))}
	for _, tt := range []struct {
		name string
		p    sampler.Params
		want []int32
	}{
		{"none", sampler.Params{}, []int32{0, 0, 0}},
		{"presence is taken off once", sampler.Params{PresencePenalty: 1.5}, []int32{0, 1, 0, 0}},
		{"frequency for each time", sampler.Params{FrequencyPenalty: 0.6}, []int32{0, 0, 1, 0, 1}},
		{"a negative one asks for more of the same", sampler.Params{FrequencyPenalty: -2, Bias: []sampler.Bias{{ID: 2, Value: 2.5}}}, []int32{2, 2, 2}},
		{"repetition divides what is positive", sampler.Params{RepetitionPenalty: 1.5}, []int32{0, 1, 0, 0}},
		{"of the prompt, too", sampler.Params{RepetitionPenalty: 3, Prompt: []int32{0, 1}}, []int32{2, 0, 0}},
		{"and multiplies what is negative", sampler.Params{RepetitionPenalty: 3, Prompt: []int32{3}, Allowed: []int32{3}}, []int32{3}},
		{"the prompt counts for repetition alone", sampler.Params{FrequencyPenalty: 2, PresencePenalty: 2, Prompt: []int32{0}}, []int32{0}},
		{"bias", sampler.Params{Bias: []sampler.Bias{{ID: 3, Value: 6}}}, []int32{3, 3}},
		{"bias against", sampler.Params{Bias: []sampler.Bias{{ID: 0, Value: -100}, {ID: 99, Value: 5}}}, []int32{1, 1}},
		{"allowed tokens", sampler.Params{Allowed: []int32{3, 2, 77}}, []int32{2, 2}},
		{"a bias does not allow", sampler.Params{Allowed: []int32{2}, Bias: []sampler.Bias{{ID: 0, Value: 100}}}, []int32{2}},
		{"no stop before min_tokens", sampler.Params{MinTokens: 2, StopIDs: []int32{0}}, []int32{1, 1, 0}},
		{"nothing but what is masked, or impossible", sampler.Params{Allowed: []int32{4, 0}, MinTokens: 2, StopIDs: []int32{0}}, []int32{4, 4, 0}},
		{"min_tokens without stop ids", sampler.Params{MinTokens: 2}, []int32{0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := run(t, tt.p, logits, len(tt.want)); !slices.Equal(got, tt.want) {
				t.Errorf("picked %v, want %v", got, tt.want)
			}
		})
	}
}

// A fork picks what the original would pick, and leaves it as it was.
func TestFork(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	logits := make([][]float32, 40)
	for i := range logits {
		logits[i] = make([]float32, 30)
		for j := range logits[i] {
			logits[i][j] = float32(rng.NormFloat64())
		}
	}
	for _, p := range []sampler.Params{
		{},
		{Temperature: 1, Seed: 3},
		{Temperature: 1.3, TopP: 0.9, RepetitionPenalty: 1.4, FrequencyPenalty: 0.5, Prompt: []int32{1, 2}},
		{PresencePenalty: 1, MinTokens: 20, StopIDs: []int32{7}},
	} {
		alone, err := sampler.New(p)
		if err != nil {
			t.Fatal(err)
		}
		s, err := sampler.New(p)
		if err != nil {
			t.Fatal(err)
		}
		for i := range logits {
			f := s.Fork()
			for j := i; j < min(i+5, len(logits)); j++ {
				want := f.Fork().Sample(logits[j]).ID
				if got := f.Sample(logits[j]).ID; got != want {
					t.Fatalf("%+v: a fork picked %d, its own fork %d", p, got, want)
				}
			}
			if got, want := s.Sample(logits[i]).ID, alone.Sample(logits[i]).ID; got != want {
				t.Fatalf("%+v: pick %d gave %d, without forks %d", p, i, got, want)
			}
		}
	}
}

// One random number for each pick, whatever the logits: a row that leaves no choice does not shift those after it.
func TestOneDrawPerPick(t *testing.T) {
	flat, certain, nan := make([]float32, 50), []float32{float32(math.Inf(-1)), 0}, []float32{float32(math.NaN())}
	draw := func(rows ...[]float32) int32 {
		s, err := sampler.New(sampler.Params{Temperature: 1, Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			s.Sample(row)
		}
		return s.Sample(flat).ID
	}
	if want := draw(flat, flat, flat); draw(certain, nan, certain) != want || draw(flat, flat) == want {
		t.Error("the third pick draws another number than the third one")
	}
}

// evens allows ids below 32 that are even, then ends.
type evens struct{ left int }

func (e *evens) Next() []uint64 {
	if e.left == 0 {
		return nil
	}
	return []uint64{0x5555_5555}
}
func (e *evens) Allows(id int32) bool     { return e.left > 0 && id < 32 && id%2 == 0 }
func (e *evens) MayEnd() bool             { return e.left < 2 }
func (e *evens) Advance(int32)            { e.left-- }
func (e *evens) Fork() sampler.Constraint { c := *e; return &c }

func TestConstraint(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	rows := [][]float32{make([]float32, 100), make([]float32, 100), make([]float32, 100)}
	for i := range 100 {
		rows[0][i] = float32(rng.NormFloat64())
		rows[1][i] = []float32{nan, inf}[i%2]
		rows[2][i] = float32(i)
	}
	for _, p := range []sampler.Params{
		{},
		{Temperature: 1},
		{Temperature: 1, TopK: 5, TopP: 0.5},
		{Allowed: []int32{3, 5}},
		{Temperature: 2, MinTokens: 50},
		{Bias: []sampler.Bias{{ID: 31, Value: 100}}, RepetitionPenalty: 2},
	} {
		p.StopIDs = []int32{99, 500}
		for seed := range 50 {
			p.Seed, p.Constraint = uint64(seed), &evens{left: 4}
			s, err := sampler.New(p)
			if err != nil {
				t.Fatal(err)
			}
			for n := 0; ; n++ {
				id := s.Sample(rows[rng.IntN(3)]).ID
				if id == 99 {
					if n < 3 {
						t.Fatalf("%+v: ended after %d tokens", p, n)
					}
					break
				}
				if id >= 32 || id%2 != 0 || n > 3 {
					t.Fatalf("%+v: picked %d at %d", p, id, n)
				}
			}
		}
	}
}
