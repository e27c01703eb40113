package sampler

import (
	"maps"
	"math"
	"slices"

	"github.com/loopserve/loopserve/loopctl"
)

// seen is a token that prompt or output holds.
type seen struct {
	id    int32
	count int32 // in the output
}

// history is what penalties look at: distinct tokens in the order in which they came, so that a row's cost is theirs
// and not the vocabulary's.
type history struct {
	tokens []seen
	at     map[int32]int32 // id → index
}

func newHistory(prompt []int32) *history {
	h := &history{at: make(map[int32]int32, len(prompt))}
	for _, id := range prompt {
		h.find(id)
	}
	return h
}

func (h *history) find(id int32) *seen {
	i, ok := h.at[id]
	if !ok {
		i = int32(len(h.tokens))
		h.at[id] = i
		h.tokens = append(h.tokens, seen{id: id})
	}
	return &h.tokens[i]
}

func (h *history) fork() *history {
	return &history{tokens: slices.Clone(h.tokens), at: maps.Clone(h.at)}
}

var minusInf = float32(math.Inf(-1))

// adjust returns a copy of logits with the request's parameters applied, in vLLM's order: allowed tokens, the stop ids that
// must not come yet, bias, then penalties. The constraint comes last: nothing may allow what it does not. The copy is
// the scratch's, good until the next pick.
func (s *Sampler) adjust(logits []float32) []float32 {
	out := s.scratch.clone(logits)
	p := &s.p
	if len(p.Allowed) > 0 {
		only(out, logits, p.Allowed)
	}
	if s.picked < p.MinTokens {
		for _, id := range p.StopIDs {
			if int(id) < len(out) {
				out[id] = minusInf
			}
		}
	}
	for _, b := range p.Bias {
		if int(b.ID) < len(out) {
			out[b.ID] += b.Value
		}
	}
	if s.history != nil {
		s.penalize(out)
	}
	if p.Constraint != nil {
		s.constrain(out, logits)
	}
	return out
}

// only leaves the listed ids.
func only(out, logits []float32, ids []int32) {
	for i := range out {
		out[i] = minusInf
	}
	for _, id := range ids {
		if int(id) < len(out) {
			out[id] = logits[id]
		}
	}
}

func (s *Sampler) penalize(out []float32) {
	p := &s.p
	repetition := float32(p.RepetitionPenalty)
	for _, t := range s.history.tokens {
		if int(t.id) >= len(out) {
			continue
		}
		l := out[t.id]
		if p.repeats() {
			if l > 0 {
				l /= repetition
			} else {
				l *= repetition
			}
		}
		if t.count > 0 {
			l -= float32(p.FrequencyPenalty)*float32(t.count) + float32(p.PresencePenalty)
		}
		out[t.id] = l
	}
}

// constrain takes away what the constraint does not allow; a stop id is a token like any other only where the text may
// end. Where the other parameters have left nothing of that, the model's own logits decide; where those give nothing either,
// the first allowed token does.
func (s *Sampler) constrain(out, logits []float32) {
	c := s.p.Constraint
	allowed, mayEnd := c.Next(), c.MayEnd()
	ends := s.scratch.ends[:0]
	for _, id := range s.p.StopIDs {
		l := minusInf
		if mayEnd && int(id) < len(out) {
			l = out[id]
		}
		ends = append(ends, l)
	}
	s.scratch.ends = ends
	for i := range out {
		if !bit(allowed, i) {
			out[i] = minusInf
		}
	}
	for i, id := range s.p.StopIDs {
		if int(id) < len(out) {
			out[id] = ends[i]
		}
	}
	if out[loopctl.Argmax(out)] > minusInf {
		return
	}
	best, at := minusInf, -1
	for i, l := range logits {
		if bit(allowed, i) || mayEnd && slices.Contains(s.p.StopIDs, int32(i)) {
			if at < 0 || l > best {
				best, at = l, i
			}
		}
	}
	if at >= 0 {
		out[at] = 0
	}
}

func bit(set []uint64, i int) bool { return i>>6 < len(set) && set[i>>6]>>(i&63)&1 != 0 }
