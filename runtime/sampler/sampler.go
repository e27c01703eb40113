package sampler

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/loopserve/loopserve/loopctl"
)

// Sampler picks the tokens of one sequence. It implements loopctl.Picker.
type Sampler struct {
	p    Params
	rng  *rand.PCG
	cand []candidate // scratch, grows to the vocabulary once
}

type candidate struct {
	id int32
	w  float64 // exp((logit−max)/temperature): a probability before it is normalised
}

// New returns a sampler for p, or an error that names the field that is out of range.
func New(p Params) (*Sampler, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	return &Sampler{p: p, rng: rand.NewPCG(p.Seed, 0x6c6f6f7073657276)}, nil
}

// Pick returns the next token. NaN logits are never picked; where every logit is NaN or −Inf it returns token 0.
// The log-probability is not computed (NaN).
func (s *Sampler) Pick(logits []float32) loopctl.Picked {
	picked := loopctl.Picked{Logprob: float32(math.NaN())}
	if s.p.Temperature == 0 || s.p.TopK == 1 {
		picked.ID = Argmax(logits)
		return picked
	}
	picked.ID = s.draw(logits)
	return picked
}

// Argmax returns the index of the largest logit, the first one of equals. NaN counts as −Inf.
func Argmax(logits []float32) int32 {
	best, at := float32(math.Inf(-1)), 0
	for i, l := range logits {
		if l > best {
			best, at = l, i
		}
	}
	return int32(at)
}

func (s *Sampler) draw(logits []float32) int32 {
	top := Argmax(logits)
	maxLogit := float64(logits[top])
	if math.IsInf(maxLogit, 0) || math.IsNaN(maxLogit) {
		return top // nothing to choose from, or one logit beats all others outright
	}
	s.collect(logits, maxLogit)
	selected := false // selection shuffles the candidates
	if k := s.p.TopK; k > 0 && k < len(s.cand) {
		s.cand, selected = keep(s.cand, kth(s.cand, k)), true
	}
	if p := s.p.TopP; p > 0 && p < 1 {
		s.cand, selected = keep(s.cand, nucleus(s.cand, p)), true
	}
	if selected {
		slices.SortFunc(s.cand, func(a, b candidate) int { return cmp.Compare(a.id, b.id) })
	}
	return s.walk()
}

// collect fills s.cand with the tokens that min-p leaves.
func (s *Sampler) collect(logits []float32, maxLogit float64) {
	s.cand = s.cand[:0]
	if cap(s.cand) < len(logits) {
		s.cand = make([]candidate, 0, len(logits))
	}
	for i, l := range logits {
		w := math.Exp((float64(l) - maxLogit) / s.p.Temperature)
		if w > 0 && w >= s.p.MinP {
			s.cand = append(s.cand, candidate{int32(i), w})
		}
	}
}

// walk draws one of the kept candidates.
func (s *Sampler) walk() int32 {
	total := 0.0
	for _, c := range s.cand {
		total += c.w
	}
	// 53 random bits: uniform in [0, 1), as math/rand/v2 Float64
	u := float64(s.rng.Uint64()<<11>>11) / (1 << 53) * total
	for _, c := range s.cand {
		if u -= c.w; u < 0 {
			return c.id
		}
	}
	return s.cand[len(s.cand)-1].id // rounding left a rest
}
