package chat

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/loopserve/loopserve/server/api"
)

const mostMessages = 4096

// conversation is a chat's messages as a template takes them.
type conversation struct {
	messages []json.RawMessage // objects whose content is a string
	last     string            // content of the last one
	asked    int               // which is the last of the user's; the last of all where he has none
}

// readMessages checks the messages and gives them the form that templates know, as vLLM and transformers do: content is
// one string, the arguments of calls are objects, a thought has both of its names, and what is null is left out. Every
// other field stays, in its place: templates print whole messages.
func readMessages(raw json.RawMessage, developer string) (conversation, error) {
	if raw[0] != '[' {
		return conversation{}, api.Bad("messages", api.CodeType, `messages is %s: it must be a list of {"role", "content"}`, api.Show(raw))
	}
	var list []json.RawMessage
	for _, item := range api.Members(raw) {
		if len(list) == mostMessages {
			return conversation{}, api.Bad("messages", "request_too_large", "messages has more than %d entries: send fewer", mostMessages)
		}
		list = append(list, item)
	}
	if len(list) == 0 {
		return conversation{}, api.Bad("messages", "empty_prompt", "messages is an empty list: give at least one message")
	}
	out := conversation{messages: list, asked: len(list) - 1}
	for i, item := range list {
		m := reading{where: fmt.Sprintf("messages[%d]", i), developer: developer, thoughts: map[string]string{}}
		var err error
		if list[i], err = m.read(item); err != nil {
			return conversation{}, err
		}
		out.last = m.content
		if m.role == "user" {
			out.asked = i
		}
	}
	return out, nil
}

// introduce puts a text before what the user asked for last.
func (c *conversation) introduce(text string) error {
	fields, err := edited(c.messages[c.asked], "messages", map[string]edit{
		"content": func(value json.RawMessage) (json.RawMessage, error) {
			var content string
			err := json.Unmarshal(value, &content)
			return quoted(text + content), err
		},
	})
	c.messages[c.asked] = object(fields)
	return err
}

// reading is one message while it is read.
type reading struct {
	where     string // as errors call it
	developer string // what templates call that role

	role, content string
	written       bool              // content is in its place
	empty         bool              // content is there, and null
	calls         bool              // there is at least one
	thoughts      map[string]string // by the name that it was given
}

// thoughtNames are what servers and clients call the text of a thought: vLLM and OpenRouter, DeepSeek, Ollama.
var thoughtNames = []string{"reasoning", "reasoning_content", "thinking"}

func (m *reading) read(raw json.RawMessage) (json.RawMessage, error) {
	edits := map[string]edit{"role": m.readRole, "content": m.readContent, "tool_calls": m.toolCalls}
	for _, name := range thoughtNames {
		edits[name] = func(value json.RawMessage) (json.RawMessage, error) { return m.thought(name, value) }
	}
	fields, err := edited(raw, m.where, edits)
	switch {
	case err != nil:
		return nil, err
	case m.role == "":
		return nil, api.Bad("messages", "missing_field", "%s.role is missing: give system, user or assistant", m.where)
	}
	if !m.written {
		// What says something else needs no content; null is how clients and tools say that there is none.
		asked := slices.Contains([]string{"system", "user", m.developer}, m.role)
		if !m.calls && len(m.thoughts) == 0 && (asked || !m.empty) {
			return nil, api.Bad("messages", "missing_field", "%s.content is missing: give a string or a list of text parts", m.where)
		}
		fields = append(fields, field("content", quoted("")))
	}
	thought := cmp.Or(m.thoughts["reasoning"], m.thoughts["reasoning_content"], m.thoughts["thinking"])
	for _, name := range thoughtNames { // templates read one of them
		if thought != "" && m.thoughts[name] == "" {
			fields = append(fields, field(name, quoted(thought)))
		}
	}
	return object(fields), nil
}

func (m *reading) readRole(value json.RawMessage) (json.RawMessage, error) {
	if json.Unmarshal(value, &m.role) != nil || m.role == "" || len(m.role) > 64 {
		return nil, api.Bad("messages", api.CodeType, "%s.role is %s: it must be a string, as system, user or assistant", m.where, api.Show(value))
	}
	if m.role == "developer" {
		m.role = m.developer
	}
	return quoted(m.role), nil
}

func (m *reading) readContent(value json.RawMessage) (_ json.RawMessage, err error) {
	if m.empty = isNull(value); m.empty {
		return nil, nil
	}
	m.written = true
	m.content, err = readContent(value, m.where)
	return quoted(m.content), err
}

func (m *reading) thought(name string, value json.RawMessage) (json.RawMessage, error) {
	var text string
	if json.Unmarshal(value, &text) != nil {
		return nil, api.Bad("messages", api.CodeType, "%s.%s is %s: it must be a string", m.where, name, api.Show(value))
	}
	if text == "" {
		return nil, nil
	}
	m.thoughts[name] = text
	return value, nil
}

