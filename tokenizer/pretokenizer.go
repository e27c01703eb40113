package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/loopserve/loopserve/tokenizer/internal/ucd"
)

// preChain is the pre-tokenizers in order. byteLevel says that the last of
// them hands bytes to the model: the model's vocabulary is then spelled in
// the byte alphabet.
type preChain struct {
	steps     []preStep
	byteLevel bool
}

func (c *preChain) run(s *scratch) error {
	for _, step := range c.steps {
		err := step.split(s)
		if err == nil {
			err = s.bounded(len(s.text))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func parsePreTokenizer(raw json.RawMessage) (*preChain, error) {
	c, g := &preChain{}, growth{}
	return c, eachComponent("pre_tokenizer", "pretokenizers", raw, func(kind string, v preSettings) error {
		if err := g.add("pre-tokenizer", 1); err != nil {
			return err
		}
		return c.append(kind, v)
	})
}

// preSettings are those of all kinds of pre-tokenizers.
type preSettings struct {
	Pattern          pattern `json:"pattern"`
	Behavior         string  `json:"behavior"`
	Invert           bool    `json:"invert"`
	AddPrefixSpace   *bool   `json:"add_prefix_space"`
	UseRegex         *bool   `json:"use_regex"`
	IndividualDigits bool    `json:"individual_digits"`
	Replacement      string  `json:"replacement"`
	PrependScheme    *string `json:"prepend_scheme"`
	Split            *bool   `json:"split"`
}

func (c *preChain) append(kind string, v preSettings) error {
	if c.byteLevel {
		return unsupported("pre_tokenizer %s after ByteLevel", kind)
	}
	add := func(m matcher, b behavior, invert bool) {
		c.steps = append(c.steps, &finderStep{m, b, invert})
	}
	switch kind {
	case "ByteLevel":
		if v.AddPrefixSpace == nil {
			return fmt.Errorf("pre_tokenizer ByteLevel: add_prefix_space is missing")
		}
		if *v.AddPrefixSpace {
			c.steps = append(c.steps, &metaspace{replacement: []byte(" "), prepend: true})
		}
		if v.UseRegex == nil || *v.UseRegex {
			m, err := newExpression(gpt2Pattern)
			if err != nil {
				return err
			}
			add(m, isolated, false)
		}
		c.byteLevel = true
	case "Split":
		b, ok := behaviors[v.Behavior]
		if !ok {
			return fmt.Errorf("pre_tokenizer Split: behavior %q is unknown", v.Behavior)
		}
		m, err := parsePattern("pre_tokenizer Split", v.Pattern)
		if err != nil {
			return err
		}
		add(m, b, v.Invert)
	case "Digits":
		if v.IndividualDigits {
			add(charMatcher(ucd.IsNumeric), isolated, false)
		} else {
			add(charMatcher(ucd.IsNumeric), contiguous, false)
		}
	case "Punctuation":
		b, ok := behaviors[v.Behavior]
		if !ok && v.Behavior != "" {
			return fmt.Errorf("pre_tokenizer Punctuation: behavior %q is unknown", v.Behavior)
		}
		add(charMatcher(ucd.IsPunct), b, false)
	case "WhitespaceSplit":
		add(charMatcher(ucd.IsSpace), removed, false)
	case "Whitespace":
		add(wordOrOther{}, removed, true)
	case "Metaspace":
		scheme := "always"
		if v.PrependScheme != nil {
			scheme = *v.PrependScheme
		}
		if v.AddPrefixSpace != nil && !*v.AddPrefixSpace && scheme != "never" {
			return fmt.Errorf("pre_tokenizer Metaspace: add_prefix_space false needs prepend_scheme \"never\", has %q", scheme)
		}
		step, err := newMetaspace(v.Replacement, scheme, v.Split == nil || *v.Split)
		if err != nil {
			return err
		}
		c.steps = append(c.steps, step)
	default:
		return unsupported("pre_tokenizer %q", kind)
	}
	return nil
}

// wordOrOther is the pattern \w+|[^\w\s]+ of the regex crate.
type wordOrOther struct{}

func (wordOrOther) find(dst []span, text []byte) ([]span, error) {
	const space, word, other = 0, 1, 2
	last := space
	for i := 0; i < len(text); {
		r, n := decodeRune(text[i:])
		kind := other
		switch {
		case ucd.IsWord(r):
			kind = word
		case ucd.IsSpace(r):
			kind = space
		}
		switch kind {
		case space:
		case last:
			dst[len(dst)-1].end += n
		default:
			dst = append(dst, span{i, i + n})
		}
		last = kind
		i += n
	}
	return dst, nil
}

// metaspace writes spaces as a visible character and splits before each.
type metaspace struct {
	replacement    []byte
	prepend, first bool // prepend everywhere, or at the head of the text only
	cut            bool
}

func newMetaspace(replacement, scheme string, cut bool) (*metaspace, error) {
	if utf8.RuneCountInString(replacement) != 1 {
		return nil, fmt.Errorf("pre_tokenizer Metaspace: replacement %q is not one character", replacement)
	}
	m := &metaspace{replacement: []byte(replacement), cut: cut}
	switch scheme {
	case "always":
		m.prepend = true
	case "first":
		m.first = true
	case "never":
	default:
		return nil, fmt.Errorf("pre_tokenizer Metaspace: prepend_scheme %q is not first, never or always", scheme)
	}
	return m, nil
}

func (m *metaspace) split(s *scratch) error {
	out := s.spare[:0]
	for _, p := range s.pieces {
		text := s.text[p.start:p.end]
		start, whole := len(out), len(out)
		if (m.prepend || m.first && p.head) && text[0] != ' ' && !bytes.HasPrefix(text, m.replacement) {
			out = append(out, m.replacement...)
		}
		for i := 0; i < len(text); {
			n := runeLen(text[i:])
			space := text[i] == ' '
			if m.cut && len(out) > start && (space || bytes.HasPrefix(text[i:], m.replacement)) {
				s.more = append(s.more, piece{start, len(out), p.head && start == whole})
				start = len(out)
			}
			if space {
				out = append(out, m.replacement...)
			} else {
				out = append(out, text[i:i+n]...)
			}
			i += n
		}
		s.more = append(s.more, piece{start, len(out), p.head && start == whole})
	}
	s.text, s.spare = out, s.text
	s.flip()
	return nil
}
