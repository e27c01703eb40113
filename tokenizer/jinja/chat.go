package jinja

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Chat is what a conversation is rendered from.
type Chat struct {
	Messages            json.RawMessage // array of message objects
	Tools               json.RawMessage // array, or empty for none
	Documents           json.RawMessage // array, or empty for none
	AddGenerationPrompt bool
	BOS, EOS            string
	Special             map[string]string // other special tokens: pad_token, unk_token, …

	// Kwargs are a request's chat_template_kwargs. The caller lets only names
	// through that it knows; names of this struct's own fields are refused.
	Kwargs map[string]any

	Now func() time.Time // nil: time.Now
}

// reservedVars may not be replaced by a request.
var reservedVars = map[string]bool{
	"messages": true, "tools": true, "documents": true, "add_generation_prompt": true,
	"bos_token": true, "eos_token": true, "raise_exception": true, "strftime_now": true,
}

// RenderChat renders a conversation as Hugging Face's apply_chat_template
// does: tools and documents are none where they are not given.
func (t *Template) RenderChat(ctx context.Context, c Chat) (string, error) {
	vars := NewDict()
	for name, tok := range c.Special {
		vars.Set(name, tok)
	}
	vars.Set("bos_token", c.BOS)
	vars.Set("eos_token", c.EOS)
	for _, f := range []struct {
		name string
		data json.RawMessage
		must bool
	}{{"messages", c.Messages, true}, {"tools", c.Tools, false}, {"documents", c.Documents, false}} {
		v, err := arrayOrNone(f.data)
		if err != nil {
			return "", fmt.Errorf("%s: %w", f.name, err)
		}
		if v == nil && f.must {
			return "", fmt.Errorf("%s: none given; want an array of messages", f.name)
		}
		vars.Set(f.name, v)
	}
	vars.Set("add_generation_prompt", c.AddGenerationPrompt)
	for name, raw := range c.Kwargs {
		if reservedVars[name] {
			return "", fmt.Errorf("chat template argument %q may not be set by a request", name)
		}
		v, err := FromGo(raw)
		if err != nil {
			return "", fmt.Errorf("chat template argument %q: %w", name, err)
		}
		vars.Set(name, v)
	}
	return t.Render(ctx, vars, Options{Now: c.Now})
}

func arrayOrNone(data json.RawMessage) (Value, error) {
	if len(data) == 0 {
		return nil, nil
	}
	v, err := FromJSON(data)
	if err != nil {
		return nil, err
	}
	switch v.(type) {
	case nil, *List:
		return v, nil
	}
	return nil, fmt.Errorf("want an array, got %s", typeName(v))
}
