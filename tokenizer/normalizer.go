package tokenizer

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/loopserve/loopserve/tokenizer/internal/ucd"
)

// normStep is one normalizer: it appends the normal form of src to dst, and
// clears s.head where the first character no longer comes from the start of
// the caller's text.
type normStep interface {
	apply(s *scratch, dst, src []byte) ([]byte, error)
}

// normChain is the normalizers in order.
type normChain []normStep

// run leaves the normal form of src in s.text; src is not one of s's buffers,
// or is s.text itself.
func (c normChain) run(s *scratch, src []byte) error {
	s.limit = maxLonger*len(src) + 4096
	if len(c) == 0 {
		s.text = append(s.text[:0], src...)
		return nil
	}
	for _, step := range c {
		out, err := step.apply(s, s.spare[:0], src)
		if err == nil {
			err = s.bounded(len(out))
		}
		if err != nil {
			return err
		}
		s.text, s.spare = out, s.text
		src = out
	}
	return nil
}

func parseNormalizer(raw json.RawMessage) (c normChain, err error) {
	var g growth
	err = eachComponent("normalizer", "normalizers", raw, func(kind string, v normSettings) error {
		times := 1
		switch kind {
		case "Prepend":
			times += len(v.Prepend)
		case "Replace":
			times = v.Pattern.times(v.Content)
		}
		if err := g.add("normalizer", times); err != nil {
			return err
		}
		step, err := v.step(kind)
		c = append(c, step)
		return err
	})
	return c, err
}

// normSettings are those of all kinds of normalizers.
type normSettings struct {
	Pattern    pattern `json:"pattern"`
	Content    string  `json:"content"`
	Prepend    string  `json:"prepend"`
	StripLeft  bool    `json:"strip_left"`
	StripRight bool    `json:"strip_right"`
	Charsmap   []byte  `json:"precompiled_charsmap"`
}

func (v normSettings) step(kind string) (normStep, error) {
	switch kind {
	case "NFC", "NFD", "NFKC", "NFKD":
		return unicodeForms[kind], nil
	case "Lowercase":
		return lowercase{}, nil
	case "StripAccents":
		return stripAccents{}, nil
	case "Strip":
		return stripSpace{v.StripLeft, v.StripRight}, nil
	case "Prepend":
		return prepend(v.Prepend), nil
	case "Replace":
		m, err := parsePattern("normalizer Replace", v.Pattern)
		return replaceStep{m, v.Content}, err
	case "Precompiled":
		step, err := newPrecompiled(v.Charsmap)
		if err != nil {
			return nil, fmt.Errorf("normalizer Precompiled: %w", err)
		}
		return step, nil
	}
	return nil, unsupported("normalizer %q", kind)
}

type lowercase struct{}

func (lowercase) apply(_ *scratch, dst, src []byte) ([]byte, error) {
	for i := 0; i < len(src); {
		r, n := decodeRune(src[i:])
		dst = ucd.AppendLower(dst, r)
		i += n
	}
	return dst, nil
}

type stripAccents struct{}

func (stripAccents) apply(s *scratch, dst, src []byte) ([]byte, error) {
	for i := 0; i < len(src); {
		r, n := decodeRune(src[i:])
		if r < utf8.RuneSelf || !ucd.IsMark(r) {
			dst = append(dst, src[i:i+n]...)
		} else if len(dst) == 0 {
			s.head = false
		}
		i += n
	}
	return dst, nil
}

type stripSpace struct{ left, right bool }

func (cut stripSpace) apply(s *scratch, dst, src []byte) ([]byte, error) {
	if cut.left {
		n := len(src)
		src = trimSpaceLeft(src)
		s.head = s.head && len(src) == n
	}
	if cut.right {
		src = trimSpaceRight(src)
	}
	return append(dst, src...), nil
}

type prepend string

func (p prepend) apply(_ *scratch, dst, src []byte) ([]byte, error) {
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

func (r replaceStep) apply(s *scratch, dst, src []byte) (out []byte, err error) {
	if s.found, err = r.find(s.found[:0], src); err != nil {
		return dst, err
	}
	if len(s.found) > 0 && s.found[0].start == 0 && s.found[0].end > runeLen(src) {
		// A replacement is aligned with the last character it replaces.
		s.head = false
	}
	n := len(src) + len(s.found)*len(r.content)
	for _, m := range s.found {
		n -= m.end - m.start
	}
	if err := s.bounded(n); err != nil {
		return dst, err
	}
	return replaceAll(dst, src, s.found, r.content), nil
}

// replaceAll appends src with content in place of each match.
func replaceAll(dst, src []byte, found []span, content string) []byte {
	done := 0
	for _, m := range found {
		dst = append(append(dst, src[done:m.start]...), content...)
		done = m.end
	}
	return append(dst, src[done:]...)
}
