package parity

import (
	"math"

	"github.com/loopserve/loopserve/loopctl"
)

// criterion is Huginn's exit criterion of that name after each loop of a prefill, as its reference computes it: a mean
// over all rows, or of the last one. nil: none of that name.
func criterion(name string, rows []row) []float64 {
	out := make([]float64, len(rows[0].delta))
	last := rows[len(rows)-1].logits
	mean := func(of func(r *row, loop int) float64) {
		for i := range out {
			for j := range rows {
				out[i] += of(&rows[j], i) / float64(len(rows))
			}
		}
	}
	switch name {
	case "latent-diff":
		mean(func(r *row, loop int) float64 { return float64(r.delta[loop]) })
	case "cosine":
		mean(func(r *row, loop int) float64 { return cosine(r.states[loop], r.states[loop+1]) })
	case "kl":
		for i, now := range last {
			out[i] = loopctl.KL(before(last, i), now)
		}
	case "minp-kl":
		for i, now := range last {
			out[i] = loopctl.KL(minP(before(last, i)), minP(now))
		}
	case "entropy-diff": // the reference starts from 100
		was := 100.0
		for i, now := range last {
			h := loopctl.Entropy(now)
			out[i], was = math.Abs(h-was), h
		}
	case "argmax-stability":
		for i := range last[1:] {
			if loopctl.Argmax(last[i]) == loopctl.Argmax(last[i+1]) {
				out[i+1] = out[i] + 1
			}
		}
	default:
		return nil
	}
	return out
}

// before is the logits one loop earlier; nil, the uniform distribution, before the first.
func before(logits [][]float32, i int) []float32 {
	if i == 0 {
		return nil
	}
	return logits[i-1]
}

// minP sets probabilities below a tenth of the largest to 1/V, and renormalises: as logits.
func minP(logits []float32) []float32 {
	if logits == nil {
		return nil
	}
	high := float64(logits[loopctl.Argmax(logits)])
	sum := 0.0
	for _, l := range logits {
		sum += math.Exp(float64(l) - high)
	}
	cut := make([]float32, len(logits))
	for i, l := range logits {
		p := math.Exp(float64(l) - high)
		if p < 0.1 {
			p = sum / float64(len(logits)) // in the same unit: probability 1/V
		}
		cut[i] = float32(math.Log(p))
	}
	return cut
}

// cosine is 1 − cos of the angle between two states; NaN where one of them is zero, as in the reference.
func cosine(a, b []float32) float64 {
	dot, na, nb := 0.0, 0.0, 0.0
	for i := range a {
		dot += float64(a[i]) * float64(b[i])
		na += float64(a[i]) * float64(a[i])
		nb += float64(b[i]) * float64(b[i])
	}
	return 1 - dot/math.Sqrt(na*nb)
}

// exitPDF is a row's exit probabilities from its gates, one for each loop: the last takes what remains.
func exitPDF(gate []float32) []float64 {
	pdf := make([]float64, len(gate))
	rest := 1.0
	for i := range gate[:len(gate)-1] {
		pdf[i], rest = loopctl.Hazard(rest, gate[i])
	}
	pdf[len(pdf)-1] = rest
	return pdf
}

// exitStep is the first loop, from 0, at which the cumulative probability reaches the threshold; else the last.
func exitStep(pdf []float64, threshold float64) int {
	cdf := 0.0
	for i, p := range pdf {
		if cdf += p; cdf >= threshold {
			return i
		}
	}
	return len(pdf) - 1
}
