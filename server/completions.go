package server

import (
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/loopserve/loopserve/server/api"
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
func (s *Server) readRequest(c *gin.Context) (api.Body, target, error) {
	b, err := s.readBody(c)
	if err != nil {
		return nil, target{}, err
	}
	name, err := b.Text("model")
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
	scores := make([]score, len(g.streams))
	out := newCompletion[choice](g, "text_completion")
	out.Choices = make([]choice, len(g.streams))
	err := g.collect(func(d delta) {
		ch := &out.Choices[d.index]
		g.apply(ch, d)
		scores[d.index].add(d)
		ch.Text = d.text
	})
	if err != nil {
		s.endFailed(c, err)
		return
	}
	out.Choices = g.best(out.Choices, scores)
	respondWhole(c, g, out)
}

// respondWhole sends a completion that is not streamed.
func respondWhole(c *gin.Context, g *generation, out chunk) {
	u, t := g.usage(), g.timed()
	out.attach(u, t)
	if q := t.QueueTimeMS; q != nil {
		c.Writer.Header().Set("X-Queue-Ms", strconv.FormatFloat(*q, 'f', 3, 64))
	}
	note(c, "tokens", u.CompletionTokens)
	respond(c, http.StatusOK, out)
}

func newCompletion[C any](g *generation, object string) *completionOf[C] {
	return &completionOf[C]{ID: g.id, Object: object, Created: g.created, Model: g.target.Name, Choices: []C{}}
}

func (c *completionOf[C]) attach(u *usage, t *timings) { c.Usage, c.Timings = u, t }

// apply sets what a delta says beside text.
func (g *generation) apply(ch *choice, d delta) {
	ch.Index = d.index
	ch.Logprobs = g.logprobsOf(ch.Logprobs, d)
	if d.prompt != nil {
		ch.PromptLogprobs = promptLogprobs(d.prompt, g.params.Logprobs.PromptTop, &g.names)
	}
	ch.add(d, g.params.ReturnLoops)
}

// add takes a delta's part.
func (o *outcome) add(d delta, loops bool) {
	if loops && d.loops > 0 {
		o.Loops = append(o.Loops, d.loops)
	}
	if d.lens != nil {
		o.Lens = append(o.Lens, d.lens)
	}
	if d.finish != "" {
		o.FinishReason, o.StopReason = &d.finish, d.reason
	}
}

// completionChunk is the chunk of one delta; without one it is the last chunk, which has the usage alone.
func completionChunk(g *generation, d *delta) []chunk {
	out := newCompletion[choice](g, "text_completion")
	if d != nil {
		ch := choice{Text: d.text}
		g.apply(&ch, *d)
		out.Choices = append(out.Choices, ch)
	}
	return []chunk{out}
}
