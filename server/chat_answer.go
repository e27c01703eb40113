package server

// chatChoice is POST /v1/chat/completions' own.
type chatChoice struct {
	Index    int           `json:"index"`
	Message  *chatMessage  `json:"message,omitempty"`
	Delta    *chatDelta    `json:"delta,omitempty"`
	Logprobs *ChatLogprobs `json:"logprobs"`
	Outcome
}

type chatMessage struct {
	Role      string     `json:"role"`
	Content   *string    `json:"content"` // null where there are calls and no text
	Refusal   *string    `json:"refusal"` // always null: nothing here refuses
	ToolCalls []ToolCall `json:"tool_calls,omitempty"`

	ReasoningContent string `json:"reasoning_content,omitempty"`
}

type chatDelta struct {
	Role      string     `json:"role,omitempty"`
	Content   *string    `json:"content,omitempty"` // absent where the delta has something else alone
	ToolCalls []ToolCall `json:"tool_calls,omitempty"`

	ReasoningContent string `json:"reasoning_content,omitempty"`
}

// chatAnswer is the answer of POST /v1/chat/completions.
type chatAnswer struct {
	*Sequences

	logprobs func(*ChatLogprobs, *Delta) *ChatLogprobs
	opened   []bool // choices whose role was sent
	whole    *Completion[chatChoice]
}

// NewChatAnswer is the answer of POST /v1/chat/completions.
func NewChatAnswer(g *Sequences) Answer {
	a := &chatAnswer{Sequences: g, logprobs: g.ChatLogprobs(), opened: make([]bool, g.Len())}
	a.whole = NewCompletion[chatChoice](g, "chat.completion")
	a.whole.Choices = make([]chatChoice, g.Len())
	for i := range a.whole.Choices {
		a.whole.Choices[i].Message = &chatMessage{Role: "assistant"}
	}
	return a
}

func (a *chatAnswer) event(choices ...chatChoice) Event {
	out := NewCompletion[chatChoice](a.Sequences, "chat.completion.chunk")
	out.Choices = append(out.Choices, choices...)
	return out
}

// Events implements Answer: before a choice's first text comes one with the role. It waits for that text, since clients
// take a choice's first event for its first token.
func (a *chatAnswer) Events(d *Delta) []Event {
	if d == nil {
		return []Event{a.event()}
	}
	ch := chatChoice{Delta: &chatDelta{Content: &d.Text, ReasoningContent: d.Reasoning, ToolCalls: d.Calls}}
	if d.Text == "" && (d.Reasoning != "" || len(d.Calls) > 0) {
		ch.Delta.Content = nil
	}
	a.add(&ch, d)
	out := []Event{a.event(ch)}
	if !a.opened[d.Index] {
		a.opened[d.Index] = true
		first := a.event(chatChoice{Index: d.Index, Delta: &chatDelta{Role: "assistant", Content: new(string)}})
		out = append([]Event{first}, out...)
	}
	return out
}

// add sets what a delta says beside text.
func (a *chatAnswer) add(ch *chatChoice, d *Delta) {
	ch.Index = d.Index
	ch.Logprobs = a.logprobs(ch.Logprobs, d)
	ch.Outcome.Add(d, a.ReturnLoops)
}

// Add implements Answer.
func (a *chatAnswer) Add(d Delta) {
	ch := &a.whole.Choices[d.Index]
	a.add(ch, &d)
	m := ch.Message
	m.ReasoningContent += d.Reasoning
	for _, call := range d.Calls {
		call.Index = nil
		m.ToolCalls = append(m.ToolCalls, call)
	}
	if d.Finish != "" && (d.Text != "" || len(m.ToolCalls) == 0) {
		m.Content = &d.Text
	}
}

// Whole implements Answer.
func (a *chatAnswer) Whole() Event { return a.whole }
