package server

import (
	"slices"

	"github.com/gin-gonic/gin"

	"github.com/loopserve/loopserve/server/api"
	"github.com/loopserve/loopserve/server/chat"
)

// The tokenizer's routes are vLLM's: lm-evaluation-harness takes them for a remote tokenizer.

func (s *Server) postTokenize(c *gin.Context) (any, error) {
	v, t, err := s.decode(c, api.Tokenize)
	if err != nil {
		return nil, err
	}
	isChat := v.Has("messages")
	addSpecial := v.Bool("add_special_tokens") || !isChat && !v.Has("add_special_tokens")
	var tokens []int32
	if isChat {
		var talk *chat.Prompt
		if talk, err = t.template.Read(c.Request.Context(), v, s.cfg.TemplateArgs); err == nil {
			warn(c, talk.Warnings)
			tokens, err = talk.IDs(addSpecial)
		}
	} else {
		tokens, err = tokenizeText(v, t, addSpecial)
	}
	if err != nil {
		return nil, err
	}
	out := gin.H{"count": len(tokens), "max_model_len": t.Context, "tokens": append([]int32{}, tokens...), "token_strs": nil}
	if v.Bool("return_token_strs") {
		spelled := make([]string, len(tokens))
		for i, id := range tokens {
			spelled[i] = t.Token(&id)
		}
		out["token_strs"] = spelled
	}
	return out, nil
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

// mostIDs bounds what one request decodes: an id is two bytes of a body, and may be a hundred of text.
const mostIDs = 1 << 17

func (s *Server) postDetokenize(c *gin.Context) (any, error) {
	v, t, err := s.decode(c, api.Detokenize)
	if err != nil {
		return nil, err
	}
	ids := v.IDs("tokens")
	if most := max(mostIDs, t.Context); len(ids) > most {
		return nil, api.Bad("tokens", "request_too_large", "tokens has %d ids: at most %d per request: send several requests", len(ids), most)
	}
	text, err := t.Tokenizer.Decode(ids, false)
	if err != nil {
		return nil, api.Bad("tokens", api.CodeValue, "tokens cannot be decoded: %s", err.Error())
	}
	return gin.H{"prompt": text}, nil
}

// getTokenizerInfo names the special tokens. With several models, ?model= says which.
func (s *Server) getTokenizerInfo(c *gin.Context) (any, error) {
	t, err := s.models().find(c.Query("model"))
	if err != nil {
		return nil, err
	}
	var eos *int32
	if len(t.StopIDs) > 0 {
		eos = &t.StopIDs[0]
	}
	return gin.H{
		"model": t.Name, "max_model_len": t.Context, "vocab_size": t.Vocab, "stop_token_ids": slices.Concat([]int32{}, t.StopIDs),
		"bos_token": api.OrNull(t.Token(t.BOS)), "pad_token": api.OrNull(t.Token(t.PAD)), "eos_token": api.OrNull(t.Token(eos)),
		"chat_template": api.OrNull(t.ChatTemplate),
	}, nil
}
