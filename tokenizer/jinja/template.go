package jinja

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"time"
)

// Generation is the tag by which Hugging Face's apply_chat_template marks the assistant's text.
const Generation = "generation"

// Template is a parsed template. It may be rendered by many goroutines.
type Template struct {
	body   []stmt
	limits Limits
	free   map[string]bool
}

// Parse reads a template. blocks are tags beside Jinja's own whose body is rendered as it is: chat templates have
// Generation. The error is an *Error or a *LimitError.
func Parse(source string, limits Limits, blocks ...string) (t *Template, err error) {
	limits = limits.withDefaults()
	if len(source) > limits.Source {
		return nil, &LimitError{What: "source bytes", Limit: int64(limits.Source)}
	}
	p := &parser{lex: newLexer(source), most: limits.Nesting, blocks: blocks, reads: map[string]bool{}, sets: words("loop caller")}
	defer recovered(&err, &p.cur.line)
	p.advance()
	body := p.body(nil)
	maps.DeleteFunc(p.reads, func(name string, _ bool) bool { return p.sets[name] || globals[name] != nil })
	return &Template{body: body, limits: limits, free: p.reads}, nil
}

// Free says whether the template reads a variable that it never sets: what its callers may give.
func (t *Template) Free(name string) bool { return t.free[name] }

// Options of one render.
type Options struct {
	Now func() time.Time // the clock of strftime_now; nil: time.Now
}

// Render runs the template over vars, which it does not change. The error is an *Error, a *LimitError or the context's.
func (t *Template) Render(ctx context.Context, vars *Dict, opts Options) (string, error) {
	return t.run(newRender(ctx, t.limits, vars, opts))
}

func (t *Template) run(r *render) (text string, err error) {
	defer recovered(&err, &r.line)
	r.look()
	r.run(t.body, &scope{})
	return r.out.String(), nil
}

// Chat is what a conversation is rendered from.
type Chat struct {
	Messages            json.RawMessage // array of message objects
	Tools               json.RawMessage // array, or empty for none
	Documents           json.RawMessage // array, or empty for none
	AddGenerationPrompt bool
	BOS, EOS            string
	Special             map[string]string // other special tokens: pad_token, unk_token, …

	// Kwargs are a request's chat_template_kwargs: JSON, or what marshals to it. The caller lets only names through that
	// it knows; names of this struct's own fields are refused.
	Kwargs map[string]any

	Now func() time.Time // nil: time.Now
}

// reservedVars may not be replaced by a request.
var reservedVars = words("messages tools documents add_generation_prompt bos_token eos_token raise_exception strftime_now")

// RenderChat renders a conversation as Hugging Face's apply_chat_template does: tools and documents are none where they
// are not given. The error is Render's, or says which part of the chat cannot be read.
func (t *Template) RenderChat(ctx context.Context, c Chat) (string, error) {
	vars := NewDict()
	if len(c.Messages) == 0 || string(c.Messages) == "null" {
		return "", fmt.Errorf("messages is missing: give an array of messages")
	}
	for name, tok := range c.Special {
		vars.Set(name, tok)
	}
	vars.Set("bos_token", c.BOS)
	vars.Set("eos_token", c.EOS)
	for _, f := range []struct {
		name string
		data json.RawMessage
	}{{"messages", c.Messages}, {"tools", c.Tools}, {"documents", c.Documents}} {
		var v Value
		if len(f.data) > 0 {
			var err error
			if v, err = FromJSON(f.data); err != nil {
				return "", fmt.Errorf("%s: %w", f.name, err)
			}
		}
		if v != nil && !isKind(v, list) {
			return "", fmt.Errorf("%s: a %s is not an array", f.name, typeName(v))
		}
		vars.Set(f.name, v)
	}
	vars.Set("add_generation_prompt", c.AddGenerationPrompt)
	for name, raw := range c.Kwargs {
		if reservedVars[name] {
			return "", fmt.Errorf("chat template argument %q may not be set by a request", name)
		}
		var v Value
		data, err := json.Marshal(raw)
		if err == nil {
			v, err = FromJSON(data)
		}
		if err != nil {
			return "", fmt.Errorf("chat template argument %q: %w", name, err)
		}
		vars.Set(name, v)
	}
	return t.Render(ctx, vars, Options{Now: c.Now})
}
