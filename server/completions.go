package server

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/loopserve/loopserve/server/api"
	"github.com/loopserve/loopserve/server/chat"
	"github.com/loopserve/loopserve/server/generate"
)

// postCompletions is OpenAI's text completion.
func (s *Server) postCompletions(c *gin.Context) (any, error) {
	return s.complete(c, completion{
		route: api.Completions, prompt: "prompt", id: "cmpl-", answer: generate.NewText,
		read: func(_ target, p *generate.Plan, v *api.Values) ([]generate.Prompt, error) {
			return p.ReadPrompts(v, s.cfg.Limits)
		},
	})
}

// postChat is OpenAI's chat completion.
func (s *Server) postChat(c *gin.Context) (any, error) {
	return s.complete(c, s.chat(c, "chatcmpl-"))
}

// chat is a completion whose prompt the model's template makes of the messages.
func (s *Server) chat(c *gin.Context, id string) completion {
	return completion{
		route: api.Chat, prompt: "messages", id: id, answer: chat.NewAnswer,
		read: func(t target, p *generate.Plan, v *api.Values) ([]generate.Prompt, error) {
			ctx := c.Request.Context()
			talk, err := t.template.Read(ctx, v, s.cfg.TemplateArgs)
			if err != nil {
				return nil, err
			}
			return talk.Prompts(ctx, v, p)
		},
	}
}

// completion is what tells generating routes apart.
type completion struct {
	route  api.Route
	prompt string // the field that the prompts come from
	id     string // what the answer's id begins with
	loose  bool   // max_tokens is more than a client can know to fit
	read   func(t target, p *generate.Plan, v *api.Values) ([]generate.Prompt, error)
	answer func(*generate.Sequences) generate.Answer
}

// complete reads a request, submits it, and answers.
func (s *Server) complete(c *gin.Context, of completion) (any, error) {
	b, t, err := s.readRequest(c)
	if err != nil {
		return nil, err
	}
	g, err := s.begin(c, b, t, of)
	if err != nil {
		return nil, err
	}
	defer g.Close()
	return s.answer(c, g, of.answer(g))
}

// begin plans a request and submits it.
func (s *Server) begin(c *gin.Context, b api.Body, t target, of completion) (*generate.Sequences, error) {
	p, v, err := generate.ReadPlan(b, of.route, t.Target, s.call(c), s.cfg.Limits)
	if err != nil {
		return nil, err
	}
	if of.loose {
		p.Loosen()
	}
	prompts, err := of.read(t, p, v)
	if err != nil {
		return nil, err
	}
	g, err := s.start(c, p, prompts, of.id)
	if err != nil {
		return nil, renamed(err, of.prompt)
	}
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

// call is what a request brings beside its body.
func (s *Server) call(c *gin.Context) generate.Call {
	out := generate.Call{ID: c.GetString(keyRequestID), Arrived: c.GetTime(keyArrived), Loops: c.GetHeader("X-Loops")}
	out.Client, out.Weight = cmp.Or(c.GetString(keyTenant), c.Request.RemoteAddr), s.tenant(c).Weight
	if !s.cfg.SharePrefixes {
		out.Tenant = c.GetString(keyTenant)
	}
	return out
}

// start submits the prompts. prefix is that of the answer's id.
func (s *Server) start(c *gin.Context, p *generate.Plan, prompts []generate.Prompt, prefix string) (*generate.Sequences, error) {
	if err := p.CheckCost(len(prompts), s.cfg.Limits); err != nil {
		return nil, err
	}
	holdOf(c).pause() // the model may have to be loaded first
	g, err := generate.Start(c.Request.Context(), host{s, c}, s.call(c), p, prompts)
	if err != nil {
		return nil, err
	}
	holdOf(c).end() // nothing of the body is kept but the prompt, which fits the context: the stream may take hours
	g.ID = prefix + c.GetString(keyRequestID)
	setLoopHeaders(c, p)
	c.Writer.Header().Set(prefixHeader, prefixKey(c.GetHeader(prefixHeader), p.Model.Name, prompts[0].IDs))
	return g, nil
}

// prefixHeader has what a balancer hashes to send requests with one beginning to one replica.
const prefixHeader = "X-Prefix-Key"

// prefixKey is the key that the client chose, or one of the beginning of its prompt, which the next turns of a conversation share.
func prefixKey(given, model string, ids []int32) string {
	if given != "" && len(given) <= 128 {
		return given
	}
	h := sha256.New()
	h.Write([]byte(model))
	for _, id := range ids[:min(len(ids), 64)] {
		h.Write(binary.LittleEndian.AppendUint32(nil, uint32(id)))
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

func setLoopHeaders(c *gin.Context, p *generate.Plan) {
	h := c.Writer.Header()
	h.Set("X-Model", p.Model.Name)
	if p.Requested != 0 {
		h.Set("X-Loops-Requested", strconv.Itoa(p.Requested))
	}
	h.Set("X-Loops-Applied", strconv.Itoa(p.Request.Loops))
	warn(c, p.Warnings)
	note(c, "loops", p.Request.Loops)
}

func warn(c *gin.Context, warnings []string) {
	for _, w := range warnings {
		c.Writer.Header().Add("X-Warning", w)
	}
}

// answer is what the route makes of the deltas; nothing is left of it where it was streamed.
func (s *Server) answer(c *gin.Context, g *generate.Sequences, a generate.Answer) (any, error) {
	if g.Stream {
		d, err := g.Next()
		if err == nil {
			s.stream(c, g, a, d)
		}
		return nil, err
	}
	if err := g.Collect(a.Add); err != nil {
		return nil, err
	}
	out := a.Whole()
	out.Usage, out.Timings = g.Usage, g.Timings()
	setQueueHeader(c, g, out.Timings)
	return out, nil
}

// setQueueHeader goes with an answer that is sent whole.
func setQueueHeader(c *gin.Context, g *generate.Sequences, t *generate.Timings) {
	if q := float64(t.QueueTimeMS); !math.IsNaN(q) {
		c.Writer.Header().Set("X-Queue-Ms", strconv.FormatFloat(q, 'f', 3, 64))
	}
	note(c, "tokens", g.Usage.CompletionTokens)
}
