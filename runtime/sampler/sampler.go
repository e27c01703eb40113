package sampler

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/loopserve/loopserve/loopctl"
)

// Sampler picks the tokens of one sequence. It implements loopctl.Forking.
type Sampler struct {
	p       Params
	edits   bool
	rng     rand.PCG
	picked  int      // tokens so far
	history *history // nil where no penalty looks at it
	scratch *scratch
}

// scratch grows to the vocabulary once. Forks share it: they pick on one goroutine, and nothing in it outlives a pick.
type scratch struct {
	cand   []candidate
	logits []float32
	ends   []float32
}

func (s *scratch) clone(logits []float32) []float32 {
	s.logits = append(s.logits[:0], logits...)
	return s.logits
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
	s := &Sampler{p: p, edits: p.edits(), rng: *rand.NewPCG(p.Seed, 0x6c6f6f7073657276), scratch: &scratch{}}
	if p.penalizes() {
		var prompt []int32
		if p.repeats() {
			prompt = p.Prompt
		}
		s.history = newHistory(prompt)
	}
	return s, nil
}

// Fork returns a copy that picks what the sampler would pick, and changes nothing in it. It belongs to the same
// goroutine.
func (s *Sampler) Fork() loopctl.Forking {
	c := *s
	if s.history != nil {
		c.history = s.history.fork()
	}
	if s.p.Constraint != nil {
		c.p.Constraint = s.p.Constraint.Fork()
	}
	return &c
}

// Sample returns the next token. NaN logits are never picked; where every logit is NaN or −Inf it returns the first token
// that nothing forbids. The log-probability is the model's own, or NaN where it was not asked for. A sampler that draws takes one random number
// for each pick, whatever the logits.
func (s *Sampler) Sample(logits []float32) loopctl.Sampled {
	picked := loopctl.Sampled{ID: s.choose(logits), Logprob: float32(math.NaN())}
	if s.p.Logprobs {
		d := loopctl.NewDistribution(logits)
		picked.Logprob, picked.Top = d.Logprob(picked.ID), d.Top(s.p.Top)
	}
	s.picked++
	if s.history != nil {
		s.history.find(picked.ID).count++
	}
	if c := s.p.Constraint; c != nil {
		if ends := c.MayEnd() && slices.Contains(s.p.StopIDs, picked.ID); !ends {
			c.Advance(picked.ID)
		}
	}
	return picked
}

func (s *Sampler) choose(logits []float32) int32 {
	greedy := s.p.Temperature == 0
	if s.p.Constraint != nil && greedy && !s.edits {
		// most picks are allowed: then the other tokens need not be looked at
		id := int32(loopctl.Argmax(logits))
		if logits[id] > minusInf && s.permits(id) {
			return id
		}
	}
	if s.edits || s.p.Constraint != nil {
		logits = s.adjust(logits)
	}
	if greedy {
		return s.best(logits)
	}
	return s.draw(logits)
}

// best is the most likely token. A token that is masked is never it, even where there is no other.
func (s *Sampler) best(logits []float32) int32 {
	top := int32(loopctl.Argmax(logits))
	if !s.edits || s.p.Constraint != nil || logits[top] > minusInf {
		return top
	}
	for id := range int32(len(logits)) {
		masked := len(s.p.Allowed) > 0 && !slices.Contains(s.p.Allowed, id) ||
			s.picked < s.p.MinTokens && slices.Contains(s.p.StopIDs, id)
		if !masked {
			return id
		}
	}
	return top
}

func (s *Sampler) permits(id int32) bool {
	if slices.Contains(s.p.StopIDs, id) {
		return s.p.Constraint.MayEnd()
	}
	return s.p.Constraint.Allows(id)
}

func (s *Sampler) draw(logits []float32) int32 {
	noise := s.rng.Uint64()
	top := s.best(logits)
	maxLogit := float64(logits[top])
	if math.IsInf(maxLogit, 0) || math.IsNaN(maxLogit) {
		return top // nothing to choose from, or one logit beats all others outright
	}
	s.collect(logits, maxLogit)
	cand := s.scratch.cand
	if k := s.p.TopK; k > 0 && k < len(cand) {
		cand = keep(cand, candidate{id: math.MaxInt32, w: kth(cand, k).w}) // equals of the last one stay, as vLLM
	}
	if p := s.p.TopP; p > 0 && p < 1 {
		cand = keep(cand, nucleus(cand, p))
	}
	return race(cand, noise)
}

// collect fills the scratch with the tokens that min-p leaves, or a top-k of 1.
func (s *Sampler) collect(logits []float32, maxLogit float64) {
	cand := s.scratch.cand[:0]
	if cap(cand) < len(logits) {
		cand = make([]candidate, 0, len(logits))
	}
	least := math.Inf(-1)
	if s.p.TopK == 1 {
		least = maxLogit
	}
	for i, l := range logits {
		if float64(l) < least {
			continue
		}
		w := math.Exp((float64(l) - maxLogit) / s.p.Temperature)
		if w > 0 && w >= s.p.MinP {
			cand = append(cand, candidate{int32(i), w})
		}
	}
	s.scratch.cand = cand
}

// race draws a candidate by its weight: each has a clock that rings after −ln(1−v)/w, and the first to ring is drawn. That is
// Gumbel-max without its second logarithm. v is the candidate's own, so another answer takes a near tie of the first two
// clocks: neither the last bits of the weights nor a filter that lets another candidate through change it otherwise.
func race(cand []candidate, noise uint64) int32 {
	drawn, first := candidate{id: math.MaxInt32}, math.Inf(1)
	for _, c := range cand {
		v := uniform(noise, c.id)
		if v > first*c.w {
			continue // −ln(1−v) ≥ v: it comes too late
		}
		if rings := -math.Log1p(-v) / c.w; rings < first || rings == first && c.id < drawn.id {
			drawn, first = c, rings
		}
	}
	return drawn.id
}

// uniform is a token's number in [0, 1) of a pick: the draw of SplitMix64 that has the token's place, in 53 bits.
func uniform(noise uint64, id int32) float64 {
	z := noise + (uint64(id)+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return float64((z^z>>31)>>11) / (1 << 53)
}
