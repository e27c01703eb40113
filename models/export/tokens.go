package export

import (
	"encoding/json"
	"slices"

	"github.com/loopserve/loopserve/models/bundle"
)

// tokens takes the special ids that the config names.
func (c *config) tokens() bundle.Tokens {
	t := bundle.Tokens{Stop: c.ids("eos_token_id")}
	if bos := c.ids("bos_token_id"); len(bos) == 1 {
		t.BOS = &bos[0]
	}
	if pad := c.ids("pad_token_id"); len(pad) == 1 {
		t.PAD = &pad[0]
	}
	return t
}

// tokenizerTokens takes the special ids from the tokenizer's files instead: some families' configs carry the ids of
// another model. also are contents of tokens that end a turn too. Without a tokenizer it gives no ids.
func (c *config) tokenizerTokens(also ...string) bundle.Tokens {
	c.ignore("eos_token_id", "bos_token_id", "pad_token_id")
	var special struct {
		EOS tokenContent `json:"eos_token"`
		BOS tokenContent `json:"bos_token"`
		PAD tokenContent `json:"pad_token"`
	}
	var vocabulary struct {
		Added []struct {
			ID      int32  `json:"id"`
			Content string `json:"content"`
		} `json:"added_tokens"`
	}
	t := bundle.Tokens{Stop: []int32{}}
	if !c.optional("tokenizer_config.json", &special) || !c.optional("tokenizer.json", &vocabulary) {
		return t
	}
	for _, a := range vocabulary.Added {
		if a.Content == string(special.EOS) || slices.Contains(also, a.Content) {
			t.Stop = append(t.Stop, a.ID)
		}
		if a.Content == string(special.BOS) {
			t.BOS = &a.ID
		}
		if a.Content == string(special.PAD) {
			t.PAD = &a.ID
		}
	}
	return t
}

// tokenContent is a token as tokenizer_config.json has it: a string, or an object with its content.
type tokenContent string

// UnmarshalJSON reads either form.
func (t *tokenContent) UnmarshalJSON(raw []byte) error {
	var object struct {
		Content string `json:"content"`
	}
	if len(raw) > 0 && raw[0] == '{' {
		err := json.Unmarshal(raw, &object)
		*t = tokenContent(object.Content)
		return err
	}
	return json.Unmarshal(raw, (*string)(t))
}

// ids takes a token id that may be absent, one, or a list.
func (c *config) ids(key string) []int32 {
	var one int32
	var many []int32
	raw := c.keys[key]
	delete(c.keys, key)
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	if json.Unmarshal(raw, &one) == nil {
		return []int32{one}
	}
	if err := json.Unmarshal(raw, &many); err != nil {
		c.fail("%s is %s, must be a token id or a list of them", key, raw)
	}
	return many
}
