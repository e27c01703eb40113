package chat

import "github.com/loopserve/loopserve/server/generate"

// choice is POST /v1/chat/completions' own.
type choice struct {
	Index    int                    `json:"index"`
	Message  *message               `json:"message,omitempty"`
	Delta    *delta                 `json:"delta,omitempty"`
	Logprobs *generate.ChatLogprobs `json:"logprobs"`
	generate.Outcome
}

type message struct {
	Role      string              `json:"role"`
	Content   *string             `json:"content"` // null where there are calls and no text
	Refusal   *string             `json:"refusal"` // always null: nothing here refuses
	ToolCalls []generate.ToolCall `json:"tool_calls,omitempty"`

	thought
}

// thought is an answer's reasoning under both of its names: vLLM writes reasoning, as OpenRouter does; DeepSeek, SGLang
// and llama.cpp reasoning_content, as vLLM did.
type thought struct {
	Reasoning        string `json:"reasoning,omitempty"`
	ReasoningContent string `json:"reasoning_content,omitempty"`
}

func (t *thought) add(text string) {
	t.Reasoning += text
	t.ReasoningContent = t.Reasoning
}

type delta struct {
	Role      string              `json:"role,omitempty"`
	Content   *string             `json:"content,omitempty"` // absent where the delta has something else alone
	ToolCalls []generate.ToolCall `json:"tool_calls,omitempty"`

	thought
}

// answer is the answer of POST /v1/chat/completions.
type answer struct {
	*generate.Sequences

	logprobs func(*generate.ChatLogprobs, *generate.Delta) *generate.ChatLogprobs
	opened   []bool // choices whose role was sent
	whole    []choice
}

// NewAnswer is the answer of POST /v1/chat/completions.
func NewAnswer(g *generate.Sequences) generate.Answer {
	a := &answer{Sequences: g, logprobs: g.ChatLogprobs(), opened: make([]bool, g.Len()), whole: make([]choice, g.Len())}
	for i := range a.whole {
		a.whole[i].Message = &message{Role: "assistant"}
	}
	return a
}

func (a *answer) event(choices ...choice) *generate.Completion {
	return a.Completion("chat.completion.chunk", append([]choice{}, choices...))
}

// Events implements Answer: before a choice's first text comes one with the role. It waits for that text, since clients
// take a choice's first event for its first token.
func (a *answer) Events(d *generate.Delta) []*generate.Completion {
	if d == nil {
		return []*generate.Completion{a.event()}
	}
	ch := choice{Delta: &delta{Content: &d.Text, ToolCalls: d.Calls, thought: thought{d.Reasoning, d.Reasoning}}}
	a.add(&ch, d)
	if d.Text == "" && a.Parser != nil {
		ch.Delta.Content = nil
		if d.Silent() && ch.Logprobs == nil && len(ch.Loops)+len(ch.Lens)+len(ch.TokenIDs) == 0 && !a.ContinuousUsage {
			return nil // what the text is can be told with the next tokens only
		}
	}
	if a.opened[d.Index] {
		return []*generate.Completion{a.event(ch)}
	}
	a.opened[d.Index] = true
	first := a.event(choice{Index: d.Index, Delta: &delta{Role: "assistant", Content: new(string)}})
	first.Warnings, first.PromptTokenIDs = a.Warnings, a.ShownPrompt()
	return []*generate.Completion{first, a.event(ch)}
}

// add sets what a delta says beside text.
func (a *answer) add(ch *choice, d *generate.Delta) {
	ch.Index = d.Index
	ch.Logprobs = a.logprobs(ch.Logprobs, d)
	ch.Add(d, a.Plan)
}

// Add implements Answer.
func (a *answer) Add(d generate.Delta) {
	ch := &a.whole[d.Index]
	a.add(ch, &d)
	m := ch.Message
	m.add(d.Reasoning)
	for _, call := range d.Calls {
		if at := *call.Index; at < len(m.ToolCalls) {
			m.ToolCalls[at].Function.Arguments += call.Function.Arguments
			continue
		}
		call.Index = nil
		m.ToolCalls = append(m.ToolCalls, call)
	}
	if d.Finish != "" && (d.Text != "" || len(m.ToolCalls) == 0) {
		m.Content = &d.Text
	}
}

// Whole implements Answer.
func (a *answer) Whole() *generate.Completion {
	out := a.Completion("chat.completion", a.whole)
	out.Warnings, out.PromptTokenIDs = a.Warnings, a.ShownPrompt()
	return out
}
