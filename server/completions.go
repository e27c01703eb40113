package server

import (
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"
)

// postCompletions is OpenAI's text completion.
func (s *Server) postCompletions(c *gin.Context) {
	g, err := s.beginCompletion(c)
	if err != nil {
		s.fail(c, err)
		return
	}
	defer g.close()
	if g.params.Stream {
		s.stream(c, g, completionChunk)
		return
	}
	s.collectCompletion(c, g)
}

// beginCompletion reads the request and submits it.
func (s *Server) beginCompletion(c *gin.Context) (*generation, error) {
	b, t, err := s.readRequest(c)
	if err != nil {
		return nil, err
	}
	lim := s.cfg.Limits
	p, err := readParams(b, t, c.GetHeader("X-Loops"), false, lim)
	if err != nil {
		return nil, err
	}
	prompts, err := readPrompts(b, t.Model, p, lim)
	if err != nil {
		return nil, err
	}
	if err := p.checkCost(len(prompts), t.Model, lim); err != nil {
		return nil, err
	}
	g, err := s.start(c, t, p, prompts)
	if err != nil {
		return nil, err
	}
	g.id = "cmpl-" + c.GetString(keyRequestID)
	setLoopHeaders(c, t, p.Depth)
	return g, nil
}

// readRequest reads the body and finds the model that it names.
func (s *Server) readRequest(c *gin.Context) (body, target, error) {
	b, err := s.readBody(c)
	if err != nil {
		return nil, target{}, err
	}
	name, err := b.text("model")
	if err != nil {
		return nil, target{}, err
	}
	t, err := s.models().find(name)
	if err != nil {
		return nil, target{}, err
	}
	note(c, "model", t.Name)
	return b, t, nil
}

func setLoopHeaders(c *gin.Context, t target, d depth) {
	h := c.Writer.Header()
	h.Set("X-Model", t.Name)
	if d.Requested != 0 {
		h.Set("X-Loops-Requested", strconv.Itoa(d.Requested))
	}
	h.Set("X-Loops-Applied", strconv.Itoa(d.Applied))
	note(c, "loops", d.Applied)
}

// collectCompletion answers with the whole completion.
func (s *Server) collectCompletion(c *gin.Context, g *generation) {
	texts := make([][]byte, len(g.streams))
	scores := make([]score, len(g.streams))
	out := g.completion()
	out.Choices = make([]choice, len(g.streams))
	for open := len(g.streams); open > 0; {
		d, err := g.next()
		if err != nil {
			s.endFailed(c, err)
			return
		}
		ch := &out.Choices[d.index]
		texts[d.index] = append(texts[d.index], d.text...)
		g.apply(ch, d)
		scores[d.index].add(d)
		if d.finish != "" {
			ch.Text = string(texts[d.index])
			open--
		}
	}
	out.Choices = g.best(out.Choices, scores)
	out.Usage = g.tally.usage(len(g.streams), g.params.Depth.Applied)
	out.Timings = g.tally.timings(g.params.Depth.Draft > 0)
	if q := out.Timings.QueueTimeMS; q != nil {
		c.Writer.Header().Set("X-Queue-Ms", strconv.FormatFloat(*q, 'f', 3, 64))
	}
	note(c, "tokens", out.Usage.CompletionTokens)
	respond(c, http.StatusOK, out)
}

func (g *generation) completion() *completion {
	return &completion{
		ID: g.id, Object: "text_completion", Created: g.created, Model: g.target.Name, Choices: []choice{},
	}
}

// apply sets what a delta says beside text.
func (g *generation) apply(ch *choice, d delta) {
	ch.Index = d.index
	ch.Logprobs = g.logprobsOf(ch.Logprobs, d)
	if d.prompt != nil {
		ch.PromptLogprobs = promptLogprobs(d.prompt, g.params.Logprobs.PromptTop, &g.names)
	}
	if g.params.ReturnLoops && d.loops > 0 {
		ch.Loops = append(ch.Loops, d.loops)
	}
	if d.lens != nil {
		ch.Lens = append(ch.Lens, d.lens)
	}
	if d.finish != "" {
		ch.FinishReason, ch.StopReason = &d.finish, d.reason
	}
}

// completionChunk is the chunk of one delta; without one it is the last chunk, which has the usage alone.
func completionChunk(g *generation, d *delta) []chunk {
	out := g.completion()
	if d != nil {
		ch := choice{Text: d.text}
		g.apply(&ch, *d)
		out.Choices = append(out.Choices, ch)
	}
	return []chunk{out}
}

func (c *completion) attach(u *usage, t *timings) { c.Usage, c.Timings = u, t }
