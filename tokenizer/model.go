package tokenizer

import (
	"encoding/json"
	"fmt"
)

// vocabModel turns one piece of pre-tokenized text into ids.
type vocabModel interface {
	// append adds the ids of the piece; text is never empty.
	append(dst []int32, s *scratch, text []byte) ([]int32, error)
	// id and token are the vocabulary as the file spells it.
	id(token string) (int32, bool)
	token(id int32) (string, bool)
	// size is the number of tokens.
	size() int
}

func parseModel(raw json.RawMessage, byteLevel bool) (vocabModel, error) {
	if absent(raw) {
		return nil, fmt.Errorf("model is missing")
	}
	var head struct {
		Type   string          `json:"type"`
		Merges json.RawMessage `json:"merges"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	if head.Type == "" && len(head.Merges) > 0 { // of before models had a type: only BPE has merges
		head.Type = "BPE"
	}
	switch head.Type {
	case "BPE":
		return parseBPE(raw, byteLevel)
	case "Unigram":
		return parseUnigram(raw, byteLevel)
	case "WordLevel":
		return parseWordLevel(raw, byteLevel)
	}
	return nil, unsupported("model %q", head.Type)
}

// vocabulary is the two-way map of a model.
type vocabulary struct {
	ids    map[string]int32
	tokens []string         // by id
	sparse map[int32]string // the same of ids far beyond the others, and of the token ""
}

// maxID bounds ids: they index arrays, and no vocabulary comes near.
const maxID = 1 << 24

func newVocabulary(ids map[string]int32, size int) *vocabulary {
	return &vocabulary{ids: ids, tokens: make([]string, size), sparse: map[int32]string{}}
}

// readVocabulary is a vocabulary whose tokens are numbered freely.
func readVocabulary(ids map[string]int32) (*vocabulary, error) {
	v := newVocabulary(ids, len(ids))
	for token, id := range ids {
		if id < 0 || id >= maxID {
			return nil, fmt.Errorf("vocab: id %d of %q is not in 0 … %d", id, token, maxID-1)
		}
		v.put(token, id)
	}
	return v, nil
}

// put gives an id of v.ids its token.
func (v *vocabulary) put(token string, id int32) {
	if int(id) < len(v.tokens) && token != "" {
		v.tokens[id] = token
	} else {
		v.sparse[id] = token
	}
}

func (v *vocabulary) id(token string) (int32, bool) {
	id, ok := v.ids[token]
	return id, ok
}

func (v *vocabulary) token(id int32) (string, bool) {
	if id >= 0 && int(id) < len(v.tokens) && v.tokens[id] != "" {
		return v.tokens[id], true
	}
	token, ok := v.sparse[id]
	return token, ok
}

func (v *vocabulary) size() int { return len(v.ids) }

// byteFallback is the ids of <0x00> … <0xFF>, -1 where a token is missing.
func byteFallback(id func(string) (int32, bool)) (table [256]int32) {
	for b := range table {
		table[b] = -1
		if i, ok := id(fmt.Sprintf("<0x%02X>", b)); ok {
			table[b] = i
		}
	}
	return table
}

// appendFallback appends the ids of the bytes of b if all are there.
func appendFallback(dst []int32, table *[256]int32, b []byte) ([]int32, bool) {
	n := len(dst)
	for _, c := range b {
		if table[c] < 0 {
			return dst[:n], false
		}
		dst = append(dst, table[c])
	}
	return dst, true
}

// wordLevel knows whole pieces only.
type wordLevel struct {
	*vocabulary
	unk       int32
	unkToken  string
	byteLevel bool
}

func parseWordLevel(raw json.RawMessage, byteLevel bool) (vocabModel, error) {
	var v struct {
		Vocab map[string]int32 `json:"vocab"`
		Unk   string           `json:"unk_token"`
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, fmt.Errorf("model WordLevel: %w", err)
	}
	vocab, err := readVocabulary(v.Vocab)
	if err != nil {
		return nil, fmt.Errorf("model WordLevel: %w", err)
	}
	m := &wordLevel{vocabulary: vocab, unk: -1, unkToken: v.Unk, byteLevel: byteLevel}
	if id, ok := vocab.id(v.Unk); ok {
		m.unk = id
	}
	return m, nil
}

func (m *wordLevel) append(dst []int32, s *scratch, text []byte) ([]int32, error) {
	if m.byteLevel {
		s.spare = appendAlphabet(s.spare[:0], text)
		text = s.spare
	}
	if id, ok := m.ids[string(text)]; ok {
		return append(dst, id), nil
	}
	if m.unk < 0 {
		return dst, fmt.Errorf("word %q is not in the vocabulary, and neither is unk_token %q", clip(text), m.unkToken)
	}
	return append(dst, m.unk), nil
}

// clip shortens text for a message.
func clip(text []byte) string {
	if len(text) > 40 {
		return string(text[:40]) + "…"
	}
	return string(text)
}
