package tokenizer

import (
	"encoding/json"
	"fmt"
)

// wordLevel knows whole pieces only.
type wordLevel struct {
	*vocabulary
	unk       int32
	unkToken  string
	byteLevel bool
}

func parseWordLevel(raw json.RawMessage, byteLevel bool) (model, error) {
	var v struct {
		Vocab map[string]int32 `json:"vocab"`
		Unk   string           `json:"unk_token"`
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, fmt.Errorf("model WordLevel: %w", err)
	}
	vocab, err := newVocabulary(v.Vocab)
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
		return dst, fmt.Errorf("word %q is not in the vocabulary, nor is its unk_token %q", clip(text), m.unkToken)
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
