package server

import (
	"cmp"
	"slices"
)

// score is how likely a choice was to the model: what best_of compares.
type score struct {
	sum    float64
	tokens int
}

func (s *score) add(d delta) {
	if d.loops == 0 || len(d.tokens) == 0 { // no token came
		return
	}
	s.sum += float64(d.tokens[len(d.tokens)-1].logprob)
	s.tokens++
}

// mean is the log-probability per token, as OpenAI ranks.
func (s *score) mean() float64 { return s.sum / float64(max(s.tokens, 1)) }

// best leaves the n best choices of each prompt, the best first, and numbers them.
func (g *generation) best(choices []choice, scores []score) []choice {
	n, of := g.params.N, g.params.perPrompt()
	if of == n {
		return choices
	}
	out := make([]choice, 0, len(choices)/of*n)
	for first := 0; first < len(choices); first += of {
		order := make([]int, of)
		for i := range order {
			order[i] = first + i
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(scores[b].mean(), scores[a].mean()) })
		for _, i := range order[:n] {
			ch := choices[i]
			ch.Index = len(out)
			if !g.params.Logprobs.On {
				ch.Logprobs = nil
			}
			out = append(out, ch)
		}
	}
	return out
}
