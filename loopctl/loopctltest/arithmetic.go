package loopctltest

import (
	"math"

	"github.com/loopserve/loopserve/loopctl"
)

// Modulus keeps latents readable; it is prime, so that few mistakes cancel out.
const Modulus = 10007

// Embed is the latent of a token before the prelude's layers.
func Embed(token int32, pos int, seed uint64) int64 {
	return (int64(token)*31 + int64(pos)*7 + int64(seed%Modulus)*3 + 1) % Modulus
}

// Key is what a row leaves in its page, K and V in one.
func Key(h int64, pos int) int64 { return (h*3 + int64(pos)) % Modulus }

// Sees is what a later row, so many positions behind, takes of it.
func Sees(k int64, distance int) int64 { return k * int64(max(distance, -distance)+1) }

// Loop is the block, applied to a latent that has done depth loops.
func Loop(h, inject int64, depth int) int64 { return (h*5 + inject + int64(depth)*11) % Modulus }

// Way is what a latent takes of where it is on its way, in the models whose loops count that.
func Way(h int64, time, step float32) int64 {
	const parts = 5040 // which all small numbers divide
	return (h + 13*int64(math.Round(float64(time)*parts)) + 17*int64(math.Round(float64(step)*parts))) % Modulus
}

// Says is the token of a latent.
func Says(h int64, vocab int) int { return int(h % int64(vocab)) }

// Change is the delta that the block emits.
func Change(h int64) float32 { return float32(h*7%100) / 100 }

// Gate is the gate's logit.
func Gate(h int64) float32 { return float32(h%41-20) / 5 }

// Sure is the logit of the token that a latent says, all others being 0: it decides entropies.
func Sure(h int64) float32 { return 1 + float32(h/97%8) }

// Greedy is the sampler that takes the largest logit.
type Greedy struct{}

// Fork returns the same: it has no state.
func (g Greedy) Fork() loopctl.Forking { return g }

// Sample returns the first of the largest.
func (Greedy) Sample(logits []float32) loopctl.Sampled {
	return loopctl.Sampled{ID: int32(loopctl.Argmax(logits))}
}
