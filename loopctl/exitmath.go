package loopctl

import "math"

// The numbers that exit policies look at: pure functions in float64, which allocate nothing. Logits that are −Inf have
// the probability 0; a NaN among the logits makes the result NaN, which is below no threshold.

// Hazard is one loop of the gate's exit distribution. survive is the probability that a row came so far (1 before its
// first loop), λ = σ(gateLogit) the probability to stop here, given that: p = λ·survive, rest = (1−λ)·survive.
// The sum of the p is the exit probability so far; the last loop of a row takes the rest, whatever its gate.
func Hazard(survive float64, gateLogit float32) (p, rest float64) {
	g := float64(gateLogit)
	return survive * sigmoid(g), survive * sigmoid(-g)
}

// sigmoid never computes 1−σ, which loses its digits where σ is near 1, and never overflows.
func sigmoid(x float64) float64 {
	if x < 0 {
		e := math.Exp(x)
		return e / (1 + e)
	}
	return 1 / (1 + math.Exp(-x))
}

// KL is Σ p_prev·(log p_prev − log p_now) in nats, of two rows of logits of equal length. A nil prev is the uniform
// distribution. It is +Inf where something that was possible no longer is.
func KL(prev, now []float32) float64 {
	highNow, sumNow := partition(now)
	logNow := highNow + math.Log(sumNow)
	if prev == nil {
		mean := 0.0
		for _, l := range now {
			mean += float64(l) - highNow
		}
		n := float64(len(now))
		return math.Log(sumNow) - mean/n - math.Log(n)
	}
	high, sum := partition(prev)
	logPrev, kl := high+math.Log(sum), 0.0
	for i, l := range prev[:min(len(prev), len(now))] {
		log := float64(l) - logPrev
		if p := math.Exp(log); p != 0 {
			kl += p * (log - (float64(now[i]) - logNow))
		}
	}
	return kl
}

// Entropy is −Σ p·log p in nats.
func Entropy(logits []float32) float64 {
	high, sum := partition(logits)
	mean := 0.0
	for _, l := range logits {
		below := float64(l) - high
		if e := math.Exp(below); e != 0 {
			mean += e * below
		}
	}
	return math.Log(sum) - mean/sum
}

// Argmax is the index of the largest logit, the first one of equal ones; 0 where there is none. A vocabulary is long and a
// new largest is rare: eight comparisons with one branch behind them take a third of the time.
func Argmax(logits []float32) int {
	best, high, i := 0, float32(math.Inf(-1)), 0
	for ; i+8 <= len(logits); i += 8 {
		b := (*[8]float32)(logits[i:])
		if b[0] > high || b[1] > high || b[2] > high || b[3] > high || b[4] > high || b[5] > high || b[6] > high || b[7] > high {
			for j, l := range b {
				if l > high {
					best, high = i+j, l
				}
			}
		}
	}
	for ; i < len(logits); i++ {
		if logits[i] > high {
			best, high = i, logits[i]
		}
	}
	return best
}

// partition is the largest logit and Σ exp(logit − largest).
func partition(logits []float32) (high, sum float64) {
	high = math.Inf(-1)
	for _, l := range logits {
		high = max(high, float64(l))
	}
	for _, l := range logits {
		sum += math.Exp(float64(l) - high)
	}
	return high, sum
}
