package tokenizer

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Config is what tokenizer_config.json says beside the tokenizer itself.
type Config struct {
	// BOS, EOS, PAD and UNK are the special tokens as text, "" where none is
	// named.
	BOS, EOS, PAD, UNK string
	// AddBOS and AddEOS say whether special tokens stand around a text; nil
	// leaves that to the post-processor.
	AddBOS, AddEOS *bool
	// ChatTemplate is the default chat template, "" where there is none.
	ChatTemplate string
	// ChatTemplates are the named ones ("default", "tool_use", …).
	ChatTemplates map[string]string
	// Special is every special token that the file names.
	Special []string

	class string       // tokenizer_class, without "Fast"
	added []addedToken // of added_tokens_decoder, by their ids
}

// parseConfig reads a tokenizer_config.json and, where it has no
// added_tokens_decoder, two older files: special_tokens_map.json, which wins,
// and added_tokens.json. Any of them may be empty.
func parseConfig(config, specialMap, addedTokens []byte) (Config, error) {
	var c Config
	var f struct {
		BOS        specialToken         `json:"bos_token"`
		EOS        specialToken         `json:"eos_token"`
		PAD        specialToken         `json:"pad_token"`
		UNK        specialToken         `json:"unk_token"`
		SEP        specialToken         `json:"sep_token"`
		CLS        specialToken         `json:"cls_token"`
		MASK       specialToken         `json:"mask_token"`
		AddBOS     *bool                `json:"add_bos_token"`
		AddEOS     *bool                `json:"add_eos_token"`
		Template   chatTemplates        `json:"chat_template"`
		Added      map[int32]addedToken `json:"added_tokens_decoder"`
		Additional specialTokens        `json:"additional_special_tokens"`
		Extra      specialTokens        `json:"extra_special_tokens"` // the newer name
		Class      string               `json:"tokenizer_class"`
	}
	err := unmarshal("tokenizer_config.json", config, &f)
	ids := map[string]int32{}
	if err == nil && f.Added == nil {
		err = errors.Join(unmarshal("special_tokens_map.json", specialMap, &f), unmarshal("added_tokens.json", addedTokens, &ids))
	}
	if err != nil {
		return c, err
	}
	c.BOS, c.EOS, c.PAD, c.UNK = string(f.BOS), string(f.EOS), string(f.PAD), string(f.UNK)
	c.AddBOS, c.AddEOS = f.AddBOS, f.AddEOS
	c.ChatTemplates, c.ChatTemplate = f.Template, f.Template["default"]
	c.class = strings.TrimSuffix(f.Class, "Fast")
	for _, tok := range slices.Concat([]specialToken{f.BOS, f.EOS, f.UNK, f.SEP, f.PAD, f.CLS, f.MASK}, f.Additional, f.Extra) {
		if tok != "" && !slices.Contains(c.Special, string(tok)) {
			c.Special = append(c.Special, string(tok))
		}
	}
	for id, tok := range f.Added {
		tok.ID = id
		c.added = append(c.added, tok)
	}
	for content, id := range ids {
		special := slices.Contains(c.Special, content)
		c.added = append(c.added, addedToken{ID: id, Content: content, Special: special, Normalized: !special})
	}
	slices.SortFunc(c.added, func(a, b addedToken) int { return cmp.Compare(a.ID, b.ID) })
	return c, nil
}

// unmarshal reads a file that may be empty.
func unmarshal(name string, data []byte, v any) error {
	if len(data) == 0 {
		return nil
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// merge adds the tokens that the configuration declares to those of
// tokenizer.json, as transformers does when it loads both: a token declared
// otherwise is declared anew, and special tokens that are no added tokens yet
// become such.
func (c Config) merge(tokens []addedToken) []addedToken {
	tokens = slices.Clone(tokens)
	known := map[string]int{}
	for i, tok := range tokens {
		known[tok.Content] = i
	}
	for _, tok := range c.added {
		if i, ok := known[tok.Content]; ok {
			tok.ID = tokens[i].ID
			tokens[i] = tok
			continue
		}
		known[tok.Content] = len(tokens)
		tokens = append(tokens, tok)
	}
	for _, content := range c.Special {
		if _, ok := known[content]; !ok {
			known[content] = len(tokens)
			tokens = append(tokens, addedToken{Content: content, Special: true})
		}
	}
	return tokens
}

// specialToken reads "<s>" and {"content": "<s>", …}.
type specialToken string

// UnmarshalJSON implements json.Unmarshaler.
func (s *specialToken) UnmarshalJSON(data []byte) error {
	var text *string
	if json.Unmarshal(data, &text) == nil {
		if text != nil {
			*s = specialToken(*text)
		}
		return nil
	}
	var tok struct {
		Content string `json:"content"`
	}
	if err := json.Unmarshal(data, &tok); err != nil {
		return fmt.Errorf("special token %s is neither a string nor an object with content", clip(data))
	}
	*s = specialToken(tok.Content)
	return nil
}

// specialTokens reads a list of tokens, or an object that gives each a name.
type specialTokens []specialToken

// UnmarshalJSON implements json.Unmarshaler.
func (s *specialTokens) UnmarshalJSON(data []byte) error {
	var named map[string]specialToken
	if json.Unmarshal(data, &named) == nil {
		for _, name := range slices.Sorted(maps.Keys(named)) {
			*s = append(*s, named[name])
		}
		return nil
	}
	return json.Unmarshal(data, (*[]specialToken)(s))
}

// chatTemplates reads one template, or named ones in a list or an object.
type chatTemplates map[string]string

// UnmarshalJSON implements json.Unmarshaler.
func (t *chatTemplates) UnmarshalJSON(data []byte) error {
	var one *string
	if json.Unmarshal(data, &one) == nil {
		if one != nil {
			*t = chatTemplates{"default": *one}
		}
		return nil
	}
	var list []struct {
		Name     string `json:"name"`
		Template string `json:"template"`
	}
	if named := (*map[string]string)(t); json.Unmarshal(data, named) == nil {
		return nil
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return fmt.Errorf("chat_template is neither a string nor a list of {name, template}: %w", err)
	}
	*t = chatTemplates{}
	for _, entry := range list {
		(*t)[entry.Name] = entry.Template
	}
	return nil
}
