package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

const mostMessages = 4096

// conversation is a chat's messages as a template takes them.
type conversation struct {
	messages json.RawMessage // a list of objects whose content is a string
	last     string          // content of the last one
}

// readMessages checks the messages and gives them the form that templates know: content parts joined to one string, and
// the arguments of tool calls as objects. Every other field stays, in its place: templates print whole messages.
func readMessages(b body, developer string) (conversation, error) {
	if !b.has("messages") {
		return conversation{}, badField("messages", "missing_field", `messages is missing: give a list of {"role", "content"}`)
	}
	raw := b["messages"]
	var list []json.RawMessage
	if raw[0] != '[' || json.Unmarshal(raw, &list) != nil {
		return conversation{}, badField("messages", codeType, `messages is %s: it must be a list of {"role", "content"}`, show(raw))
	}
	switch {
	case len(list) == 0:
		return conversation{}, badField("messages", "empty_prompt", "messages is an empty list: give at least one message")
	case len(list) > mostMessages:
		return conversation{}, badField("messages", "request_too_large", "messages has %d entries: at most %d are allowed", len(list), mostMessages)
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
		switch f.name {
		case "role":
			if json.Unmarshal(f.value, &role) != nil || role == "" || len(role) > 64 {
				return nil, "", badField("messages", codeType, "%s.role is %s: it must be a string, as system, user or assistant", where, show(f.value))
			}
			if role == "developer" {
				fields[i].value, _ = json.Marshal(developer)
			}
		case "content":
			if string(f.value) == "null" {
				continue
			}
			if content, err = readContent(f.value, where); err != nil {
				return nil, "", err
			}
			hasContent = true
			fields[i].value = quoted(content)
		case "tool_calls":
			hasCalls = string(f.value) != "null"
			fields[i].value = argumentsAsObjects(f.value)
		}
	}
	switch {
	case role == "":
		return nil, "", badField("messages", "missing_field", "%s.role is missing: give system, user or assistant", where)
	case !hasContent && !hasCalls:
		return nil, "", badField("messages", "missing_field", "%s.content is missing: give a string or a list of text parts", where)
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
		return "", badField("messages", codeType, "%s.content is %s: it must be a string or a list of {\"type\": \"text\", \"text\": …}", where, show(raw))
	}
	texts := make([]string, len(parts))
	for i, p := range parts {
		switch {
		case p.Type != "text":
			return "", badField("messages", "unsupported_field", "%s.content[%d] is of type %s: models served here read text only", where, i, quote(p.Type))
		case p.Text == nil:
			return "", badField("messages", "missing_field", "%s.content[%d].text is missing: give a string", where, i)
		}
		texts[i] = *p.Text
	}
	return strings.Join(texts, "\n"), nil
}

// readFields reads an object of a message; where is what messages call it. Its fields keep their places.
func readFields(raw json.RawMessage, where string) ([]member, error) {
	if raw[0] != '{' {
		return nil, badField("messages", codeType, "%s is %s: it must be an object", where, show(raw))
	}
	var out []member
	seen := map[string]bool{}
	for m, err := range members(raw) {
		switch {
		case err != nil:
			return nil, notJSON("%s", err.Error())
		case seen[m.name]:
			return nil, badField("messages", "duplicate_field", "%s.%s is given twice: give it once", where, m.name)
		}
		seen[m.name] = true
		out = append(out, m)
	}
	return out, nil
}

func join(fields []member) json.RawMessage {
	var out bytes.Buffer
	out.WriteByte('{')
	for i, f := range fields {
		if i > 0 {
			out.WriteByte(',')
		}
		out.Write(quoted(f.name))
		out.WriteByte(':')
		out.Write(f.value)
	}
	out.WriteByte('}')
	return out.Bytes()
}

// quoted is text as JSON, with no character escaped that needs no escape.
func quoted(text string) json.RawMessage {
	data, err := encode(text)
	if err != nil { // a string always encodes
		return json.RawMessage(`""`)
	}
	return data
}

// argumentsAsObjects turns the arguments of calls, which OpenAI sends as JSON in a string, into the objects that
// templates expect. What is no such JSON stays as it is: the template will say.
func argumentsAsObjects(raw json.RawMessage) json.RawMessage {
	var calls []json.RawMessage
	if json.Unmarshal(raw, &calls) != nil {
		return raw
	}
	for i, call := range calls {
		fields, err := readFields(call, "tool_calls")
		if err != nil {
			return raw
		}
		for j, f := range fields {
			if f.name != "function" {
				continue
			}
			function, err := readFields(f.value, "function")
			if err != nil {
				return raw
			}
			for k, a := range function {
				var text string
				if a.name == "arguments" && json.Unmarshal(a.value, &text) == nil && json.Valid([]byte(text)) {
					function[k].value = json.RawMessage(text)
				}
			}
			fields[j].value = join(function)
		}
		calls[i] = join(fields)
	}
	out, err := json.Marshal(calls)
	if err != nil {
		return raw
	}
	return out
}
