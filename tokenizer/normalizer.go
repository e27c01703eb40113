package tokenizer

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/loopserve/loopserve/tokenizer/internal/ucd"
)

// normStep is one normalizer: it appends the normal form of src to dst. head
// tells, in and out, whether the first character comes from the start of the
// caller's text.
type normStep interface {
	apply(dst, src []byte, head *bool) ([]byte, error)
}

// normChain is the normalizers in order.
type normChain []normStep

// run leaves the normal form of src in s.text; src is not one of s's buffers,
// or is s.text itself.
func (c normChain) run(s *scratch, src []byte) error {
	if len(c) == 0 {
		s.text = append(s.text[:0], src...)
		return nil
	}
	for _, step := range c {
		out, err := step.apply(s.spare[:0], src, &s.head)
		if err != nil {
			return err
		}
		s.text, s.spare = out, s.text
		src = out
	}
	return nil
}

func parseNormalizer(raw json.RawMessage) (normChain, error) {
	if absent(raw) {
		return nil, nil
	}
	var c normChain
	return c, c.parse(raw, 0)
}

func (c *normChain) parse(raw json.RawMessage, depth int) error {
	kind, err := typeOf(raw)
	if err != nil {
		return fmt.Errorf("normalizer: %w", err)
	}
	if depth > maxDepth {
		return fmt.Errorf("normalizer: nested deeper than %d", maxDepth)
	}
	var v struct {
		Normalizers []json.RawMessage `json:"normalizers"`
		Pattern     pattern           `json:"pattern"`
		Content     string            `json:"content"`
		Prepend     string            `json:"prepend"`
		StripLeft   bool              `json:"strip_left"`
		StripRight  bool              `json:"strip_right"`
		Charsmap    []byte            `json:"precompiled_charsmap"`
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return fmt.Errorf("normalizer %s: %w", kind, err)
	}
	var step normStep
	switch kind {
	case "Sequence":
		for _, sub := range v.Normalizers {
			if err := c.parse(sub, depth+1); err != nil {
				return err
			}
		}
		return nil
	case "NFC", "NFD", "NFKC", "NFKD":
		step = unicodeForm{compose: kind[len(kind)-1] == 'C', compat: kind[2] == 'K'}
	case "Lowercase":
		step = lowercase{}
	case "StripAccents":
		step = stripAccents{}
	case "Strip":
		step = stripSpace{v.StripLeft, v.StripRight}
	case "Prepend":
		step = prepend(v.Prepend)
	case "Replace":
		m, err := parsePattern("normalizer Replace", v.Pattern)
		if err != nil {
			return err
		}
		step = replaceStep{m, v.Content}
	case "Precompiled":
		step, err = newPrecompiled(v.Charsmap)
		if err != nil {
			return fmt.Errorf("normalizer Precompiled: %w", err)
		}
	default:
		return unsupported("normalizer %q", kind)
	}
	*c = append(*c, step)
	return nil
}

type lowercase struct{}

func (lowercase) apply(dst, src []byte, _ *bool) ([]byte, error) {
	for i := 0; i < len(src); {
		r, n := decodeRune(src[i:])
		dst = ucd.AppendLower(dst, r)
		i += n
	}
	return dst, nil
}

type stripAccents struct{}

func (stripAccents) apply(dst, src []byte, head *bool) ([]byte, error) {
	for i := 0; i < len(src); {
		r, n := decodeRune(src[i:])
		if r < utf8.RuneSelf || !ucd.IsMark(r) {
			dst = append(dst, src[i:i+n]...)
		} else if len(dst) == 0 {
			*head = false
		}
		i += n
	}
	return dst, nil
}

type stripSpace struct{ left, right bool }

func (s stripSpace) apply(dst, src []byte, head *bool) ([]byte, error) {
	if s.left {
		n := len(src)
		src = trimSpaceLeft(src)
		*head = *head && len(src) == n
	}
	if s.right {
		src = trimSpaceRight(src)
	}
	return append(dst, src...), nil
}

type prepend string

func (p prepend) apply(dst, src []byte, _ *bool) ([]byte, error) {
	if len(src) > 0 {
		dst = append(dst, p...)
	}
	return append(dst, src...), nil
}

// replaceStep writes content in place of every match.
type replaceStep struct {
	matcher
	content string
}

func (r replaceStep) apply(dst, src []byte, head *bool) ([]byte, error) {
	done := 0
	err := eachMatch(r.matcher, src, func(start, end int) {
		if start == 0 && end > runeLen(src) {
			// A replacement is aligned with the last character it replaces.
			*head = false
		}
		dst = append(dst, src[done:start]...)
		dst = append(dst, r.content...)
		done = end
	})
	if err != nil {
		return dst, err
	}
	return append(dst, src[done:]...), nil
}
