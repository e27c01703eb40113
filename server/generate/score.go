package generate

import (
	"math"
	"strconv"

	"github.com/loopserve/loopserve/loopctl"
)

// promptScorer collects what the model thinks of a prompt. It is a loopctl.Scorer: the engine fills it, position by
// position, before the sequence's first event comes out.
type promptScorer struct {
	prompt  []int32
	options LogprobOptions
	tokens  []scored // none where nobody asked: the prompt is only run
}

func newPromptScorer(prompt []int32, w LogprobOptions) *promptScorer {
	s := &promptScorer{prompt: prompt, options: w}
	if w.On || w.Prompt {
		s.tokens = append(make([]scored, 0, len(prompt)), scored{id: prompt[0], logprob: float32(math.NaN())})
	}
	return s
}

// scoresPrompt says whether the engine must tell the prompt's logits: they are asked for, or nothing else is.
func (p *Plan) scoresPrompt() bool {
	return p.Echo && p.Logprobs.On || p.Logprobs.Prompt || p.MaxTokens == 0
}

// Score implements loopctl.Scorer.
func (s *promptScorer) Score(position int, logits []float32) {
	if s.tokens == nil {
		return
	}
	d := loopctl.NewDistribution(logits)
	next := s.prompt[position+1]
	t := scored{id: next, logprob: d.Logprob(next), top: d.Top(max(s.options.Top, s.options.PromptTop))}
	if s.options.Prompt {
		t.rank = d.Rank(next)
	}
	s.tokens = append(s.tokens, t)
}

// promptLogprob is vLLM's form of a prompt token's alternative, under the token's id.
type promptLogprob struct {
	Logprob float32 `json:"logprob"`
	Rank    int     `json:"rank"`
	Token   string  `json:"decoded_token"`
}

// promptLogprobs is vLLM's prompt_logprobs: for each prompt token but the first, which is null, its own entry and top
// ones.
func promptLogprobs(tokens []scored, top int, names tokenNames) []map[string]promptLogprob {
	out := make([]map[string]promptLogprob, len(tokens))
	for i, t := range tokens {
		if math.IsNaN(float64(t.logprob)) {
			continue
		}
		out[i] = map[string]promptLogprob{}
		for rank, a := range t.top[:min(top, len(t.top))] {
			out[i][strconv.Itoa(int(a.ID))] = promptLogprob{wireLogprob(a.Logprob), rank + 1, names(a.ID).text}
		}
		id := strconv.Itoa(int(t.id))
		if _, ok := out[i][id]; !ok {
			out[i][id] = promptLogprob{wireLogprob(t.logprob), t.rank, names(t.id).text}
		}
	}
	return out
}
