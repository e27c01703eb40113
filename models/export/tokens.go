package export

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/loopserve/loopserve/models/export/safetensors"
)

// turnEnds are the special tokens that chat templates end a turn with.
var turnEnds = []string{
	"<|im_end|>", "<|end_turn|>", "<|eot_id|>", "<|eom_id|>", "<|eot|>", "<|end|>", "<|endofturn|>", "<|end_of_turn|>", "<end_of_turn>",
	"<turn|>", "<|END_OF_TURN_TOKEN|>", "<|end_of_role|>", "<|return|>", "<|call|>",
}

// settleTokens takes the special ids. No file is believed alone: a sequence ends on what config.json, generation_config.json or
// the tokenizer name as its end, and on the end of a turn. foreign says that the configs have the ids of another model's
// tokenizer: then only those count that are special in this one's.
func (f *base) settleTokens(c *config, foreign bool) {
	var eos, bos, pad, generationEOS tokenIDs
	c.take("eos_token_id", &eos)
	c.take("bos_token_id", &bos)
	c.take("pad_token_id", &pad)
	c.optional("generation_config.json", &struct {
		EOS *tokenIDs `json:"eos_token_id"`
	}{&generationEOS})
	w := c.words()
	known := func(id int32) bool { return slices.Contains(w.special, id) }
	if foreign {
		for _, ids := range []*tokenIDs{&eos, &bos, &pad} {
			*ids = slices.DeleteFunc(*ids, func(id int32) bool { return !known(id) })
		}
	}
	stop := append([]int32{}, eos...)
	for _, id := range generationEOS {
		if int(id) < f.vocab && (!foreign || known(id)) {
			stop = append(stop, id)
		}
	}
	stop = append(stop, w.find(string(w.EOS))...)
	for _, mark := range turnEnds {
		if w.templates == "" || strings.Contains(w.templates, mark) {
			stop = append(stop, slices.DeleteFunc(w.find(mark), func(id int32) bool { return !known(id) })...)
		}
	}
	f.tokens.Stop = stop[:0]
	for _, id := range stop {
		if !slices.Contains(f.tokens.Stop, id) {
			f.tokens.Stop = append(f.tokens.Stop, id)
		}
	}
	f.tokens.BOS, f.tokens.PAD = one(bos, w.find(string(w.BOS))), one(pad, w.find(string(w.PAD)))
}

// one is the only id of the first list that is not empty, or nil.
func one(lists ...[]int32) *int32 {
	for _, ids := range lists {
		if len(ids) == 1 {
			return &ids[0]
		}
	}
	return nil
}

// words are what the tokenizer's files say of special tokens.
type words struct {
	EOS, BOS, PAD tokenContent
	ids           map[string]int32 // of tokens by content
	special       []int32
	templates     string // all chat templates
}

func (w *words) find(content string) []int32 {
	if id, ok := w.ids[content]; ok && content != "" {
		return []int32{id}
	}
	return nil
}

// addedToken is one of a tokenizer's added tokens.
type addedToken struct {
	ID      int32  `json:"id"`
	Content string `json:"content"`
	Special bool   `json:"special"`
}

// words reads the tokenizer's files, of which any may be missing. tokenizer_config.json wins over special_tokens_map.json.
func (c *config) words() *words {
	w := &words{ids: map[string]int32{}}
	type names struct {
		EOS   tokenContent          `json:"eos_token"`
		BOS   tokenContent          `json:"bos_token"`
		PAD   tokenContent          `json:"pad_token"`
		Chat  any                   `json:"chat_template"`
		Added map[int32]*addedToken `json:"added_tokens_decoder"`
	}
	var n names
	c.optional("special_tokens_map.json", &n)
	c.optional("tokenizer_config.json", &n)
	w.EOS, w.BOS, w.PAD = n.EOS, n.BOS, n.PAD
	if n.Chat != nil {
		w.templates = fmt.Sprint(n.Chat)
	}
	for _, name := range companions {
		if strings.HasSuffix(name, ".jinja") {
			raw, err := safetensors.ReadFile(c.dir, name, 1<<24)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				c.errs = append(c.errs, fmt.Errorf("%s: %w", name, err))
			}
			w.templates += string(raw)
		}
	}
	var file struct {
		Added []*addedToken `json:"added_tokens"`
		Model struct {
			Vocab json.RawMessage `json:"vocab"`
		} `json:"model"`
	}
	if !c.optional("tokenizer.json", &file) {
		return w
	}
	_ = json.Unmarshal(file.Model.Vocab, &w.ids) // a Unigram's is a list, which has its special tokens among the added ones
	c.optional("added_tokens.json", &w.ids)
	for id, t := range n.Added {
		t.ID = id
		file.Added = append([]*addedToken{t}, file.Added...)
	}
	for _, t := range file.Added {
		w.ids[t.Content] = t.ID
		if t.Special {
			w.special = append(w.special, t.ID)
		}
	}
	return w
}

// tokenContent is a token as tokenizer_config.json has it: a string, or an object with its content.
type tokenContent string

// UnmarshalJSON reads either form; null changes nothing.
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

// tokenIDs are one id or a list of them; −1 is none.
type tokenIDs []int32

// UnmarshalJSON reads either form.
func (t *tokenIDs) UnmarshalJSON(raw []byte) error {
	var list []int32
	if one := int32(0); json.Unmarshal(raw, &one) == nil {
		list = []int32{one}
	} else if json.Unmarshal(raw, &list) != nil {
		return errors.New("must be a token id or a list of them")
	}
	*t = slices.DeleteFunc(list, func(id int32) bool { return id == -1 })
	return nil
}
