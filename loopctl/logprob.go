package loopctl

import "math"

// Distribution is the log-softmax of one row of logits: the model's own, before temperature, penalties and filters. Each
// token's log-probability is computed in one way only, so that it is the same float32 wherever it is reported. NaN
// logits count as −Inf.
type Distribution struct {
	logits []float32
	norm   float64 // log of the sum of exp(logit)
}

// NewDistribution reads the logits once. It keeps the slice and is good as long as that is.
func NewDistribution(logits []float32) Distribution {
	best := float64(logits[Argmax(logits)])
	if math.IsInf(best, 0) || math.IsNaN(best) {
		return Distribution{logits, best} // −Inf: nothing is likely; +Inf: that token is certain
	}
	sum := 0.0
	for _, l := range logits {
		if l == l { // NaN alone differs from itself; math.IsNaN wants a float64
			sum += math.Exp(float64(l) - best)
		}
	}
	return Distribution{logits, best + math.Log(sum)}
}

// Logprob is a token's log-probability.
func (d Distribution) Logprob(id int32) float32 {
	l := float64(d.logits[id])
	switch {
	case l != l, math.IsInf(l, -1): // NaN alone differs from itself
		return float32(math.Inf(-1))
	case math.IsInf(l, 1):
		return 0
	}
	return float32(l - d.norm)
}

// Rank is how many tokens are more likely, and one: 1 is the most likely token's.
func (d Distribution) Rank(id int32) int {
	l, n := d.logits[id], 1
	for _, other := range d.logits {
		if other > l || l != l && other == other { // NaN ranks last
			n++
		}
	}
	return n
}

// Top returns the k most likely tokens, best first, equals by id.
func (d Distribution) Top(k int) []TokenLogprob {
	if k = min(k, len(d.logits)); k <= 0 {
		return nil
	}
	top := make([]TokenLogprob, 0, k) // Logprob holds the logit until the end
	for i, l := range d.logits {
		if len(top) == k && !(l > top[k-1].Logprob) || l != l { // NaN is never among the best
			continue
		}
		if len(top) < k {
			top = append(top, TokenLogprob{})
		}
		at := len(top) - 1
		for ; at > 0 && l > top[at-1].Logprob; at-- {
			top[at] = top[at-1]
		}
		top[at] = TokenLogprob{ID: int32(i), Logprob: l}
	}
	for i := range top {
		top[i].Logprob = d.Logprob(top[i].ID)
	}
	return top
}
