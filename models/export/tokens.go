package export

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/loopserve/loopserve/models/export/safetensors"
)

// turnEnd matches special tokens that chat templates end a turn with: <|im_end|>, <|eot_id|>, <end_of_turn>, …
var turnEnd = regexp.MustCompile(`(?i)^(<\|?(im_end|eo[tm](_id)?|end(_?of)?_?(turn|utterance|message|assistant)?(_token)?|return|call)\|?>|<turn\|>)$`)

// settleTokens takes the special ids. No file is believed alone: a sequence ends on what config.json, generation_config.json or
// the tokenizer name as its end, and on the end of a turn. foreign says that the configs have the ids of another model's
// tokenizer: then only those count that are special in this one's.
func (f *base) settleTokens(c *config, foreign bool) {
	v := c.vocabulary()
	own := func(ids tokenIDs) []int32 {
		return slices.DeleteFunc(ids, func(id int32) bool { return id == -1 || foreign && !v.special[id] })
	}
	var eos, bos, pad tokenIDs
	c.take("eos_token_id", &eos)
	c.take("bos_token_id", &bos)
	c.take("pad_token_id", &pad)
	var generation struct {
		EOS tokenIDs `json:"eos_token_id"`
	}
	c.optional("generation_config.json", &generation)
	beyond := func(id int32) bool { return int(id) >= f.vocab } // no answer has it
	stop := slices.Concat(own(eos), slices.DeleteFunc(own(generation.EOS), beyond), v.find(v.EOS), v.find(v.Older.EOS), v.turnEnds())
	f.tokens.Stop = []int32{}
	for _, id := range stop {
		if !slices.Contains(f.tokens.Stop, id) {
			f.tokens.Stop = append(f.tokens.Stop, id)
		}
	}
	f.tokens.BOS, f.tokens.PAD = one(own(bos), v.find(v.BOS), v.find(v.Older.BOS)), one(own(pad), v.find(v.PAD), v.find(v.Older.PAD))
}

// one is the only id of the first list that has one, or nil.
func one(lists ...[]int32) *int32 {
	for _, ids := range lists {
		if len(ids) == 1 {
			return &ids[0]
		}
	}
	return nil
}

// vocabulary is what the tokenizer's files say, of which any may be missing.
type vocabulary struct {
	namedTokens
	Older namedTokens          `json:"-"` // special_tokens_map.json's
	Chat  any                  `json:"chat_template"`
	Added map[int32]addedToken `json:"added_tokens_decoder"`

	ids       map[string]int32 // of tokens by content
	special   map[int32]bool   // of added tokens
	templates string           // all of them
}

type namedTokens struct {
	EOS tokenContent `json:"eos_token"`
	BOS tokenContent `json:"bos_token"`
	PAD tokenContent `json:"pad_token"`
}

type addedToken struct {
	ID      int32  `json:"id"`
	Content string `json:"content"`
	Special bool   `json:"special"`
}

func (c *config) vocabulary() *vocabulary {
	v := &vocabulary{ids: map[string]int32{}, special: map[int32]bool{}}
	c.optional("tokenizer_config.json", v)
	c.optional("special_tokens_map.json", &v.Older)
	if v.Chat != nil {
		v.templates = fmt.Sprint(v.Chat)
	}
	for _, name := range companions {
		if strings.HasSuffix(name, ".jinja") {
			text, err := safetensors.ReadFile(c.dir, name, 1<<24)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				c.errs = append(c.errs, fmt.Errorf("%s: %w", name, err))
			}
			v.templates += string(text)
		}
	}
	var file struct {
		Added []addedToken `json:"added_tokens"`
		Model struct {
			Vocab json.RawMessage `json:"vocab"`
		} `json:"model"`
	}
	c.optional("tokenizer.json", &file)
	_ = json.Unmarshal(file.Model.Vocab, &v.ids) // a Unigram's is a list; its special tokens are added ones
	c.optional("added_tokens.json", &v.ids)
	for id, t := range v.Added {
		v.ids[t.Content], v.special[id] = id, t.Special
	}
	for _, t := range file.Added {
		v.ids[t.Content], v.special[t.ID] = t.ID, t.Special
	}
	return v
}

// knows says whether all of these are tokens.
func (v *vocabulary) knows(contents ...string) bool {
	return !slices.ContainsFunc(contents, func(s string) bool { _, ok := v.ids[s]; return !ok })
}

func (v *vocabulary) find(content tokenContent) []int32 {
	if id, ok := v.ids[string(content)]; ok && content != "" {
		return []int32{id}
	}
	return nil
}

// turnEnds are the tokens that end a turn in a template, or that would if there were one, sorted.
func (v *vocabulary) turnEnds() (ids []int32) {
	for content, id := range v.ids {
		if _, added := v.special[id]; added && turnEnd.MatchString(content) && (v.templates == "" || strings.Contains(v.templates, content)) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// tokenContent is a token as tokenizer_config.json has it: a string, or an object with its content.
type tokenContent string

// UnmarshalJSON reads either form; null changes nothing.
func (t *tokenContent) UnmarshalJSON(raw []byte) error {
	object := struct{ Content *string }{(*string)(t)}
	if len(raw) > 0 && raw[0] == '{' {
		return json.Unmarshal(raw, &object)
	}
	return json.Unmarshal(raw, object.Content)
}

// tokenIDs are one id or a list of them.
type tokenIDs []int32

// UnmarshalJSON reads either form; null changes nothing.
func (t *tokenIDs) UnmarshalJSON(raw []byte) error {
	list := raw
	if len(raw) > 0 && raw[0] != '[' && string(raw) != "null" {
		list = slices.Concat([]byte("["), raw, []byte("]"))
	}
	if json.Unmarshal(list, (*[]int32)(t)) != nil {
		return errors.New("must be a token id or a list of them")
	}
	return nil
}
