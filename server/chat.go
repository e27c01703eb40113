package server

import (
	"github.com/gin-gonic/gin"

	"github.com/loopserve/loopserve/server/api"
	"github.com/loopserve/loopserve/server/chat"
	"github.com/loopserve/loopserve/server/generate"
)

// postChat is OpenAI's chat completion: the model's template makes a prompt of the messages, and the rest is a
// completion.
func (s *Server) postChat(c *gin.Context) (any, error) {
	g, err := s.beginChat(c)
	if err != nil {
		return nil, err
	}
	defer g.Close()
	return s.answer(c, g, chat.NewAnswer(g))
}

// beginChat reads the request and submits it.
func (s *Server) beginChat(c *gin.Context) (*generate.Sequences, error) {
	b, t, err := s.readRequest(c)
	if err != nil {
		return nil, err
	}
	p, v, err := generate.ReadPlan(b, api.Chat, t.Target, s.call(c), s.cfg.Limits)
	if err != nil {
		return nil, err
	}
	talk, err := t.template.Read(c.Request.Context(), v, s.cfg.TemplateArgs)
	if err != nil {
		return nil, err
	}
	if err := talk.Shape(p); err != nil {
		return nil, err
	}
	ids, err := talk.IDs(p.AddSpecial)
	if err != nil {
		return nil, err
	}
	prompt, err := p.ChatPrompt(ids)
	if err != nil {
		return nil, err
	}
	g, err := s.start(c, p, []generate.Prompt{prompt}, "chatcmpl-")
	if err != nil {
		return nil, renamed(err, "messages")
	}
	return g, nil
}
