package server

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// prompt is one prompt as the engine takes it.
type prompt struct {
	ids       []int32
	text      string // as it was sent; empty where ids were
	maxTokens int
}

// readPrompts reads string | [string] | [int] | [[int]] and makes sure that each prompt and its completion fit the
// model's context.
func readPrompts(b body, m *Model, p *params, lim Limits) ([]prompt, error) {
	if !b.has("prompt") {
		return nil, badField("prompt", "missing_field", "prompt is missing: give a string, or a list of strings or token ids")
	}
	raw := b["prompt"]
	lists, err := split(raw, lim)
	if err != nil {
		return nil, err
	}
	out := make([]prompt, len(lists))
	for i, item := range lists {
		where := "prompt"
		if len(lists) > 1 {
			where = fmt.Sprintf("prompt[%d]", i)
		}
		if out[i].ids, out[i].text, err = readPrompt(item, where, m, p.AddSpecial); err != nil {
			return nil, err
		}
		if out[i].maxTokens, err = fit(len(out[i].ids), where, m, p); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// split gives one JSON value for each prompt.
func split(raw json.RawMessage, lim Limits) ([]json.RawMessage, error) {
	const want = "a string, a list of strings, a list of token ids or a list of such lists"
	if raw[0] == '"' {
		return []json.RawMessage{raw}, nil
	}
	if raw[0] != '[' {
		return nil, badField("prompt", codeType, "prompt is %s: it must be %s", show(raw), want)
	}
	inner := bytes.TrimSpace(raw[1 : len(raw)-1])
	switch {
	case len(inner) == 0:
		return nil, badField("prompt", "empty_prompt", "prompt is an empty list: give at least one prompt")
	case inner[0] != '"' && inner[0] != '[':
		return []json.RawMessage{raw}, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if _, err := d.Token(); err != nil {
		return nil, notJSON("%s", err.Error())
	}
	var list []json.RawMessage
	for d.More() {
		i := len(list)
		if i == lim.Prompts {
			return nil, badField("prompt", "request_too_large", "prompt has more than %d prompts: send several requests", lim.Prompts)
		}
		var item json.RawMessage
		if err := d.Decode(&item); err != nil {
			return nil, notJSON("%s", err.Error())
		}
		if list = append(list, item); item[0] != list[0][0] {
			return nil, badField("prompt", codeType, "prompt[%d] is %s and prompt[0] is %s: all must be of one kind: prompt is %s",
				i, show(item), show(list[0]), want)
		}
	}
	return list, nil
}

func encodePrompt(raw json.RawMessage, where string, m *Model, addSpecial bool) ([]int32, error) {
	out, _, err := readPrompt(raw, where, m, addSpecial)
	return out, err
}

// readPrompt returns the text, too, where it is one.
func readPrompt(raw json.RawMessage, where string, m *Model, addSpecial bool) (out []int32, text string, err error) {
	if raw[0] == '[' {
		if out, err = ids(raw, "prompt", where, m.Vocab); err != nil {
			return nil, "", err
		}
	} else {
		if err := json.Unmarshal(raw, &text); err != nil {
			return nil, "", badField("prompt", codeType, "%s is %s: it must be a string", where, show(raw))
		}
		if out, err = m.Tokenizer.Encode(text, addSpecial); err != nil {
			return nil, "", badField("prompt", "cannot_tokenize", "%s cannot be tokenized: %s: change the text, or send token ids", where, err.Error())
		}
	}
	if len(out) == 0 {
		return nil, "", badField("prompt", "empty_prompt", "%s is empty: model %s needs at least one token to start from", where, m.Name)
	}
	return out, text, nil
}

// fit returns how many tokens may follow a prompt of n tokens. What was not asked for by name is cut to the room that
// there is.
func fit(n int, where string, m *Model, p *params) (int, error) {
	room := m.Context - n
	switch {
	case room < 1:
		return 0, badField("prompt", "context_length_exceeded",
			"%s has %d tokens: model %s has a context of %d tokens for prompt and completion together: shorten the prompt to %d",
			where, n, m.Name, m.Context, m.Context-1)
	case p.MaxTokens <= room:
		return p.MaxTokens, nil
	case !p.maxGiven:
		return room, nil
	}
	return 0, badField("max_tokens", "context_length_exceeded",
		"%s has %d tokens and max_tokens is %d: model %s has a context of %d tokens for both together: lower max_tokens to %d or shorten the prompt",
		where, n, p.MaxTokens, m.Name, m.Context, room)
}
