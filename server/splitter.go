package server

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"slices"
	"strings"

	"github.com/loopserve/loopserve/tokenizer"
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

// toolCall is OpenAI's. Index is of streams.
type toolCall struct {
	Index    *int         `json:"index,omitempty"`
	ID       string       `json:"id"`
	Type     string       `json:"type"`
	Function calledByName `json:"function"`
}

type calledByName struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"` // JSON, as the model wrote it
}

// parts is what a stretch of an answer's text is made of.
type parts struct {
	content, reasoning string
	calls              []toolCall
}

// splitter takes an answer's text apart while it comes. It holds back what may be part of a mark, and white space that
// is dropped if a mark follows. Text that only looks like a call stays text.
type splitter struct {
	form  answerForm
	state splitState
	fresh bool // nothing but white space since the last mark: white space is dropped
	said  bool // some content was shown
	held  string
	space string // white space before the last mark
	calls int    // so far
}

type splitState uint8

const (
	beginning splitState = iota
	thinking
	speaking
	calling
)

func newSplitter(f answerForm) *splitter {
	s := &splitter{form: f, state: speaking}
	switch {
	case f.opened:
		s.state, s.fresh = thinking, true
	case f.thinks:
		s.state = beginning
	}
	return s
}

// push takes text, of which nothing comes after the last.
func (s *splitter) push(text string, last bool) parts {
	s.held += text
	var out parts
	for s.step(&out, last) {
	}
	if s.form.hidden {
		out.reasoning = ""
	}
	return out
}

// step goes up to the next mark. It reports whether there was one.
func (s *splitter) step(out *parts, last bool) bool {
	if s.fresh {
		if s.held = strings.TrimLeft(s.held, blank); s.held == "" {
			return false
		}
	}
	switch s.state {
	case beginning:
		return s.begin(last)
	case thinking:
		text, found := s.until(thinkClose, last)
		out.reasoning += text
		if found {
			s.state = speaking
		}
		return found
	case speaking:
		return s.speak(out, last)
	}
	return s.call(out, last)
}

func (s *splitter) begin(last bool) bool {
	text := strings.TrimLeft(s.held, blank)
	switch {
	case strings.HasPrefix(text, thinkOpen):
		s.held, s.state, s.fresh = text[len(thinkOpen):], thinking, true
	case !last && strings.HasPrefix(thinkOpen, text):
		return false
	default:
		s.state = speaking
	}
	return true
}

// until returns what may be shown of the text before a mark, and whether the mark is there.
func (s *splitter) until(mark string, last bool) (string, bool) {
	if before, after, found := strings.Cut(s.held, mark); found {
		text := strings.TrimRight(before, blank)
		s.held, s.space, s.fresh = after, before[len(text):], true
		return text, true
	}
	text := s.held
	if !last {
		text = strings.TrimRight(text[:len(text)-tokenizer.Partial(text, mark)], blank)
	}
	s.held = s.held[len(text):]
	s.fresh = s.fresh && text == ""
	return text, false
}

func (s *splitter) speak(out *parts, last bool) bool {
	switch {
	case s.form.calls == taggedCalls:
		text, found := s.until(callOpen, last)
		out.content += text
		if found {
			s.state, s.fresh = calling, false
		}
		return found
	case s.form.calls == bareCalls && !s.said && strings.HasPrefix(strings.TrimLeft(s.held, blank), "{"):
		if !last {
			return false
		}
		if c, ok := readCall(s.held, s.form.tools); ok {
			s.add(out, c)
			return false
		}
	case s.form.calls == bareCalls && !s.said && !last && strings.TrimLeft(s.held, blank) == "":
		return false
	}
	out.content += s.held
	s.said = s.said || s.held != ""
	s.held, s.fresh = "", false
	return false
}

func (s *splitter) call(out *parts, last bool) bool {
	body, after, found := strings.Cut(s.held, callClose)
	if !found && !last {
		return false
	}
	if c, ok := readCall(body, nil); ok {
		s.add(out, c)
		s.fresh = true
	} else { // no call after all
		out.content += s.space + callOpen + s.held[:len(s.held)-len(after)]
		s.fresh = false
	}
	s.held, s.state = after, speaking
	return found
}

func (s *splitter) add(out *parts, c calledByName) {
	s.held = ""
	if s.form.single && s.calls > 0 {
		return
	}
	index := s.calls
	s.calls++
	out.calls = append(out.calls, toolCall{Index: &index, ID: "call_" + rand.Text()[:24], Type: "function", Function: c})
}

// readCall reads {"name", "arguments"}, or Llama's {"name", "parameters"}; the name must be among names, if there are any.
func readCall(text string, names []string) (calledByName, bool) {
	var c struct {
		Name       string          `json:"name"`
		Arguments  json.RawMessage `json:"arguments"`
		Parameters json.RawMessage `json:"parameters"`
	}
	if json.Unmarshal([]byte(text), &c) != nil || c.Name == "" || len(names) > 0 && !slices.Contains(names, c.Name) {
		return calledByName{}, false
	}
	raw := bytes.TrimSpace(c.Arguments)
	if raw == nil {
		raw = bytes.TrimSpace(c.Parameters)
	}
	out := calledByName{Name: c.Name, Arguments: string(raw)}
	switch {
	case len(raw) == 0 || string(raw) == "null":
		out.Arguments = "{}"
	case raw[0] == '"': // an object, written as a string
		if json.Unmarshal(raw, &out.Arguments) != nil {
			return calledByName{}, false
		}
	case raw[0] != '{':
		return calledByName{}, false
	}
	return out, true
}
