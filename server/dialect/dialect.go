// Package dialect speaks OpenAI's Responses and Anthropic's Messages. A request of either becomes the body of a chat, and the
// deltas of the chat's answer become its events and its whole answer. It generates nothing, and knows no HTTP.
package dialect

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"github.com/loopserve/loopserve/server/api"
	"github.com/loopserve/loopserve/server/generate"
)

// Request is one of a dialect.
type Request interface {
	// Chat is the body of the chat that it is.
	Chat() api.Body
	// Rename says an error of the chat in the client's own words.
	Rename(err error) error
	// Answer makes the dialect's answer of the chat's deltas.
	Answer(g *generate.Sequences) Answer
}

// request is a request as the chat that it is.
type request struct {
	talk

	body  api.Body
	names [][2]string // fields of chats, and what the client calls them
}

// fields are a JSON object while it is written.
type fields = map[string]any

// newRequest leaves the fields out that a chat would not know, or take for something else.
func newRequest(b api.Body, without ...string) request {
	c := request{body: maps.Clone(b), talk: talk{messages: []*message{}}}
	maps.DeleteFunc(c.body, func(name string, _ json.RawMessage) bool { return slices.Contains(without, name) })
	return c
}

// set gives the chat a field, which is left out where it is null.
func (r *request) set(name string, value any) {
	if data, _ := api.Encode(value); string(data) != "null" { // texts, numbers and JSON that was parsed
		r.body[name] = data
	}
}

func (r *request) Chat() api.Body {
	for _, m := range r.messages {
		m.Reasoning = string(m.thought)
	}
	r.set("messages", r.messages)
	return r.body
}

// chatMessage is how chats' errors call a message, or one of its calls.
var chatMessage = regexp.MustCompile(`messages\[(\d+)\](?:\.tool_calls\[(\d+)\]\.function)?`)

func (r *request) Rename(err error) error {
	found, ok := errors.AsType[*api.Error](err)
	if !ok {
		return err
	}
	e := *found
	e.Message = chatMessage.ReplaceAllStringFunc(e.Message, func(at string) string {
		m := chatMessage.FindStringSubmatch(at)
		i, _ := strconv.Atoi(m[1])
		if i >= len(r.messages) {
			return at
		}
		message := r.messages[i]
		if j, err := strconv.Atoi(m[2]); err == nil && j < len(message.calls) {
			return message.calls[j]
		}
		return message.where
	})
	for _, n := range r.names {
		name := regexp.MustCompile(`\b` + regexp.QuoteMeta(n[0]) + `\b`)
		e.Param, e.Message = name.ReplaceAllString(e.Param, n[1]), name.ReplaceAllString(e.Message, n[1])
	}
	return &e
}

// talk are a chat's messages while they are put together.
type talk struct{ messages []*message }

type message struct {
	Role      string              `json:"role"`
	Content   json.RawMessage     `json:"content,omitempty"`
	Reasoning string              `json:"reasoning,omitempty"`
	ToolCalls []generate.ToolCall `json:"tool_calls,omitempty"`
	CallID    string              `json:"tool_call_id,omitempty"`

	thought []byte   // Reasoning while it is put together
	where   string   // as the client calls it
	calls   []string // the same of each call
}

func (t *talk) add(m *message) *message {
	t.messages = append(t.messages, m)
	return m
}

// assistant is the assistant's message that is under way. What comes before calls and what is said begins a new one where
// they are there already.
func (t *talk) assistant(where string, before bool) *message {
	if n := len(t.messages); n > 0 && t.messages[n-1].Role == "assistant" {
		if m := t.messages[n-1]; !before || m.Content == nil && m.ToolCalls == nil {
			return m
		}
	}
	return t.add(&message{Role: "assistant", where: where})
}

func (t *talk) call(where string, id, name, arguments string) {
	m := t.assistant(where, false)
	m.ToolCalls = append(m.ToolCalls, generate.ToolCall{ID: id, Type: "function", Function: generate.Function{Name: name, Arguments: arguments}})
	m.calls = append(m.calls, where)
}

