package generate

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"

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
	return p.readTexts(v, "prompt", lim, p.fit)
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

// readTexts reads string | [string] | [int] | [[int]]. room is how many tokens may follow one of n; where is how messages
// call it: "prompt", "prompt[2]".
func (p *Plan) readTexts(v *api.Values, field string, lim api.Limits, room func(n int, field, where string) (int, error)) ([]Prompt, error) {
	list, err := split(v.Raw(field), field, lim)
	if err != nil {
		return nil, err
	}
	out := make([]Prompt, len(list))
	for i, raw := range list {
		where := field
		if len(list) > 1 {
			where = fmt.Sprintf("%s[%d]", field, i)
		}
		if out[i].IDs, out[i].Text, err = p.tokens(raw, field, where); err != nil {
			return nil, err
		}
		if out[i].MaxTokens, err = room(len(out[i].IDs), field, where); err != nil {
			return nil, err
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
	var list []json.RawMessage
	for item := range api.Items(raw) {
		i := len(list)
		if i == 0 && item[0] != '"' && item[0] != '[' {
			return []json.RawMessage{raw}, nil
		}
		if i == lim.Prompts {
			return nil, api.Bad(field, "request_too_large", "%[1]s has more than %[2]d %[1]ss: send several requests", field, lim.Prompts)
		}
		if list = append(list, item); item[0] != list[0][0] {
			return nil, api.Bad(field, api.CodeType, "%[1]s[%[2]d] is %[3]s and %[1]s[0] is %[4]s: all must be of one kind: %[1]s is %[5]s",
				field, i, api.Show(item), api.Show(list[0]), want)
		}
	}
	if len(list) == 0 {
		return nil, api.Bad(field, "empty_prompt", "%[1]s is an empty list: give at least one %[1]s", field)
	}
	return list, nil
}

// tokens reads a string or a list of token ids. It returns the text, too, where it is one.
func (p *Plan) tokens(raw json.RawMessage, field, where string) (ids []int32, text string, err error) {
	m := p.Model
	if raw[0] == '[' {
		if ids, err = api.IDs(raw, field, where, m.Vocab); err != nil {
			return nil, "", err
		}
	} else {
		if err := json.Unmarshal(raw, &text); err != nil {
			return nil, "", api.Bad(field, api.CodeType, "%s is %s: it must be a string", where, api.Show(raw))
		}
		if err = m.CheckLength(text, field, where); err != nil {
			return nil, "", err
		}
		if ids, err = m.Tokenizer.Encode(text, p.AddSpecial); err != nil {
			return nil, "", api.Bad(field, "cannot_tokenize", "%s cannot be tokenized: %s: change the text, or send token ids", where, err.Error())
		}
		p.Heed(ids, text, where)
	}
	if len(ids) == 0 {
		return nil, "", api.Bad(field, "empty_prompt", "%s is empty: model %s needs at least one token to start from", where, m.Name)
	}
	return ids, text, nil
}

// CheckLength refuses a text that is far over the context by its beginning, which costs what the model could take and not what was sent: by
// 16 bytes for each token of the context, or four times as many, until all are as cheap. Where the beginning has twice as many
// tokens as the context, no end makes them few enough.
func (m *Model) CheckLength(text, field, where string) error {
	for n := max(16*m.Context, 4096); n <= len(text)/2; n *= 4 {
		cut := n
		for cut > 0 && !utf8.RuneStart(text[cut]) {
			cut--
		}
		ids, err := m.Tokenizer.Encode(text[:cut], false)
		if err != nil { // which the whole text has, too
			return nil //nolint:nilerr // it is the encoding of the whole text that tells
		}
		if len(ids) > 2*m.Context {
			return api.Bad(field, "context_length_exceeded", "%s has more than %d tokens: model %s has a context of %d tokens for prompt and completion together: shorten the prompt",
				where, 2*m.Context, m.Name, m.Context)
		}
	}
	return nil
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
