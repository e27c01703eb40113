package generate

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/loopserve/loopserve/server/api"
)

// Prompt is one prompt as the engine takes it.
type Prompt struct {
	IDs       []int32
	Text      string // as it was sent; empty where ids were
	MaxTokens int    // that may follow it
}

// ReadPrompts reads prompt, and makes sure that each prompt and its completion fit the model's context.
func (p *Plan) ReadPrompts(v *api.Values, lim api.Limits) ([]Prompt, error) {
	inputs, err := inputsOf(v, "prompt", lim)
	if err != nil {
		return nil, err
	}
	out := make([]Prompt, len(inputs))
	for i, in := range inputs {
		if out[i].IDs, out[i].Text, err = in.tokens(p.Model, p.AddSpecial); err != nil {
			return nil, err
		}
		if out[i].MaxTokens, err = p.fit(len(out[i].IDs), in.field, in.where); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// ChatPrompt is the prompt that a conversation's ids make.
func (p *Plan) ChatPrompt(ids []int32) (Prompt, error) {
	room, err := p.fit(len(ids), "messages", "messages")
	if err != nil {
		return Prompt{}, err
	}
	p.MaxTokens = room
	return Prompt{IDs: ids, MaxTokens: room}, nil
}

// input is one text that a model reads.
type input struct {
	raw   json.RawMessage // a string or a list of token ids
	field string
	where string // in the field, as messages call it: "prompt", "prompt[2]"
}

// inputsOf reads string | [string] | [int] | [[int]].
func inputsOf(v *api.Values, field string, lim api.Limits) ([]input, error) {
	list, err := split(v.Raw(field), field, lim)
	if err != nil {
		return nil, err
	}
	out := make([]input, len(list))
	for i, raw := range list {
		out[i] = input{raw, field, field}
		if len(list) > 1 {
			out[i].where = fmt.Sprintf("%s[%d]", field, i)
		}
	}
	return out, nil
}

// split gives one JSON value for each text.
func split(raw json.RawMessage, field string, lim api.Limits) ([]json.RawMessage, error) {
	const want = "a string, a list of strings, a list of token ids or a list of such lists"
	if raw[0] == '"' {
		return []json.RawMessage{raw}, nil
	}
	if raw[0] != '[' {
		return nil, api.Bad(field, api.CodeType, "%s is %s: it must be %s", field, api.Show(raw), want)
	}
	inner := bytes.TrimSpace(raw[1 : len(raw)-1])
	switch {
	case len(inner) == 0:
		return nil, api.Bad(field, "empty_prompt", "%[1]s is an empty list: give at least one %[1]s", field)
	case inner[0] != '"' && inner[0] != '[':
		return []json.RawMessage{raw}, nil
	}
	var list []json.RawMessage
	for item := range api.Items(raw) {
		i := len(list)
		if i == lim.Prompts {
			return nil, api.Bad(field, "request_too_large", "%[1]s has more than %[2]d %[1]ss: send several requests", field, lim.Prompts)
		}
		if list = append(list, item); item[0] != list[0][0] {
			return nil, api.Bad(field, api.CodeType, "%[1]s[%[2]d] is %[3]s and %[1]s[0] is %[4]s: all must be of one kind: %[1]s is %[5]s",
				field, i, api.Show(item), api.Show(list[0]), want)
		}
	}
	return list, nil
}

// tokens returns the text, too, where it is one.
func (in input) tokens(m *Model, addSpecial bool) (out []int32, text string, err error) {
	if in.raw[0] == '[' {
		if out, err = api.IDs(in.raw, in.field, in.where, m.Vocab); err != nil {
			return nil, "", err
		}
	} else {
		if err := json.Unmarshal(in.raw, &text); err != nil {
			return nil, "", api.Bad(in.field, api.CodeType, "%s is %s: it must be a string", in.where, api.Show(in.raw))
		}
		if out, err = m.Tokenizer.Encode(text, addSpecial); err != nil {
			return nil, "", api.Bad(in.field, "cannot_tokenize", "%s cannot be tokenized: %s: change the text, or send token ids", in.where, err.Error())
		}
	}
	if len(out) == 0 {
		return nil, "", api.Bad(in.field, "empty_prompt", "%s is empty: model %s needs at least one token to start from", in.where, m.Name)
	}
	return out, text, nil
}

// fit returns how many tokens may follow a prompt of n tokens. What was not asked for by name is cut to the room that
// there is.
func (p *Plan) fit(n int, field, where string) (int, error) {
	m := p.Model
	room := m.Context - n
	switch {
	case room < 1:
		return 0, api.Bad(field, "context_length_exceeded",
			"%s has %d tokens: model %s has a context of %d tokens for prompt and completion together: shorten the prompt to %d",
			where, n, m.Name, m.Context, m.Context-1)
	case p.MaxTokens <= room:
		return p.MaxTokens, nil
	case !p.maxGiven:
		return room, nil
	}
	return 0, api.Bad("max_tokens", "context_length_exceeded",
		"%s has %d tokens and max_tokens is %d: model %s has a context of %d tokens for both together: lower max_tokens to %d or shorten the prompt",
		where, n, p.MaxTokens, m.Name, m.Context, room)
}
