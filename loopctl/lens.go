package loopctl

import (
	"math"
	"slices"
)

// seeLens notes the graph's numbers of the row that decides the next token, where the chunk that was looped has it.
func (s *sequence) seeLens(depth int, info *RowInfo, row int) {
	s.probe.lens = append(s.probe.lens, LoopView{Loop: depth, Delta: numberOr(info.Delta, row), Gate: numberOr(info.Gate, row)})
}

// numberOr is NaN where the model does not emit the number.
func numberOr(numbers []float32, row int) float32 {
	if row < len(numbers) {
		return numbers[row]
	}
	return float32(math.NaN())
}

// look completes the view of the loop that was just done with what its logits say.
func (s *sequence) look(logits []float32) {
	n := len(s.probe.lens)
	if n == 0 {
		return
	}
	v := &s.probe.lens[n-1]
	v.Entropy = float32(Entropy(logits))
	v.Top = topLogprobs(logits, s.req.Lens)
}

// topLogprobs are the n most likely tokens, best first, equal ones by id.
func topLogprobs(logits []float32, n int) []TokenLogprob {
	n = min(n, len(logits))
	top := make([]TokenLogprob, 0, n+1)
	highest := logits[Argmax(logits)]
	sum := 0.0
	for i, l := range logits {
		sum += math.Exp(float64(l - highest))
		if len(top) == n && l <= top[n-1].Logprob {
			continue
		}
		at := len(top)
		for at > 0 && top[at-1].Logprob < l {
			at--
		}
		top = slices.Insert(top, at, TokenLogprob{ID: int32(i), Logprob: l})
		if len(top) > n {
			top = top[:n]
		}
	}
	norm := float32(math.Log(sum)) + highest
	for i := range top {
		top[i].Logprob -= norm
	}
	return top
}
