package chat

import (
	"crypto/rand"
	"encoding/json"
	"slices"
	"strings"
	"unicode"

	"github.com/loopserve/loopserve/runtime/constrain"
	"github.com/loopserve/loopserve/server/generate"
)

// callReader is where a parser stands in an answer's calls. A call is told as soon as its name is read and its arguments
// begin; from then on they are passed on while they come.
type callReader struct {
	*callPatterns

	stage callStage
	count int            // calls so far
	nth   bool           // this is not the first of a list
	tool  constrain.Tool // that is called
	muted bool           // and that is not to be told
	keys  int            // arguments so far
	value *valueReader   // the argument that is being read
	json  objectReader   // the arguments, where they are one object
}

type callStage uint8

const (
	opening   callStage = iota // before the name
	arguing                    // inside the arguments
	closing                    // behind them
	following                  // behind the call
)

// call reads on in a call. It reports whether it came further.
func (p *parser) call(out *generate.Part, last bool) bool {
	switch p.calls.stage {
	case opening:
		return p.open(out, last)
	case arguing:
		if p.calls.Arguments.JSON() {
			return p.object(out)
		}
		return p.argument(out, last)
	case closing:
		return p.close(out, last)
	}
	return p.follow(last)
}

// open reads up to the arguments. What does not begin as a call of the syntax may be one in another order of fields, which
// is known at its end; else it is text.
func (p *parser) open(out *generate.Part, last bool) bool {
	c := p.calls
	head := c.first
	if c.nth {
		head = c.later
	}
	if at := head.whole.FindStringSubmatchIndex(p.held); at != nil {
		tool, known := c.callPatterns.tool(p.held[at[2]:at[3]])
		begun := !c.Arguments.JSON() || strings.HasPrefix(p.held[at[1]:], "{")
		if begun && (known || c.mark != "") {
			p.announce(out, tool)
			p.held, c.stage = p.held[at[1]:], arguing
			return true
		}
	}
	body, after, closed := p.held, "", false
	if c.mark != "" && c.closing != "" {
		body, after, closed = strings.Cut(p.held, c.closing)
	}
	if !closed && !last && (c.mark != "" || p.held == "" || head.undone.MatchString(p.held)) {
		return false
	}
	calls := readCalls(strings.TrimPrefix(strings.TrimSpace(body), c.mark))
	if c.mark == "" && slices.ContainsFunc(calls, func(f generate.Function) bool { _, known := c.callPatterns.tool(f.Name); return !known }) {
		calls = nil
	}
	for _, f := range calls {
		p.announce(out, constrain.Tool{Name: f.Name})
		p.tell(out, f.Arguments)
	}
	if p.fresh = len(calls) > 0; !p.fresh { // no call after all
		out.Content += p.space + p.held[:len(p.held)-len(after)]
		p.said = true
	}
	p.held, p.state = after, speaking
	return closed
}

// announce tells of a call.
func (p *parser) announce(out *generate.Part, tool constrain.Tool) {
	c := p.calls
	c.tool, c.keys, c.json, c.value = tool, 0, objectReader{}, nil
	if c.muted = p.form.single && c.count > 0; c.muted {
		return
	}
	index := c.count
	c.count++
	out.Calls = append(out.Calls, generate.ToolCall{
		Index: &index, ID: "call_" + rand.Text()[:24], Type: "function", Function: generate.Function{Name: tool.Name},
	})
}

// tell passes on some of the arguments.
func (p *parser) tell(out *generate.Part, arguments string) {
	if p.calls.muted || arguments == "" {
		return
	}
	index := p.calls.count - 1
	if n := len(out.Calls); n == 0 || *out.Calls[n-1].Index != index {
		out.Calls = append(out.Calls, generate.ToolCall{Index: &index})
	}
	out.Calls[len(out.Calls)-1].Function.Arguments += arguments
}

// object passes on arguments that are one object.
func (p *parser) object(out *generate.Part) bool {
	n, done := p.calls.json.read(p.held)
	p.tell(out, p.held[:n])
	p.held = p.held[n:]
	if done {
		p.calls.stage = closing
	}
	return done
}

