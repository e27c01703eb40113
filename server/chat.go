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
	return s.complete(c, completion{
		route: api.Chat, prompt: "messages", id: "chatcmpl-", answer: chat.NewAnswer,
		read: func(t target, p *generate.Plan, v *api.Values) ([]generate.Prompt, error) {
			talk, err := t.template.Read(c.Request.Context(), v, s.cfg.TemplateArgs)
			if err != nil {
				return nil, err
			}
			return talk.Prompts(p)
		},
	})
}