// tools makes the tools of chats of a list of objects. kinds are the types that stand for a function.
func tools(raw json.RawMessage, parameters string, kinds ...string) (list []fields, err error) {
	if raw == nil {
		return nil, nil
	}
	if raw[0] != '[' {
		return nil, api.Bad("tools", api.CodeType, "tools is %s: it must be a list of functions", api.Show(raw))
	}
	for item := range api.Items(raw) {
		where := fmt.Sprintf("tools[%d]", len(list))
		if item[0] != '{' {
			return nil, api.Bad("tools", api.CodeType, "%s is %s: it must be an object", where, api.Show(item))
		}
		tool, err := api.Parse(item)
		if err != nil {
			return nil, err
		}
		if kind, err := tool.Text("type"); err != nil || !slices.Contains(kinds, kind) {
			return nil, api.Bad("tools", "unsupported_field", "%s.type is %s: the server runs no tools itself: use tools of type %s, which the client runs",
				where, cmp.Or(string(tool["type"]), "missing"), kinds[0])
		}
		function := fields{}
		for name, own := range map[string]string{"name": "name", "description": "description", "parameters": parameters, "strict": "strict"} {
			if tool.Has(own) {
				function[name] = tool[own]
			}
		}
		list = append(list, fields{"type": "function", "function": function})
	}
	return list, nil
}

// Event is one of a stream.
type Event struct {
	Type string
	Data any
}

// Answer is what a dialect makes of a chat's deltas. A whole answer is made of the same ones.
type Answer interface {
	// Begin are the events before the first delta.
	Begin() []Event
	// Add are those of a delta.
	Add(d *generate.Delta) []Event
	// End are those behind the last delta.
	End() []Event
	// Fail are the last events of an answer that failed.
	Fail(e *api.Error) []Event
	// Whole is the answer when the last delta has been added.
	Whole() any
}

// The kinds of parts.
const (
	thought = iota
	words
	call
)

// part is a stretch of an answer that is one thing.
type part struct {
	kind, index int
	id          string
	text        string // of a call: its arguments
	call        generate.ToolCall
	cut         bool // the answer ended inside it
}

// writer makes events of parts.
type writer interface {
	begin(p *part) []Event
	more(p *part, piece string) []Event
	end(p *part) []Event
}

// parts takes an answer apart while it comes: a part ends where the next one begins.
type parts struct {
	list   []*part
	open   bool
	finish string // of the answer
	reason any
	shown  generate.Shown
}

func (s *parts) add(d *generate.Delta, g *generate.Sequences, w writer) (out []Event) {
	s.shown.Add(d, g.Plan)
	out = append(s.piece(thought, nil, d.Reasoning, w), s.piece(words, nil, d.Text, w)...)
	for i := range d.Calls {
		out = append(out, s.piece(call, &d.Calls[i], d.Calls[i].Function.Arguments, w)...)
	}
	if d.Finish == "" {
		return out
	}
	s.finish, s.reason = d.Finish, d.Reason
	if len(s.list) == 0 { // an answer has something in it
		out = append(out, s.begin(words, nil, w)...)
	}
	s.list[len(s.list)-1].cut = d.Finish == "length"
	return append(out, s.end(w)...)
}

// piece adds to the part that is open, or begins one. A call's first piece has its name.
func (s *parts) piece(kind int, c *generate.ToolCall, text string, w writer) (out []Event) {
	named := c != nil && c.Function.Name != ""
	if text == "" && !named {
		return nil
	}
	if named || !s.open || s.list[len(s.list)-1].kind != kind {
		out = s.begin(kind, c, w)
	}
	p := s.list[len(s.list)-1]
	if p.text += text; text != "" {
		out = append(out, w.more(p, text)...)
	}
	return out
}

func (s *parts) begin(kind int, c *generate.ToolCall, w writer) []Event {
	out := s.end(w)
	p := &part{kind: kind, index: len(s.list)}
	if c != nil {
		p.call = *c
	}
	s.list, s.open = append(s.list, p), true
	return append(out, w.begin(p)...)
}

func (s *parts) end(w writer) []Event {
	if !s.open {
		return nil
	}
	s.open = false
	return w.end(s.list[len(s.list)-1])
}

// show adds what is ours to a whole answer.
func (s *parts) show(f fields, g *generate.Sequences) fields {
	f["timings"] = g.Timings()
	s.shown.PromptTokenIDs = g.ShownPrompt()
	data, _ := api.Encode(s.shown) // numbers and texts
	more, _ := api.Parse(data)
	for name, value := range more {
		f[name] = value
	}
	return f
}
