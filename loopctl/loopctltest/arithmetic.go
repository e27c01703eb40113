package loopctltest

import (
	"github.com/loopserve/loopserve/loopctl"
)

// modulus keeps latents readable; it is prime, so that few mistakes cancel out.
const modulus = 10007

func embed(token int32, pos int, seed uint64) int64 {
	return (int64(token)*31 + int64(pos)*7 + int64(seed%modulus)*3 + 1) % modulus
}

func key(h int64, pos int) int64 { return (h*3 + int64(pos)) % modulus }

func sees(k int64, distance int) int64 { return k * int64(distance+1) }

func loop(h, inject int64, depth int) int64 { return (h*5 + inject + int64(depth)*11) % modulus }

func says(h int64, vocab int) int { return int(h % int64(vocab)) }

// change and gate are the numbers that the block emits; sure is the logit of the token that a latent says, all others
// being 0: it decides entropies.
func change(h int64) float32 { return float32(h*7%100) / 100 }
func gate(h int64) float32   { return float32(h%41-20) / 5 }
func sure(h int64) float32   { return 1 + float32(h/97%8) }

// Greedy is the sampler that takes the largest logit.
type Greedy struct{}

// Fork returns the same: it has no state.
func (g Greedy) Fork() loopctl.Forking { return g }

// Sample returns the first of the largest.
func (Greedy) Sample(logits []float32) loopctl.Sampled {
	return loopctl.Sampled{ID: int32(loopctl.Argmax(logits))}
}
