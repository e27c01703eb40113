package jinja

import (
	"context"
	"errors"
	"strings"
	"time"
)

// Template is a parsed template. It may be rendered by many goroutines.
type Template struct {
	body   []stmt
	limits Limits
}

// Parse reads a template. An unknown tag, an unknown filter or a use of what
// the subset leaves out is an error here, not at render.
func Parse(source string, limits Limits) (*Template, error) { return parse(source, limits, false) }

// ParseChat is Parse that also knows {% generation %}, the tag by which
// Hugging Face's apply_chat_template marks the assistant's text.
func ParseChat(source string, limits Limits) (*Template, error) { return parse(source, limits, true) }

func parse(source string, limits Limits, generation bool) (*Template, error) {
	limits = limits.withDefaults()
	if len(source) > limits.Source {
		return nil, &LimitError{What: "source bytes", Limit: int64(limits.Source)}
	}
	p := &parser{lex: newLexer(source), most: limits.Nesting, generation: generation}
	body, err := p.template()
	if err != nil {
		return nil, err
	}
	return &Template{body: body, limits: limits}, nil
}

// Options of one render.
type Options struct {
	Now func() time.Time // the clock of strftime_now; nil: time.Now
}

// Render runs the template over vars, which it does not change. The error is
// an *Error, a *LimitError or the context's.
func (t *Template) Render(ctx context.Context, vars *Dict, opts Options) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	now := opts.Now
	if now == nil {
		now = time.Now
	}
	m := newMachine(ctx, t.limits, vars, now)
	var out strings.Builder
	if err := m.run(t.body, &scope{}, &out); err != nil {
		if errors.Is(err, errBreak) || errors.Is(err, errContinue) {
			return "", failf("TemplateSyntaxError", "%s", err.Error())
		}
		return "", err
	}
	return out.String(), nil
}