// toolCalls makes objects of the arguments of calls, which OpenAI sends as JSON in a string. No calls are no field:
// templates ask whether it is there.
func (m *reading) toolCalls(raw json.RawMessage) (json.RawMessage, error) {
	var calls []json.RawMessage
	if json.Unmarshal(raw, &calls) != nil {
		return nil, api.Bad("messages", api.CodeType, "%s.tool_calls is %s: it must be a list of calls", m.where, api.Show(raw))
	}
	for i, call := range calls {
		where := fmt.Sprintf("%s.tool_calls[%d]", m.where, i)
		fields, err := edited(call, where, map[string]edit{
			"function": func(value json.RawMessage) (json.RawMessage, error) { return readFunction(value, where+".function") },
		})
		if err != nil {
			return nil, err
		}
		calls[i] = object(fields)
	}
	if m.calls = len(calls) > 0; !m.calls {
		return nil, nil
	}
	return json.Marshal(calls)
}

func readFunction(raw json.RawMessage, where string) (json.RawMessage, error) {
	if isNull(raw) {
		return nil, nil
	}
	given := false
	fields, err := edited(raw, where, map[string]edit{
		"arguments": func(value json.RawMessage) (json.RawMessage, error) {
			given = true
			return readArguments(value, where)
		},
	})
	if !given {
		fields = append(fields, field("arguments", json.RawMessage("{}")))
	}
	return object(fields), err
}

// readArguments is an object, whether it was sent as one or as its text. No text and null, which clients send of a call
// without arguments, are the empty one.
func readArguments(raw json.RawMessage, where string) (json.RawMessage, error) {
	var text string
	value := raw
	if bytes.HasPrefix(raw, []byte(`"`)) && json.Unmarshal(raw, &text) == nil {
		value = json.RawMessage(strings.TrimSpace(text))
	}
	switch {
	case len(value) == 0 || isNull(value):
		return json.RawMessage("{}"), nil
	case value[0] != '{' || !json.Valid(value):
		return nil, api.Bad("messages", api.CodeValue, "%s.arguments is %s: it must be a JSON object, or the text of one", where, api.Show(raw))
	}
	return value, nil
}

// readContent reads a string or a list of text parts, which are joined by line breaks as vLLM does.
func readContent(raw json.RawMessage, where string) (string, error) {
	parts := []json.RawMessage{raw}
	if raw[0] != '"' && (raw[0] != '[' || json.Unmarshal(raw, &parts) != nil) {
		return "", api.Bad("messages", api.CodeType, "%s.content is %s: it must be a string or a list of {\"type\": \"text\", \"text\": …}", where, api.Show(raw))
	}
	texts := make([]string, len(parts))
	for i, part := range parts {
		var err error
		if texts[i], err = readPart(part, fmt.Sprintf("%s.content[%d]", where, i)); err != nil {
			return "", err
		}
	}
	return strings.Join(texts, "\n"), nil
}

// readPart reads one of content's parts. Assistants' parts are sent back under the names of OpenAI's other route, too.
func readPart(raw json.RawMessage, where string) (text string, err error) {
	if raw[0] == '"' && json.Unmarshal(raw, &text) == nil {
		return text, nil
	}
	var p struct {
		Type          string
		Text, Refusal *string
	}
	if json.Unmarshal(raw, &p) != nil {
		return "", api.Bad("messages", api.CodeType, "%s is %s: it must be {\"type\": \"text\", \"text\": …}", where, api.Show(raw))
	}
	value, name := p.Text, "text"
	switch p.Type {
	case "text", "input_text", "output_text":
	case "refusal":
		value, name = p.Refusal, "refusal"
	default:
		return "", api.Bad("messages", "unsupported_field", "%s is of type %s: models served here read text only", where, api.Quote(p.Type))
	}
	if value == nil {
		return "", api.Bad("messages", "missing_field", "%s.%s is missing: give a string", where, name)
	}
	return *value, nil
}

// edit gives a field's value its form.
type edit func(value json.RawMessage) (json.RawMessage, error)

// edited are an object's fields in their order, with the values that edits give them; without those that are null or that
// have no value then. where is what messages call the object.
func edited(raw json.RawMessage, where string, edits map[string]edit) (fields [][]byte, err error) {
	if raw[0] != '{' {
		return nil, api.Bad("messages", api.CodeType, "%s is %s: it must be an object", where, api.Show(raw))
	}
	seen := map[string]bool{}
	for name, value := range api.Members(raw) {
		if seen[name] {
			return nil, api.Bad("messages", "duplicate_field", "%s.%s is given twice: give it once", where, name)
		}
		if len(seen) == api.MaxFields {
			return nil, api.Bad("messages", "too_many_fields", "%s has more than %d fields: send fewer", where, api.MaxFields)
		}
		seen[name] = true
		if change := edits[name]; change != nil {
			if value, err = change(value); err != nil {
				return nil, err
			}
		}
		if value != nil && !isNull(value) {
			fields = append(fields, field(name, value))
		}
	}
	return fields, nil
}

func isNull(value json.RawMessage) bool { return string(value) == "null" }

func field(name string, value json.RawMessage) []byte {
	return slices.Concat(quoted(name), []byte(":"), value)
}

func object(fields [][]byte) json.RawMessage {
	return slices.Concat([]byte("{"), bytes.Join(fields, []byte(",")), []byte("}"))
}

// quoted is text as JSON, with no character escaped that needs no escape.
func quoted(text string) json.RawMessage {
	data, _ := api.Encode(text) // a string always encodes
	return data
}
