package tokenizer

import (
	"bytes"
	"fmt"

	sugar "github.com/sugarme/tokenizer"
	"github.com/sugarme/tokenizer/pretrained"
)

// sugarme is the backend over github.com/sugarme/tokenizer. It is there to
// compare with: its ids often differ from Hugging Face's, and it panics on
// many files, which become errors here.
type sugarme struct {
	t       *sugar.Tokenizer
	special map[string]bool
	config  Config
}

func parseSugarme(tokenizerJSON []byte, config Config) (_ Tokenizer, err error) {
	defer rescue("load tokenizer.json", &err)
	inner, err := pretrained.FromReader(bytes.NewReader(tokenizerJSON))
	if err != nil {
		return nil, fmt.Errorf("backend sugarme: %w", err)
	}
	t := &sugarme{t: inner, special: map[string]bool{}, config: config}
	for _, token := range inner.GetSpecialTokens() {
		t.special[token] = true
	}
	return t, nil
}

// rescue turns a panic of the library into an error.
func rescue(what string, err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("backend sugarme: %s: %v; use the backend %q", what, p, Native)
	}
}

func (s *sugarme) Encode(text string, addSpecial bool) (ids []int32, err error) {
	defer rescue("encode", &err)
	encoding, err := s.t.EncodeSingle(text, addSpecial)
	if err != nil {
		return nil, fmt.Errorf("backend sugarme: encode: %w", err)
	}
	for _, id := range encoding.GetIds() {
		ids = append(ids, int32(id))
	}
	return ids, nil
}

func (s *sugarme) Decode(ids []int32, skipSpecial bool) (text string, err error) {
	defer rescue("decode", &err)
	list := make([]int, len(ids))
	for i, id := range ids {
		list[i] = int(id)
	}
	return s.t.Decode(list, skipSpecial), nil
}

func (s *sugarme) NewDecoder(skipSpecial bool) Decoder {
	return &sugarmeDecoder{t: s, skip: skipSpecial}
}

func (s *sugarme) IDToToken(id int32) (string, bool) { return s.t.IdToToken(int(id)) }

func (s *sugarme) TokenBytes(id int32) []byte {
	text, err := s.Decode([]int32{id}, false)
	if err != nil {
		return nil
	}
	return []byte(text)
}

func (s *sugarme) VocabSize() int { return s.t.GetVocabSize(true) }

func (s *sugarme) IsSpecial(id int32) bool {
	token, ok := s.IDToToken(id)
	return ok && s.special[token]
}

func (s *sugarme) Config() Config { return s.config }

// sugarmeDecoder has no stream of its own to stand on: it keeps the ids and
// tells the whole text at the end, which alone can be trusted not to change.
type sugarmeDecoder struct {
	t    *sugarme
	skip bool
	ids  []int32 // the context's, too
	said int     // bytes of the context's text
}

func (d *sugarmeDecoder) Prime(context []int32) {
	d.ids = append(d.ids, context...)
	text, _ := d.t.Decode(d.ids, d.skip)
	d.said = len(text)
}

func (d *sugarmeDecoder) Push(id int32) string {
	d.ids = append(d.ids, id)
	return ""
}

func (d *sugarmeDecoder) Flush() string {
	text, err := d.t.Decode(d.ids, d.skip)
	said := min(d.said, len(text))
	d.ids, d.said = d.ids[:0], 0
	if err != nil {
		return ""
	}
	return string(bytes.ToValidUTF8([]byte(text[said:]), []byte(replacement)))
}
