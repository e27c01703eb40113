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
	b, t, err := s.readRequest(c)
	if err != nil {
		s.fail(c, err)
		return
	}
	r := &api.Reader{Body: b}
	isChat := b.Has("messages")
	addSpecial, withText := r.Boolean("add_special_tokens", !isChat), r.Boolean("return_token_strs", false)
	if r.Err != nil {
		s.fail(c, r.Err)
		return
	}
	var tokens []int32
	if isChat {
		var talk *chat.Prompt
		if talk, err = t.template.Read(c.Request.Context(), b, s.cfg.TemplateArgs); err == nil {
			tokens, err = talk.IDs(addSpecial)
		}
	} else {
		tokens, err = tokenizeText(b, t, addSpecial)
	}
	if err != nil {
		s.endFailed(c, err)
		return
	}
	if tokens == nil {
		tokens = []int32{}
	}
	out := gin.H{"count": len(tokens), "max_model_len": t.Context, "tokens": tokens, "token_strs": nil}
	if withText {
		strs := make([]string, len(tokens))
		for i, id := range tokens {
			strs[i], _ = t.Tokenizer.IDToToken(id)
		}
		out["token_strs"] = strs
	}
	respond(c, http.StatusOK, out)
}

func tokenizeText(b api.Body, t target, addSpecial bool) ([]int32, error) {
	if !b.Has("prompt") {
		return nil, api.Bad("prompt", "missing_field", "prompt is missing: give the text to tokenize, or messages")
	}
	text, err := b.Text("prompt")
	if err != nil {
		return nil, err
	}
	tokens, err := t.Tokenizer.Encode(text, addSpecial)
	if err != nil {
		return nil, api.Bad("prompt", "cannot_tokenize", "prompt cannot be tokenized: %s: change the text", err.Error())
	}
	return tokens, nil
}

func (s *Server) postDetokenize(c *gin.Context) {
	b, t, err := s.readRequest(c)
	if err != nil {
		s.fail(c, err)
		return
	}
	if !b.Has("tokens") {
		s.fail(c, api.Bad("tokens", "missing_field", "tokens is missing: give a list of token ids"))
		return
	}
	list, err := api.IDs(b["tokens"], "tokens", "tokens", t.Vocab)
	if err != nil {
		s.fail(c, err)
		return
	}
	text, err := t.Tokenizer.Decode(list, false)
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
