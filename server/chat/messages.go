package chat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
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

func readMessage(raw json.RawMessage, where, developer string) (message json.RawMessage, content string, err error) {
	var role string
	hasContent, hasCalls := false, false
	message, err = rewritten(raw, where, func(name string, value json.RawMessage) (_ json.RawMessage, err error) {
		switch {
		case name == "role":
			if json.Unmarshal(value, &role) != nil || role == "" || len(role) > 64 {
				return nil, api.Bad("messages", api.CodeType, "%s.role is %s: it must be a string, as system, user or assistant", where, api.Show(value))
			}
			if role == "developer" {
				return quoted(developer), nil
			}
		case string(value) == "null":
		case name == "content":
			hasContent = true
			content, err = readContent(value, where)
			return quoted(content), err
		case name == "tool_calls":
			hasCalls = true
			return argumentsAsObjects(value), nil
		}
		return value, nil
	})
	switch {
	case err != nil:
		return nil, "", err
	case role == "":
		return nil, "", api.Bad("messages", "missing_field", "%s.role is missing: give system, user or assistant", where)
	case !hasContent && !hasCalls:
		return nil, "", api.Bad("messages", "missing_field", "%s.content is missing: give a string or a list of text parts", where)
	}
	return message, content, nil
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

// rewritten is an object with the values that edit gives its fields, which keep their places. where is what messages call it.
func rewritten(raw json.RawMessage, where string, edit func(name string, value json.RawMessage) (json.RawMessage, error)) (json.RawMessage, error) {
	if raw[0] != '{' {
		return nil, api.Bad("messages", api.CodeType, "%s is %s: it must be an object", where, api.Show(raw))
	}
	var fields [][]byte
	seen := map[string]bool{}
	for name, value := range api.Members(raw) {
		if seen[name] {
			return nil, api.Bad("messages", "duplicate_field", "%s.%s is given twice: give it once", where, name)
		}
		seen[name] = true
		value, err := edit(name, value)
		if err != nil {
			return nil, err
		}
		fields = append(fields, slices.Concat(quoted(name), []byte(":"), value))
	}
	return slices.Concat([]byte("{"), bytes.Join(fields, []byte(",")), []byte("}")), nil
}

// quoted is text as JSON, with no character escaped that needs no escape.
func quoted(text string) json.RawMessage {
	data, _ := api.Encode(text) // a string always encodes
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
	out, _ := json.Marshal(calls) // raw JSON that was parsed
	return out
}

// edited is an object with one of its fields edited. Other JSON stays as it is.
func edited(raw json.RawMessage, field string, edit func(json.RawMessage) json.RawMessage) json.RawMessage {
	out, err := rewritten(raw, field, func(name string, value json.RawMessage) (json.RawMessage, error) {
		if name == field {
			value = edit(value)
		}
		return value, nil
	})
	if err != nil {
		return raw
	}
	return out
}
