package generate

import (
	"math"

	"github.com/loopserve/loopserve/loopctl"
)

// LensToken is the loop lens of one generated token: what it would have been after each of its loops.
type LensToken struct {
	Token string     `json:"token"`
	ID    int32      `json:"id"`
	Loops []lensLoop `json:"loops"`
}

// lensLoop is one loop of it. What the model does not emit is null.
type lensLoop struct {
	Loop    int         `json:"loop"`
	Entropy Measure     `json:"entropy"` // of the whole distribution, in nats
	Delta   Measure     `json:"delta"`   // the latent's relative change in this loop
	Gate    Measure     `json:"gate"`    // probability to stop at this loop, given that it came so far
	Top     []lensGuess `json:"top"`     // best first
}

type lensGuess struct {
	Token string  `json:"token"`
	ID    int32   `json:"id"`
	Prob  float64 `json:"prob"`
}

// lensOf gives an event's lens its wire form; tokens are spelled as in the logprobs of completions.
func lensOf(e loopctl.Event, names tokenNames) *LensToken {
	spell := func(id int32) string { return names(id).text }
	out := &LensToken{Token: spell(e.Token.ID), ID: e.Token.ID, Loops: make([]lensLoop, len(e.Lens))}
	for i, v := range e.Lens {
		l := lensLoop{Loop: v.Loop, Entropy: Measure(v.Entropy), Delta: Measure(v.Delta), Gate: Measure(1 / (1 + math.Exp(-float64(v.Gate))))}
		l.Top = make([]lensGuess, len(v.Top))
		for j, t := range v.Top {
			l.Top[j] = lensGuess{spell(t.ID), t.ID, math.Exp(float64(t.Logprob))}
		}
		out.Loops[i] = l
	}
	return out
}