// argument reads one argument, or the end of them.
func (p *parser) argument(out *generate.Part, last bool) bool {
	c := p.calls
	if c.value != nil {
		text, rest, done := c.value.read(p.held, last)
		p.tell(out, text)
		if p.held = rest; done {
			c.value = nil
		}
		return done
	}
	if at := c.key.FindStringSubmatchIndex(p.held); at != nil {
		p.tell(out, []string{"{", ", "}[min(c.keys, 1)]+string(quoted(p.held[at[2]:at[3]]))+": ")
		c.keys++
		c.value = newValue(c.Arguments, typesOf(c.tool.Parameters, p.held[at[2]:at[3]]))
		p.held = p.held[at[1]:]
		return true
	}
	at := c.tail.FindStringIndex(p.held)
	if at == nil && !last {
		return false
	}
	p.tell(out, []string{"{}", "}"}[min(c.keys, 1)])
	if at == nil {
		p.held = ""
		return false
	}
	p.held, c.stage = p.held[at[1]:], following
	return true
}

// close reads what stands behind an object of arguments.
func (p *parser) close(out *generate.Part, last bool) bool {
	c := p.calls
	at := c.tail.FindStringIndex(p.held)
	switch {
	case at != nil:
		p.held = p.held[at[1]:]
	case last:
		p.held = ""
		return false
	case len(p.held) < 2*len(c.Close)+64:
		return false
	}
	c.stage = following
	return true
}

// follow finds out whether another call follows.
func (p *parser) follow(last bool) bool {
	c := p.calls
	p.held = strings.TrimLeft(p.held, blank)
	outer := c.outer()
	p.held = strings.TrimLeft(strings.TrimPrefix(p.held, outer), blank)
	if p.held == "" {
		return false
	}
	next := strings.TrimSpace(c.Between)
	another := next
	if next == "" && c.Begin != "" {
		another = leadingTag.FindString(c.Open)
	}
	end := strings.TrimSpace(c.End)
	switch {
	case another != "" && strings.HasPrefix(p.held, another):
		p.held = strings.TrimPrefix(p.held, next)
		c.stage, c.nth = opening, true
		return true
	case end != "" && strings.HasPrefix(p.held, end):
		p.held = p.held[len(end):]
	case !last && (strings.HasPrefix(another, p.held) || strings.HasPrefix(end, p.held) || strings.HasPrefix(outer, p.held)):
		return false
	}
	p.state, p.fresh = speaking, true
	return true
}

// objectReader finds the end of a JSON object.
type objectReader struct {
	depth           int
	inside, escaped bool // of a string
}

// read returns how many bytes of the text belong to the object, and whether it ends there.
func (o *objectReader) read(text string) (n int, done bool) {
	for i := range len(text) {
		switch b := text[i]; {
		case o.escaped:
			o.escaped = false
		case o.inside:
			o.escaped, o.inside = b == '\\', b != '"'
		case b == '"':
			o.inside = true
		case b == '{' || b == '[':
			o.depth++
		case b == '}' || b == ']':
			if o.depth--; o.depth == 0 {
				return i + 1, true
			}
		}
	}
	return len(text), false
}

// readCalls reads objects of calls, or a list of them, in JSON; none where it is anything else.
func readCalls(text string) (out []generate.Function) {
	var list []json.RawMessage
	if json.Unmarshal([]byte(text), &list) != nil {
		list = []json.RawMessage{json.RawMessage(text)}
	}
	for _, item := range list {
		f, ok := readCall(item)
		if !ok {
			return nil
		}
		out = append(out, f)
	}
	return out
}

// readCall reads {"name", "arguments"}, or Llama's {"name", "parameters"}.
func readCall(text []byte) (out generate.Function, ok bool) {
	var c struct {
		Name       string          `json:"name"`
		Arguments  json.RawMessage `json:"arguments"`
		Parameters json.RawMessage `json:"parameters"`
	}
	if json.Unmarshal(text, &c) != nil || c.Name == "" {
		return out, false
	}
	if c.Arguments == nil {
		c.Arguments = c.Parameters
	}
	if c.Arguments == nil {
		c.Arguments = json.RawMessage("null")
	}
	arguments, err := readArguments(c.Arguments, "")
	return generate.Function{Name: c.Name, Arguments: string(arguments)}, err == nil
}

// trailing is the white space at a text's end.
func trailing(text string) string { return text[len(strings.TrimRightFunc(text, unicode.IsSpace)):] }
