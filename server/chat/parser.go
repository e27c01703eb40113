package chat

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"slices"
	"strings"

	"github.com/loopserve/loopserve/server/generate"
)

// The marks that templates of reasoning models and of models with tools teach.
const (
	thinkOpen, thinkClose = "<think>", "</think>"
	callOpen, callClose   = "<tool_call>", "</tool_call>"
)

const blank = " \t\r\n"

// callForm is how a model writes calls of tools.
type callForm uint8

const (
	noCalls     callForm = iota // its text is text
	taggedCalls                 // each between callOpen and callClose (Hermes, Qwen, Nanbeige)
	bareCalls                   // the whole answer is one call (Llama)
)

// answerForm says how a chat's answer is taken apart. The zero value leaves it whole.
type answerForm struct {
	thinks bool // reasoning is told apart
	opened bool // the prompt ends inside it
	hidden bool // reasoning is not shown
	calls  callForm
	tools  []string // names that a bare call may have
	single bool     // calls after the first are dropped
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
	calls int    // so far
}

type parserState uint8

const (
	beginning parserState = iota
	thinking
	speaking
	calling
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
		text, found := p.until(thinkClose, last)
		out.Reasoning += text
		if found {
			p.state = speaking
		}
		return found
	case speaking:
		return p.speak(out, last)
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

// until returns what may be shown of the text before a mark, and whether the mark is there.
func (p *parser) until(mark string, last bool) (string, bool) {
	if before, after, found := strings.Cut(p.held, mark); found {
		text := strings.TrimRight(before, blank)
		p.held, p.space, p.fresh = after, before[len(text):], true
		return text, true
	}
	text := p.held
	if !last {
		text = strings.TrimRight(text[:len(text)-generate.Partial(text, mark)], blank)
	}
	p.held = p.held[len(text):]
	p.fresh = p.fresh && text == ""
	return text, false
}

func (p *parser) speak(out *generate.Part, last bool) bool {
	if p.form.calls == taggedCalls {
		text, found := p.until(callOpen, last)
		out.Content += text
		if found {
			p.state, p.fresh = calling, false
		}
		return found
	}
	if p.form.calls == bareCalls && !p.said {
		if text := strings.TrimLeft(p.held, blank); !last && (text == "" || text[0] == '{') {
			return false // it may become a call
		}
		if c, ok := readCall(p.held, p.form.tools); ok {
			p.add(out, c)
			return false
		}
	}
	out.Content += p.held
	p.said = p.said || p.held != ""
	p.held, p.fresh = "", false
	return false
}

func (p *parser) call(out *generate.Part, last bool) bool {
	body, after, found := strings.Cut(p.held, callClose)
	if !found && !last {
		return false
	}
	if c, ok := readCall(body, nil); ok {
		p.add(out, c)
		p.fresh = true
	} else { // no call after all
		out.Content += p.space + callOpen + p.held[:len(p.held)-len(after)]
		p.fresh = false
	}
	p.held, p.state = after, speaking
	return found
}

func (p *parser) add(out *generate.Part, c generate.Function) {
	p.held = ""
	if p.form.single && p.calls > 0 {
		return
	}
	index := p.calls
	p.calls++
	out.Calls = append(out.Calls, generate.ToolCall{Index: &index, ID: "call_" + rand.Text()[:24], Type: "function", Function: c})
}

// readCall reads {"name", "arguments"}, or Llama's {"name", "parameters"}; the name must be among names, if there are any.
func readCall(text string, names []string) (generate.Function, bool) {
	var c struct {
		Name       string          `json:"name"`
		Arguments  json.RawMessage `json:"arguments"`
		Parameters json.RawMessage `json:"parameters"`
	}
	if json.Unmarshal([]byte(text), &c) != nil || c.Name == "" || len(names) > 0 && !slices.Contains(names, c.Name) {
		return generate.Function{}, false
	}
	raw := bytes.TrimSpace(c.Arguments)
	if raw == nil {
		raw = bytes.TrimSpace(c.Parameters)
	}
	out := generate.Function{Name: c.Name, Arguments: string(raw)}
	switch {
	case len(raw) == 0 || string(raw) == "null":
		out.Arguments = "{}"
	case raw[0] == '"': // an object, written as a string
		if json.Unmarshal(raw, &out.Arguments) != nil {
			return generate.Function{}, false
		}
	case raw[0] != '{':
		return generate.Function{}, false
	}
	return out, true
}
