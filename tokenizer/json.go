package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// ErrUnsupported is wrapped by every refusal to load a tokenizer.json that has
// a component which is not implemented exactly.
var ErrUnsupported = errors.New("not supported exactly")

func unsupported(format string, args ...any) error {
	return fmt.Errorf("%s: %w; use another backend or another file", fmt.Sprintf(format, args...), ErrUnsupported)
}

// maxDepth bounds the nesting of Sequence components.
const maxDepth = 16

// file is the top level of tokenizer.json. Truncation and padding are not
// read: a server never shortens or pads a prompt silently.
type file struct {
	AddedTokens   []addedToken    `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       json.RawMessage `json:"decoder"`
	Model         json.RawMessage `json:"model"`
}

// absent tells whether an optional component is missing or null.
func absent(raw json.RawMessage) bool {
	return len(raw) == 0 || bytes.Equal(bytes.TrimSpace(raw), []byte("null"))
}

// eachComponent reads the settings of each component of raw in order and calls
// visit with them. The components of a Sequence are under the key list.
func eachComponent[T any](owner, list string, raw json.RawMessage, visit func(kind string, v T) error) error {
	var walk func(raw json.RawMessage, depth int) error
	walk = func(raw json.RawMessage, depth int) error {
		var head struct {
			Type string `json:"type"`
		}
		if err := json.Unmarshal(raw, &head); err != nil {
			return fmt.Errorf("%s: %w", owner, err)
		}
		if depth > maxDepth {
			return fmt.Errorf("%s: nested deeper than %d", owner, maxDepth)
		}
		if head.Type != "Sequence" {
			var v T
			if err := json.Unmarshal(raw, &v); err != nil {
				return fmt.Errorf("%s %s: %w", owner, head.Type, err)
			}
			return visit(head.Type, v)
		}
		var keys map[string]json.RawMessage
		var nested []json.RawMessage
		err := json.Unmarshal(raw, &keys)
		if inner := keys[list]; err == nil && !absent(inner) {
			err = json.Unmarshal(inner, &nested)
		}
		if err != nil {
			return fmt.Errorf("%s Sequence: %w", owner, err)
		}
		for _, raw := range nested {
			if err := walk(raw, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	if absent(raw) {
		return nil
	}
	return walk(raw, 0)
}

// pattern is {"String": s} or {"Regex": r}.
type pattern struct {
	String *string
	Regex  *string
}

// mergeList reads both spellings of merges: "a b" and ["a", "b"].
type mergeList [][2]string

// UnmarshalJSON implements json.Unmarshaler.
func (m *mergeList) UnmarshalJSON(data []byte) error {
	var lines []string
	if err := json.Unmarshal(data, &lines); err == nil {
		rank := 0
		for _, line := range lines {
			// A header line of merges.txt; a merge never starts so.
			if strings.HasPrefix(line, "#version") {
				continue
			}
			rank++
			left, right, ok := strings.Cut(line, " ")
			if !ok || strings.Contains(right, " ") {
				return fmt.Errorf("merge %d: %q is not two tokens separated by a space", rank, line)
			}
			*m = append(*m, [2]string{left, right})
		}
		return nil
	}
	var pairs [][]string
	if err := json.Unmarshal(data, &pairs); err != nil {
		return fmt.Errorf("merges are neither a list of strings nor a list of pairs: %w", err)
	}
	for i, p := range pairs {
		if len(p) != 2 {
			return fmt.Errorf("merge %d: %d tokens, want 2", i+1, len(p))
		}
		*m = append(*m, [2]string{p[0], p[1]})
	}
	return nil
}
