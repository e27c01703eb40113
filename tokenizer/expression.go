package tokenizer

import (
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/dlclark/regexp2"
)

// matchTimeout bounds one search: an expression comes with the file, but the
// text comes from anyone.
const matchTimeout = 2 * time.Second

// expression is a regular expression that has no scanner of its own: one of
// Oniguruma (Ruby syntax), rewritten for regexp2 with Unicode 16 classes.
type expression struct{ re *regexp2.Regexp }

func newExpression(source string) (*expression, error) {
	text, err := translate(source)
	if err != nil {
		return nil, err
	}
	re, err := regexp2.Compile(text, regexp2.None)
	if err != nil {
		return nil, fmt.Errorf("compile: %w", err)
	}
	re.MatchTimeout = matchTimeout
	return &expression{re}, nil
}

// each visits all matches of text in order. An empty match is taken unless
// it stands at the end of the one before, as Hugging Face's iteration does.
func (e *expression) each(text []byte, visit func(start, end int)) error {
	if len(text) == 0 {
		return nil
	}
	runes := make([]rune, 0, len(text))
	for i := 0; i < len(text); {
		r, n := decodeRune(text[i:])
		runes = append(runes, r)
		i += n
	}
	// The place in text of the runes passed so far.
	at, offset := 0, 0
	advance := func(to int) int {
		for ; at < to; at++ {
			offset += utf8.RuneLen(runes[at])
		}
		return offset
	}
	deadline := time.Now().Add(matchTimeout)
	last := -1
	for from := 0; from <= len(runes); {
		m, err := e.re.FindRunesMatchStartingAt(runes, from)
		if err != nil || time.Now().After(deadline) {
			return errTimeout
		}
		if m == nil {
			return nil
		}
		start, end := m.Index, m.Index+m.Length
		if start == end && end == last {
			from++
			continue
		}
		from, last = end, end
		visit(advance(start), advance(end))
	}
	return nil
}

// next finds one match; whoever wants all of them calls each.
func (e *expression) next(text []byte, from int) (start, end int, err error) {
	start, end = -1, -1
	err = e.each(text, func(s, t int) {
		if start < 0 && s >= from {
			start, end = s, t
		}
	})
	return start, end, err
}
