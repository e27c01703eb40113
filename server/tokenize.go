package server

import (
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"

	"github.com/loopserve/loopserve/server/api"
	"github.com/loopserve/loopserve/server/chat"
)

// The tokenizer's routes are vLLM's: lm-evaluation-harness takes them for a remote tokenizer.

func (s *Server) postTokenize(c *gin.Context) {
	v, t, err := s.decode(c, api.Tokenize)
	if err != nil {
		s.fail(c, err)
		return
	}
	isChat := v.Has("messages")
	addSpecial := v.Bool("add_special_tokens") || !isChat && !v.Has("add_special_tokens")
	var tokens []int32
	if isChat {
		var talk *chat.Prompt
		if talk, err = t.template.Read(c.Request.Context(), v, s.cfg.TemplateArgs); err == nil {
			tokens, err = talk.IDs(addSpecial)
		}
	} else {
		tokens, err = tokenizeText(v, t, addSpecial)
	}
	if err != nil {
		s.endFailed(c, err)
		return
	}
	if tokens == nil {
		tokens = []int32{}
	}
	out := gin.H{"count": len(tokens), "max_model_len": t.Context, "tokens": tokens, "token_strs": nil}
	if v.Bool("return_token_strs") {
		strs := make([]string, len(tokens))
		for i, id := range tokens {
			strs[i], _ = t.Tokenizer.IDToToken(id)
		}
		out["token_strs"] = strs
	}
	respond(c, http.StatusOK, out)
}

// decode reads the body of a route without loops.
func (s *Server) decode(c *gin.Context, route api.Route) (*api.Values, target, error) {
	b, t, err := s.readRequest(c)
	if err != nil {
		return nil, target{}, err
	}
	v, err := api.Decode(b, route, t.Bounds(s.cfg.Limits))
	return v, t, err
}

func tokenizeText(v *api.Values, t target, addSpecial bool) ([]int32, error) {
	if !v.Has("prompt") {
		return nil, api.Bad("prompt", api.CodeMissing, "prompt is missing: give the text to tokenize, or messages")
	}
	tokens, err := t.Tokenizer.Encode(v.Text("prompt"), addSpecial)
	if err != nil {
		return nil, api.Bad("prompt", "cannot_tokenize", "prompt cannot be tokenized: %s: change the text", err.Error())
	}
	return tokens, nil
}

func (s *Server) postDetokenize(c *gin.Context) {
	v, t, err := s.decode(c, api.Detokenize)
	if err != nil {
		s.fail(c, err)
		return
	}
	text, err := t.Tokenizer.Decode(v.IDs("tokens"), false)
	if err != nil {
		s.fail(c, api.Bad("tokens", api.CodeValue, "tokens cannot be decoded: %s", err.Error()))
		return
	}
	respond(c, http.StatusOK, gin.H{"prompt": text})
}

// getTokenizerInfo names the special tokens. With several models, ?model= says which.
func (s *Server) getTokenizerInfo(c *gin.Context) {
	t, err := s.models().find(c.Query("model"))
	if err != nil {
		s.fail(c, err)
		return
	}
	name := func(id *int32) any {
		if id == nil {
			return nil
		}
		token, ok := t.Tokenizer.IDToToken(*id)
		if !ok {
			return nil
		}
		return token
	}
	out := gin.H{
		"model": t.Name, "max_model_len": t.Context, "vocab_size": t.Vocab, "stop_token_ids": slices.Concat([]int32{}, t.StopIDs),
		"bos_token": name(t.BOS), "pad_token": name(t.PAD), "eos_token": nil, "chat_template": nil,
	}
	if len(t.StopIDs) > 0 {
		out["eos_token"] = name(&t.StopIDs[0])
	}
	if t.ChatTemplate != "" {
		out["chat_template"] = t.ChatTemplate
	}
	respond(c, http.StatusOK, out)
}
