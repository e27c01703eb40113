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
	ends   []float32 // or other numbers of a pick
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
	high := logits[top]
	if math.IsInf(float64(high), 0) || high != high {
		return top // nothing to choose from, or one logit beats all others outright
	}
	if s.p.TopK > 0 || s.p.MinP > 0 {
		return race(s.filter(logits, float64(high)), noise)
	}
	// A filter changes no draw that it keeps, and each keeps the most likely token.
	drawn := s.raceAll(logits, high, noise)
	if drawn == top || s.p.TopP <= 0 || s.p.TopP >= 1 || s.inNucleus(logits, drawn, float64(high)) {
		return drawn
	}
	return race(s.filter(logits, float64(high)), noise)
}

// inNucleus says whether top-p surely leaves a token, by those that rank above it alone.
func (s *Sampler) inNucleus(logits []float32, id int32, high float64) bool {
	l := logits[id]
	least := float64(l) - s.p.Temperature*1e-12                        // logits that differ may be of one weight, and then the ids rank
	room := s.weight(l, high) * s.p.TopP / (1 - s.p.TopP) * (1 - 1e-9) // weight above it beyond which it may be outside
	for i, x := range logits {
		if float64(x) >= least && i != int(id) {
			if room -= s.weight(x, high); room <= 0 {
				return false
			}
		}
	}
	return true
}

// filter is what min-p, top-k and top-p leave.
func (s *Sampler) filter(logits []float32, high float64) []candidate {
	s.collect(logits, high)
	cand := s.scratch.cand
	if k := s.p.TopK; k > 0 && k < len(cand) {
		cand = keep(cand, candidate{id: math.MaxInt32, w: kth(cand, k).w}) // equals of the last one stay, as vLLM
	}
	if p := s.p.TopP; p > 0 && p < 1 {
		cand = keep(cand, nucleus(cand, p))
	}
	return cand
}

// drawBlock is how many logits are looked at together.
const drawBlock = 128

// least is a bound of the logits that min-p and top-k leave, a little below: the largest of k blocks are k logits.
func (s *Sampler) least(logits []float32, high float64) float64 {
	least := math.Inf(-1)
	if s.p.MinP > 0 {
		least = high + s.p.Temperature*math.Log(s.p.MinP)
	}
	if k := s.p.TopK; k > 0 && k*drawBlock <= len(logits) {
		best := s.scratch.ends[:0]
		for part := range slices.Chunk(logits, drawBlock) {
			best = append(best, max(part[loopctl.Argmax(part)], minusInf))
		}
		slices.Sort(best)
		if l := float64(best[len(best)-k]); l == l {
			least = max(least, l)
		}
		s.scratch.ends = best
	}
	return least - s.p.Temperature*1e-9
}

// collect fills the scratch with the tokens that min-p leaves, and of those that top-k doesn't some.
func (s *Sampler) collect(logits []float32, maxLogit float64) {
	cand := s.scratch.cand[:0]
	if cap(cand) < len(logits) {
		cand = make([]candidate, 0, len(logits))
	}
	least := s.least(logits, maxLogit)
	for i, l := range logits {
		if float64(l) < least {
			continue
		}
		w := s.weight(l, maxLogit)
		if w > 0 && w >= s.p.MinP {
			cand = append(cand, candidate{int32(i), w})
		}
	}
	s.scratch.cand = cand
}

// weight is a token's probability before it is normalised: the most likely one's is 1.
func (s *Sampler) weight(l float32, high float64) float64 {
	return math.Exp((float64(l) - high) / s.p.Temperature)
}

// raceAll is race over all tokens, almost always without their weights: nearly every token of a block comes too late even
// with the weight of the block's best.
func (s *Sampler) raceAll(logits []float32, high float32, noise uint64) int32 {
	drawn, first := int32(math.MaxInt32), math.Inf(1)
	for start := 0; start < len(logits); start += drawBlock {
		part := logits[start:min(start+drawBlock, len(logits))]
		best := s.weight(part[loopctl.Argmax(part)], float64(high))
		if !(best > 0) {
			continue
		}
		late := tooLate(first * best)
		for i, l := range part {
			id := int32(start + i)
			bits := mixed(noise, id)
			if bits > late {
				continue
			}
			v, w := uniform(bits), s.weight(l, float64(high))
			if !(w > 0) || v > first*w {
				continue
			}
			if rings := -math.Log1p(-v) / w; rings < first || rings == first && id < drawn {
				drawn, first, late = id, rings, tooLate(rings*best)
			}
		}
	}
	return drawn
}

// tooLate is the largest bits of which uniform is at most v.
func tooLate(v float64) uint64 { return uint64(min(v, 1) * (1 << 53)) }

// race draws a candidate by its weight: each has a clock that rings after −ln(1−v)/w, and the first to ring is drawn. That is
// Gumbel-max without its second logarithm. v is the candidate's own, so another answer takes a near tie of the first two
// clocks: neither the last bits of the weights nor a filter that lets another candidate through change it otherwise.
func race(cand []candidate, noise uint64) int32 {
	drawn, first := candidate{id: math.MaxInt32}, math.Inf(1)
	for _, c := range cand {
		v := uniform(mixed(noise, c.id))
		if v > first*c.w {
			continue // −ln(1−v) ≥ v: it comes too late
		}
		if rings := -math.Log1p(-v) / c.w; rings < first || rings == first && c.id < drawn.id {
			drawn, first = c, rings
		}
	}
	return drawn.id
}

// mixed is a token's number of a pick, in 53 bits: the draw of SplitMix64 that has the token's place.
func mixed(noise uint64, id int32) uint64 {
	z := noise + (uint64(id)+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return (z ^ z>>31) >> 11
}

// uniform makes a number in [0, 1) of the bits.
func uniform(bits uint64) float64 { return float64(bits) / (1 << 53) }
