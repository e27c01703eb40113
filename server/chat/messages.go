package chat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/loopserve/loopserve/server/api"
)

const mostMessages = 4096

// conversation is a chat's messages as a template takes them.
type conversation struct {
	messages json.RawMessage // a list of objects whose content is a string
	last     string          // content of the last one
}

// readMessages checks the messages and gives them the form that templates know: content parts joined to one string, and
// the arguments of tool calls as objects. Every other field stays, in its place: templates print whole messages.
func readMessages(raw json.RawMessage, developer string) (conversation, error) {
	var list []json.RawMessage
	if raw[0] != '[' || json.Unmarshal(raw, &list) != nil {
		return conversation{}, api.Bad("messages", api.CodeType, `messages is %s: it must be a list of {"role", "content"}`, api.Show(raw))
	}
	switch {
	case len(list) == 0:
		return conversation{}, api.Bad("messages", "empty_prompt", "messages is an empty list: give at least one message")
	case len(list) > mostMessages:
		return conversation{}, api.Bad("messages", "request_too_large", "messages has %d entries: at most %d are allowed", len(list), mostMessages)
	}
	var out conversation
	for i, item := range list {
		var err error
		if list[i], out.last, err = readMessage(item, fmt.Sprintf("messages[%d]", i), developer); err != nil {
			return conversation{}, err
		}
	}
	var err error
	out.messages, err = json.Marshal(list)
	return out, err
}

func readMessage(raw json.RawMessage, where, developer string) (json.RawMessage, string, error) {
	fields, err := readFields(raw, where)
	if err != nil {
		return nil, "", err
	}
	var role, content string
	hasContent, hasCalls := false, false
	for i, f := range fields {
		switch f.Name {
		case "role":
			if json.Unmarshal(f.Value, &role) != nil || role == "" || len(role) > 64 {
				return nil, "", api.Bad("messages", api.CodeType, "%s.role is %s: it must be a string, as system, user or assistant", where, api.Show(f.Value))
			}
			if role == "developer" {
				fields[i].Value, _ = json.Marshal(developer)
			}
		case "content":
			if string(f.Value) == "null" {
				continue
			}
			if content, err = readContent(f.Value, where); err != nil {
				return nil, "", err
			}
			hasContent = true
			fields[i].Value = quoted(content)
		case "tool_calls":
			hasCalls = string(f.Value) != "null"
			fields[i].Value = argumentsAsObjects(f.Value)
		}
	}
	switch {
	case role == "":
		return nil, "", api.Bad("messages", "missing_field", "%s.role is missing: give system, user or assistant", where)
	case !hasContent && !hasCalls:
		return nil, "", api.Bad("messages", "missing_field", "%s.content is missing: give a string or a list of text parts", where)
	}
	return join(fields), content, nil
}

// readContent reads a string or a list of text parts, which are joined by line breaks as vLLM does.
func readContent(raw json.RawMessage, where string) (string, error) {
	var text string
	if raw[0] == '"' && json.Unmarshal(raw, &text) == nil {
		return text, nil
	}
	var parts []struct {
		Type string  `json:"type"`
		Text *string `json:"text"`
	}
	if raw[0] != '[' || json.Unmarshal(raw, &parts) != nil {
		return "", api.Bad("messages", api.CodeType, "%s.content is %s: it must be a string or a list of {\"type\": \"text\", \"text\": …}", where, api.Show(raw))
	}
	texts := make([]string, len(parts))
	for i, p := range parts {
		switch {
		case p.Type != "text":
			return "", api.Bad("messages", "unsupported_field", "%s.content[%d] is of type %s: models served here read text only", where, i, api.Quote(p.Type))
		case p.Text == nil:
			return "", api.Bad("messages", "missing_field", "%s.content[%d].text is missing: give a string", where, i)
		}
		texts[i] = *p.Text
	}
	return strings.Join(texts, "\n"), nil
}

// readFields reads an object of a message; where is what messages call it. Its fields keep their places.
func readFields(raw json.RawMessage, where string) ([]api.Member, error) {
	if raw[0] != '{' {
		return nil, api.Bad("messages", api.CodeType, "%s is %s: it must be an object", where, api.Show(raw))
	}
	var out []api.Member
	seen := map[string]bool{}
	for m, err := range api.Members(raw) {
		switch {
		case err != nil:
			return nil, api.NotJSON("%s", err.Error())
		case seen[m.Name]:
			return nil, api.Bad("messages", "duplicate_field", "%s.%s is given twice: give it once", where, m.Name)
		}
		seen[m.Name] = true
		out = append(out, m)
	}
	return out, nil
}

func join(fields []api.Member) json.RawMessage {
	var out bytes.Buffer
	out.WriteByte('{')
	for i, f := range fields {
		if i > 0 {
			out.WriteByte(',')
		}
		out.Write(quoted(f.Name))
		out.WriteByte(':')
		out.Write(f.Value)
	}
	out.WriteByte('}')
	return out.Bytes()
}

// quoted is text as JSON, with no character escaped that needs no escape.
func quoted(text string) json.RawMessage {
	data, err := api.Encode(text)
	if err != nil { // a string always encodes
		return json.RawMessage(`""`)
	}
	return data
}

// argumentsAsObjects turns the arguments of calls, which OpenAI sends as JSON in a string, into the objects that
// templates expect. What is not such JSON stays as it is: the template will say.
func argumentsAsObjects(raw json.RawMessage) json.RawMessage {
	var calls []json.RawMessage
	if json.Unmarshal(raw, &calls) != nil {
		return raw
	}
	for i, call := range calls {
		calls[i] = edited(call, "function", func(function json.RawMessage) json.RawMessage {
			return edited(function, "arguments", func(arguments json.RawMessage) json.RawMessage {
				var text string
				if json.Unmarshal(arguments, &text) == nil && json.Valid([]byte(text)) {
					return json.RawMessage(text)
				}
				return arguments
			})
		})
	}
	out, err := json.Marshal(calls)
	if err != nil {
		return raw
	}
	return out
}

// edited is an object with one of its fields edited. Other JSON stays as it is.
func edited(raw json.RawMessage, field string, edit func(json.RawMessage) json.RawMessage) json.RawMessage {
	fields, err := readFields(raw, field)
	if err != nil {
		return raw
	}
	for i, f := range fields {
		if f.Name == field {
			fields[i].Value = edit(f.Value)
		}
	}
	return join(fields)
}
