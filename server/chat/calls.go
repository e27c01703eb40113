package chat

import (
	"crypto/rand"
	"encoding/json"
	"slices"
	"strings"
	"unicode"

	"github.com/loopserve/loopserve/server/generate"
)

// written is a call as far as a model has written it.
type written struct {
	name      string
	arguments string // JSON, so far
	rest      string // what stands behind it
	whole     bool   // nothing of it is to come
}

// read reads the call that text begins with; it fails where none does whose arguments have begun. What it says of a longer
// text only adds to the arguments. Nothing follows the last text.
func (c *callPatterns) read(text string, last bool) (w written, ok bool) {
	at := c.head.FindStringSubmatchIndex(text)
	if at == nil {
		return w, false
	}
	w.name, w.rest = text[at[2]:at[3]], text[at[1]:]
	switch {
	case c.mark == "" && !c.knows(w.name):
		return w, false
	case !c.Arguments.JSON():
		c.list(&w, last)
		return w, true
	}
	c.object(&w, last)
	return w, strings.HasPrefix(w.arguments, "{")
}

// object reads arguments that are one object, and what ends the call.
func (c *callPatterns) object(w *written, last bool) {
	n, done := extent(w.rest)
	w.arguments, w.rest = w.rest[:n], w.rest[n:]
	if !done {
		return
	}
	at := c.tail.FindStringIndex(w.rest)
	switch {
	case at != nil:
		w.rest = w.rest[at[1]:]
	case last:
		w.rest = ""
	case len(w.rest) < 2*len(c.Close)+64: // the end may still come
		return
	}
	w.whole = true
}

// list reads arguments that are written one by one, and what ends the call.
func (c *callPatterns) list(w *written, last bool) {
	before, after := "{", "{}"
	for at := c.key.FindStringSubmatchIndex(w.rest); at != nil; at = c.key.FindStringSubmatchIndex(w.rest) {
		key := w.rest[at[2]:at[3]]
		value, rest, done := readValue(w.rest[at[1]:], c.Arguments, c.kinds(w.name, key), last)
		w.arguments += before + string(quoted(key)) + ": " + value
		if !done {
			return
		}
		w.rest, before, after = rest, ", ", "}"
	}
	if at := c.tail.FindStringIndex(w.rest); at != nil {
		w.rest, w.whole = w.rest[at[1]:], true
	} else if last {
		w.rest, w.whole = "", true
	}
	if w.whole {
		w.arguments += after
	}
}

// call reads a call. It reports whether it came to its end.
func (p *parser) call(out *generate.Part, last bool) bool {
	w, ok := p.form.calls.read(p.held, last)
	if !ok {
		return p.otherCall(out, last)
	}
	p.tell(out, w.name, w.arguments)
	if w.whole {
		p.finish()
		p.held, p.state = w.rest, following
	}
	return w.whole
}

// otherCall reads what does not begin as a call of the syntax: it may be one in another order of fields, which is known at
// its end; else it is text.
func (p *parser) otherCall(out *generate.Part, last bool) bool {
	c := p.form.calls
	body, after, closed := p.held, "", false
	if c.closing != "" {
		body, after, closed = strings.Cut(p.held, c.closing)
	}
	if !closed && !last {
		return false
	}
	calls := readCalls(strings.TrimPrefix(strings.TrimSpace(body), c.mark))
	if c.mark == "" && slices.ContainsFunc(calls, func(f generate.Function) bool { return !c.knows(f.Name) }) {
		calls = nil
	}
	for _, f := range calls {
		p.tell(out, f.Name, f.Arguments)
		p.finish()
	}
	if p.fresh = len(calls) > 0; !p.fresh { // no call after all
		out.Content += p.space + p.held[:len(p.held)-len(after)]
		p.said = true
	}
	p.held, p.state = after, speaking
	return closed
}

// tell passes on what is new of a call.
func (p *parser) tell(out *generate.Part, name, arguments string) {
	index := p.count
	if p.form.single && index > 0 {
		return
	}
	call := generate.ToolCall{Index: &index, Function: generate.Function{Arguments: arguments[p.told:]}}
	switch {
	case !p.named:
		call.ID, call.Type, call.Function.Name = "call_"+rand.Text()[:24], "function", name
	case call.Function.Arguments == "":
		return
	}
	out.Calls = append(out.Calls, call)
	p.named, p.told = true, len(arguments)
}

// finish is the end of a call.
func (p *parser) finish() {
	p.count++
	p.named, p.told = false, 0
}

// follow finds out whether another call follows.
func (p *parser) follow(last bool) bool {
	c := p.form.calls
	p.held = strings.TrimLeft(strings.TrimPrefix(strings.TrimLeft(p.held, blank), c.outer), blank)
	if p.held == "" {
		return false
	}
	next, end := strings.TrimSpace(c.Between), strings.TrimSpace(c.End)
	another := next
	if next == "" && c.Begin != "" {
		another = leadingTag.FindString(c.Open)
	}
	switch {
	case another != "" && strings.HasPrefix(p.held, another):
		p.held = strings.TrimPrefix(p.held, next)
		p.state = calling
		return true
	case end != "" && strings.HasPrefix(p.held, end):
		p.held = p.held[len(end):]
	case !last && slices.ContainsFunc([]string{another, end, c.outer}, func(mark string) bool { return strings.HasPrefix(mark, p.held) }):
		return false
	}
	p.state, p.fresh = speaking, true
	return true
}

// readCalls reads objects {"name", "arguments"} of calls, or a list of them, in JSON; none where it is anything else. Llama
// says parameters.
func readCalls(text string) (out []generate.Function) {
	var list []struct {
		Name                  string
		Arguments, Parameters json.RawMessage
	}
	if !strings.HasPrefix(text, "[") {
		text = "[" + text + "]"
	}
	if json.Unmarshal([]byte(text), &list) != nil {
		return nil
	}
	for _, c := range list {
		arguments, err := readArguments(slices.Concat(c.Arguments, c.Parameters), "")
		if err != nil || c.Name == "" {
			return nil
		}
		out = append(out, generate.Function{Name: c.Name, Arguments: string(arguments)})
	}
	return out
}

// trailing is the white space at a text's end.
func trailing(text string) string { return text[len(strings.TrimRightFunc(text, unicode.IsSpace)):] }
