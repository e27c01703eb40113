package server

import (
	"errors"

	"github.com/gin-gonic/gin"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server/api"
)

// postChat is OpenAI's chat completion: the model's template makes a prompt of the messages, and the rest is a
// completion.
func (s *Server) postChat(c *gin.Context) {
	g, err := s.beginChat(c)
	if err != nil {
		s.endFailed(c, err)
		return
	}
	defer g.close()
	if g.params.Stream {
		s.stream(c, g, chatChunks(len(g.streams)))
		return
	}
	s.collectChat(c, g)
}

// leastDefault is the fewest tokens that a chat without max_tokens is given room for.
const leastDefault = 16

// beginChat reads the request and submits it.
func (s *Server) beginChat(c *gin.Context) (*generation, error) {
	b, t, err := s.readRequest(c)
	if err != nil {
		return nil, err
	}
	if err := api.CheckChat(b); err != nil {
		return nil, err
	}
	if b.Has("prompt") && !b.Has("messages") {
		return nil, api.Bad("prompt", "unknown_field", "prompt is a field of /v1/completions: send messages, or use that route")
	}
	lim := s.cfg.Limits
	p, err := readParams(b, t, c.GetHeader("X-Loops"), true, lim)
	if err != nil {
		return nil, err
	}
	talk, err := s.readChat(c.Request.Context(), b, t)
	if err != nil {
		return nil, err
	}
	if err := p.takeChat(talk, t.Model); err != nil {
		return nil, err
	}
	ids, err := talk.ids(t, p.AddSpecial)
	if err != nil {
		return nil, err
	}
	most, err := fit(len(ids), input{field: "messages", where: "messages"}, t.Model, p)
	if err != nil {
		return nil, err
	}
	p.MaxTokens = most
	if err := p.checkCost(1, t.Model, lim); err != nil {
		return nil, err
	}
	g, err := s.start(c, t, p, []prompt{{ids: ids, maxTokens: most}})
	// Nobody asked for so many tokens: what the KV memory cannot hold is no reason to refuse a chat.
	for errors.Is(err, loopctl.ErrPagesExhausted) && !p.maxGiven && most > leastDefault {
		most = max(most/2, leastDefault)
		p.MaxTokens = most
		g, err = s.start(c, t, p, []prompt{{ids: ids, maxTokens: most}})
	}
	if err != nil {
		return nil, renamed(err, "messages")
	}
	g.id = "chatcmpl-" + c.GetString(keyRequestID)
	setLoopHeaders(c, t, p.Depth)
	return g, nil
}

// takeChat adds what the conversation says of its answer.
func (p *params) takeChat(talk chatPrompt, m *Model) error {
	p.Answer = talk.form
	if talk.tools.forced {
		if err := p.hold(talk.tools.wish(talk.form.calls), m); err != nil {
			return err
		}
	}
	if p.form != nil { // it holds from the first token on, so nothing comes before
		p.Answer.thinks, p.Answer.opened = false, false
	}
	return nil
}

// applyChat sets what a delta says beside text.
func (g *generation) applyChat(ch *chatChoice, d delta) {
	ch.Index = d.index
	ch.Logprobs = g.chatLogprobsOf(ch.Logprobs, d)
	ch.add(d, g.params.ReturnLoops)
}

// chatChunks makes the chunks of n choices: before a choice's first text comes one with the role. It waits for that
// text, since clients take a choice's first chunk for its first token.
func chatChunks(n int) func(*generation, *delta) []chunk {
	opened := make([]bool, n)
	return func(g *generation, d *delta) []chunk {
		out := newCompletion[chatChoice](g, "chat.completion.chunk")
		if d == nil {
			return []chunk{out}
		}
		ch := chatChoice{Delta: &chatDelta{Content: &d.text, ReasoningContent: d.reasoning, ToolCalls: d.calls}}
		if d.text == "" && (d.reasoning != "" || len(d.calls) > 0) {
			ch.Delta.Content = nil
		}
		g.applyChat(&ch, *d)
		out.Choices = append(out.Choices, ch)
		if opened[d.index] {
			return []chunk{out}
		}
		opened[d.index] = true
		first := newCompletion[chatChoice](g, "chat.completion.chunk")
		first.Choices = append(first.Choices, chatChoice{Index: d.index, Delta: &chatDelta{Role: "assistant", Content: new(string)}})
		return []chunk{first, out}
	}
}

// collectChat answers with the whole completion.
func (s *Server) collectChat(c *gin.Context, g *generation) {
	out := newCompletion[chatChoice](g, "chat.completion")
	out.Choices = make([]chatChoice, len(g.streams))
	for i := range out.Choices {
		out.Choices[i].Message = &chatMessage{Role: "assistant"}
	}
	err := g.collect(func(d delta) {
		ch := &out.Choices[d.index]
		g.applyChat(ch, d)
		ch.Message.add(d)
	})
	if err != nil {
		s.endFailed(c, err)
		return
	}
	respondWhole(c, g, out)
}

// add takes a delta's part. The whole text comes with the last one.
func (m *chatMessage) add(d delta) {
	m.ReasoningContent += d.reasoning
	for _, call := range d.calls {
		call.Index = nil
		m.ToolCalls = append(m.ToolCalls, call)
	}
	if d.finish != "" && (d.text != "" || len(m.ToolCalls) == 0) {
		m.Content = &d.text
	}
}
