package server

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/loopserve/loopserve/server/api"
	"github.com/loopserve/loopserve/server/dialect"
	"github.com/loopserve/loopserve/server/generate"
)

// postResponses is OpenAI's Responses, as a chat.
func (s *Server) postResponses(c *gin.Context) (any, error) {
	return s.translate(c, api.Responses, "resp_", func(b api.Body, v *api.Values) (dialect.Request, error) {
		return dialect.ReadResponse(b, v, s.shelf(c))
	})
}

// postMessages is Anthropic's Messages, as a chat.
func (s *Server) postMessages(c *gin.Context) (any, error) {
	return s.translate(c, api.Messages, "msg_", dialect.ReadMessages)
}

// translate reads a request, submits it as a chat, and answers with the dialect's own events, or with the whole answer that
// they make.
func (s *Server) translate(c *gin.Context, route api.Route, id string, read func(api.Body, *api.Values) (dialect.Request, error)) (any, error) {
	b, t, err := s.readRequest(c)
	if err != nil {
		return nil, err
	}
	v, err := api.Decode(b, route, t.Bounds(s.cfg.Limits))
	if err != nil {
		return nil, err
	}
	r, err := read(b, v)
	if err != nil {
		return nil, err
	}
	of := s.chat(c, id)
	of.loose = route == api.Messages // where the field is required
	g, err := s.begin(c, r.Chat(), t, of)
	if err != nil {
		return nil, r.Rename(err)
	}
	defer g.Close()
	told := len(g.Warnings)
	a := r.Answer(g)
	warn(c, g.Warnings[told:]) // the dialect's own
	if g.Stream {
		d, err := g.Next()
		if err == nil {
			s.streamTyped(c, g, a, d)
		}
		return nil, err
	}
	for {
		d, err := g.Next()
		if err != nil {
			return nil, err
		}
		if a.Add(&d); d.Finish != "" {
			break
		}
	}
	setQueueHeader(c, g, g.Timings())
	s.shelf(c).Keep(a)
	return a.Whole(), nil
}

// streamTyped answers with events that have types, from the first delta on, as stream does.
func (s *Server) streamTyped(c *gin.Context, g *generate.Sequences, a dialect.Answer, d generate.Delta) {
	var err error
	w := newEventWriter(c)
	send := func(events []dialect.Event) (gone bool) {
		for _, e := range events {
			if w.event(e.Type, e.Data) != nil {
				return true
			}
		}
		return false
	}
	if send(a.Begin()) {
		return
	}
	for {
		if send(a.Add(&d)) {
			return
		}
		if d.Finish != "" {
			break
		}
		if !g.Ready() && w.flush() != nil {
			return // the client is gone
		}
		if d, err = g.Next(); err != nil {
			if !gone(c, err) && !send(a.Fail(s.broken(c, err))) {
				_ = w.flush()
			}
			return
		}
	}
	s.shelf(c).Keep(a) // before the client can follow on it
	if !send(a.End()) {
		_ = w.flush()
	}
	note(c, "tokens", g.Usage.CompletionTokens)
}

// postCountTokens counts the tokens of a body of /v1/messages.
func (s *Server) postCountTokens(c *gin.Context) (any, error) {
	b, t, err := s.readRequest(c)
	if err != nil {
		return nil, err
	}
	b["max_tokens"] = []byte("1") // nothing will be generated
	v, err := api.Decode(b, api.Messages, t.Bounds(s.cfg.Limits))
	if err != nil {
		return nil, err
	}
	r, err := dialect.ReadMessages(b, v)
	if err != nil {
		return nil, err
	}
	if v, err = api.Decode(r.Chat(), api.Tokenize, t.Bounds(s.cfg.Limits)); err != nil {
		return nil, r.Rename(err)
	}
	talk, err := t.template.Read(c.Request.Context(), v, s.cfg.TemplateArgs)
	if err != nil {
		return nil, r.Rename(err)
	}
	ids, err := talk.IDs(v.Bool("add_special_tokens"))
	if err != nil {
		return nil, r.Rename(err)
	}
	return gin.H{"input_tokens": len(ids)}, nil
}

// shelf keeps the responses of the request's key.
func (s *Server) shelf(c *gin.Context) *dialect.Shelf {
	shelf, _ := s.kept.LoadOrStore(c.GetString(keyTenant), &dialect.Shelf{})
	return shelf.(*dialect.Shelf)
}

func (s *Server) getResponse(c *gin.Context) (any, error) {
	if whole, ok := s.shelf(c).Whole(c.Param("id")); ok {
		return whole, nil
	}
	return nil, notKept(c)
}

func (s *Server) deleteResponse(c *gin.Context) (any, error) {
	if !s.shelf(c).Drop(c.Param("id")) {
		return nil, notKept(c)
	}
	return gin.H{"id": c.Param("id"), "object": "response", "deleted": true}, nil
}

func notKept(c *gin.Context) error {
	return failure(http.StatusNotFound, "response_not_found", "response %s is not kept here: %s", api.Quote(c.Param("id")), dialect.Forgotten)
}
