package generate

import (
	"cmp"
	"slices"
)

// Answer is what one route makes of a request's deltas: events of a stream, or one whole answer.
type Answer interface {
	// Events are those of a delta; without one it is the event that has the usage alone.
	Events(d *Delta) []*Completion
	// Add takes a delta of an answer that is sent whole: all of a choice's text comes with its last one.
	Add(d Delta)
	// Whole is the answer when all deltas have been added.
	Whole() *Completion
}

// Completion is OpenAI's: what a generating route answers, and each event of a streamed answer. Here and below, fields after a
// blank line are ours or vLLM's.
type Completion struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	Model   string `json:"model"`
	Choices any    `json:"choices"` // a list of the route's own
	Usage   *Usage `json:"usage"`

	Timings  *Timings `json:"timings,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
	// PromptTokenIDs are a chat's, where return_token_ids asked for them.
	PromptTokenIDs []int32 `json:"prompt_token_ids,omitempty"`
}

// Completion is one with the choices. object is OpenAI's name for it.
func (g *Sequences) Completion(object string, choices any) *Completion {
	return &Completion{ID: g.ID, Object: object, Created: g.Created, Model: g.Model.Name, Choices: choices}
}

// Outcome is what a choice says beside its text and the probabilities.
type Outcome struct {
	FinishReason *string `json:"finish_reason"`

	StopReason any `json:"stop_reason"` // the stop string or stop_token_ids' id that ended it, else null
	Shown
}

// Shown is what a request may want to see of each of an answer's tokens.
type Shown struct {
	Loops []int `json:"loops,omitempty"`
	// TokenIDs and, of completions, PromptTokenIDs are vLLM's, where return_token_ids asked for them.
	TokenIDs       []int32 `json:"token_ids,omitempty"`
	PromptTokenIDs []int32 `json:"prompt_token_ids,omitempty"`
	// Lens has an entry for each token, where return_lens asked for it.
	Lens []*LensToken `json:"lens,omitempty"`
}

// Add takes a delta's part of what the request wants to see.
func (s *Shown) Add(d *Delta, p *Plan) {
	if p.ReturnLoops && d.Loops > 0 {
		s.Loops = append(s.Loops, d.Loops)
	}
	if p.ReturnIDs && d.Loops > 0 {
		s.TokenIDs = append(s.TokenIDs, d.id)
	}
	if d.Lens != nil {
		s.Lens = append(s.Lens, d.Lens)
	}
}

// Add takes a delta's part of what the request wants to see, and how the choice ended.
func (o *Outcome) Add(d *Delta, p *Plan) {
	o.Shown.Add(d, p)
	if d.Finish != "" {
		o.FinishReason, o.StopReason = &d.Finish, d.Reason
	}
}

// choice is POST /v1/completions' own.
type choice struct {
	Index    int       `json:"index"`
	Text     string    `json:"text"`
	Logprobs *Logprobs `json:"logprobs"`
	Outcome

	// PromptLogprobs is vLLM's, where prompt_logprobs asked for it.
	PromptLogprobs []map[string]promptLogprob `json:"prompt_logprobs,omitempty"`

	logprob float64 // of all its tokens together, for best_of
	tokens  int
}

// likelihood is the log-probability per token, by which OpenAI ranks.
func (c *choice) likelihood() float64 { return c.logprob / float64(max(c.tokens, 1)) }

// text is the answer of POST /v1/completions.
type text struct {
	*Sequences

	spelled tokenNames
	offsets []int // of each choice: characters of text before the next token
	whole   []choice
}

// NewText is the answer of POST /v1/completions.
func NewText(g *Sequences) Answer {
	return &text{Sequences: g, spelled: g.names(), offsets: make([]int, g.Len()), whole: make([]choice, g.Len())}
}

const textObject = "text_completion"

// Events implements Answer.
func (a *text) Events(d *Delta) []*Completion {
	choices := []choice{}
	if d != nil {
		choices = append(choices, choice{Text: d.Text})
		a.add(&choices[0], d)
	}
	out := a.Completion(textObject, choices)
	if d != nil && d.first && d.Index == 0 {
		out.Warnings = a.Warnings
	}
	return []*Completion{out}
}

// Add implements Answer.
func (a *text) Add(d Delta) {
	ch := &a.whole[d.Index]
	a.add(ch, &d)
	if n := len(d.tokens); n > 0 && d.Loops > 0 {
		ch.logprob += float64(d.tokens[n-1].logprob)
		ch.tokens++
	}
	ch.Text = d.Text
}

// add sets what a delta says beside text.
func (a *text) add(ch *choice, d *Delta) {
	ch.Index = d.Index
	if a.Logprobs.On && len(d.tokens) > 0 {
		if ch.Logprobs == nil {
			ch.Logprobs = &Logprobs{}
		}
		a.offsets[d.Index] = ch.Logprobs.add(d.tokens, a.Logprobs.Top, a.offsets[d.Index], a.spelled)
	}
	if d.prompt != nil {
		ch.PromptLogprobs = promptLogprobs(d.prompt, a.Logprobs.PromptTop, a.spelled)
	}
	if a.ReturnIDs && d.first {
		ch.PromptTokenIDs = a.prompts[d.Index/a.perPrompt()].IDs
	}
	ch.Add(d, a.Plan)
}

// Whole implements Answer. It leaves the n best choices of each prompt, the best first, and numbers them.
func (a *text) Whole() *Completion {
	n, of := a.N, a.perPrompt()
	out := a.Completion(textObject, a.whole)
	out.Warnings = a.Warnings
	if of == n {
		return out
	}
	var best []choice
	for rivals := range slices.Chunk(a.whole, of) {
		slices.SortStableFunc(rivals, func(a, b choice) int { return cmp.Compare(b.likelihood(), a.likelihood()) })
		for _, ch := range rivals[:n] {
			ch.Index = len(best)
			best = append(best, ch)
		}
	}
	out.Choices = best
	return out
}
