package chat

import (
	"strings"

	"github.com/loopserve/loopserve/server/generate"
)

// The marks that templates of reasoning models and of models with tools teach.
const (
	thinkOpen, thinkClose = "<think>", "</think>"
	callOpen              = "<tool_call>"
)

const blank = " \t\r\n"

// answerForm says how a chat's answer is taken apart. The zero value leaves it whole.
type answerForm struct {
	thinks bool          // reasoning is told apart
	opened bool          // the prompt ends inside it
	hidden bool          // reasoning is not shown
	calls  *callPatterns // nil: its text is text
	single bool          // calls after the first are dropped
}

// parser takes an answer's text apart while it comes. It holds back what may be part of a mark, and white space that
// is dropped if a mark follows. Text that only looks like a call stays text.
type parser struct {
	form  answerForm
	state parserState
	fresh bool // nothing but white space since the last mark: white space is dropped
	said  bool // some content was shown
	held  string
	space string // white space before the last mark

	count int  // calls that are read
	named bool // of the call that is being read the name is told
	told  int  // and so many bytes of its arguments
}

type parserState uint8

const (
	beginning parserState = iota
	thinking
	speaking
	calling
	following // behind a call
)

func newParser(f answerForm) *parser {
	p := &parser{form: f, state: speaking}
	switch {
	case f.opened:
		p.state, p.fresh = thinking, true
	case f.thinks:
		p.state = beginning
	}
	return p
}

// Push takes text, of which nothing comes after the last.
func (p *parser) Push(text string, last bool) generate.Part {
	p.held += text
	out := generate.Part{Thinks: p.state == thinking}
	for p.step(&out, last) {
	}
	out.Thinks = out.Thinks || p.state == thinking
	if p.form.hidden {
		out.Reasoning = ""
	}
	return out
}

// step goes up to the next mark. It reports whether there was one.
func (p *parser) step(out *generate.Part, last bool) bool {
	if p.fresh {
		if p.held = strings.TrimLeft(p.held, blank); p.held == "" {
			return false
		}
	}
	switch p.state {
	case beginning:
		return p.begin(last)
	case thinking:
		text, mark := p.until(last, thinkClose)
		out.Reasoning += text
		if mark != "" {
			p.state = speaking
		}
		return mark != ""
	case speaking:
		return p.speak(out, last)
	case following:
		return p.follow(last)
	}
	return p.call(out, last)
}

func (p *parser) begin(last bool) bool {
	text := strings.TrimLeft(p.held, blank)
	switch {
	case strings.HasPrefix(text, thinkOpen):
		p.held, p.state, p.fresh = text[len(thinkOpen):], thinking, true
	case !last && strings.HasPrefix(thinkOpen, text):
		return false
	default:
		p.state = speaking
	}
	return true
}

// until returns what may be shown of the text before the first of some marks, which is empty where none is there.
func (p *parser) until(last bool, marks ...string) (shown, mark string) {
	at, held := len(p.held), 0
	for _, m := range marks {
		if i := strings.Index(p.held, m); i >= 0 && i < at {
			at, mark = i, m
		}
		held = max(held, generate.Partial(p.held, m))
	}
	if mark != "" {
		before := p.held[:at]
		text := strings.TrimRight(before, blank)
		p.held, p.space, p.fresh = p.held[at+len(mark):], before[len(text):], true
		return text, mark
	}
	text := p.held
	if !last {
		text = strings.TrimRight(text[:len(text)-held], blank)
	}
	p.held = p.held[len(text):]
	p.fresh = p.fresh && text == ""
	return text, ""
}

func (p *parser) speak(out *generate.Part, last bool) bool {
	calls := p.form.calls
	if calls != nil && calls.mark != "" {
		text, mark := p.until(last, calls.marks...)
		out.Content += text
		if mark != "" {
			p.held = mark + p.held
			p.state, p.fresh = calling, false
		}
		return mark != ""
	}
	if calls != nil && !p.said {
		text := strings.TrimLeft(p.held, blank)
		if text == "" && !last {
			return false
		}
		if calls.mayBegin(text) {
			p.space, p.held = p.held[:len(p.held)-len(text)], text
			p.state, p.fresh = calling, false
			return true
		}
	}
	out.Content += p.held
	p.said = p.said || p.held != ""
	p.held, p.fresh = "", false
	return false
}
