package tokenizer

import (
	"fmt"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/dlclark/regexp2/v2"
)

// An expression comes with the file, but the text comes from anyone: matchTimeout bounds the search for one match, and
// that with byteTimeout for each byte of the text bounds all of them. A text without malice takes a hundredth of it; what
// is left is for a machine under load.
const (
	matchTimeout = 2 * time.Second
	byteTimeout  = 10 * time.Microsecond
)

// expression is a regular expression of Oniguruma (Ruby syntax), rewritten for regexp2 with Unicode 16 classes.
type expression struct {
	re    *regexp2.Regexp
	runes sync.Pool // of *[]rune: texts as regexp2 reads them
}

func newExpression(source string) (*expression, error) {
	text, err := translate(source)
	if err != nil {
		return nil, err
	}
	re, err := regexp2.Compile(text)
	if err != nil {
		return nil, fmt.Errorf("compile: %w", err)
	}
	re.MatchTimeout = matchTimeout
	return &expression{re: re, runes: sync.Pool{New: func() any { return new([]rune) }}}, nil
}

// find appends all matches of text. An empty match is taken unless it stands at the end of the one before, as Hugging
// Face's iteration does.
func (e *expression) find(dst []span, text []byte) ([]span, error) {
	if len(text) == 0 {
		return dst, nil
	}
	buffer := e.runes.Get().(*[]rune)
	runes := (*buffer)[:0]
	for i := 0; i < len(text); {
		r, n := decodeRune(text[i:])
		runes = append(runes, r)
		i += n
	}
	if cap(runes) <= maxKept {
		defer func() {
			*buffer = runes
			e.runes.Put(buffer)
		}()
	}
	at, offset := 0, 0 // runes passed so far, and their bytes
	advance := func(to int) int {
		for ; at < to; at++ {
			offset += utf8.RuneLen(runes[at])
		}
		return offset
	}
	began, last, late := time.Now(), -1, false
	limit := matchTimeout + time.Duration(len(text))*byteTimeout
	err := e.re.FindRunesMatches(runes, 0, func(m regexp2.MatchView) bool {
		start, length, _ := m.GroupRange(0)
		if length > 0 || start != last {
			last = start + length
			from := advance(start)
			dst = append(dst, span{from, advance(last)})
		}
		late = time.Since(began) > limit
		return !late
	})
	if err != nil || late {
		return dst, errTimeout
	}
	return dst, nil
}

// gpt2Pattern is what ByteLevel splits by.
const gpt2Pattern = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

func parsePattern(owner string, p pattern) (matcher, error) {
	switch {
	case (p.String == nil) == (p.Regex == nil):
		return nil, fmt.Errorf("%s: pattern must have either String or Regex", owner)
	case p.String != nil && *p.String == "":
		return nil, unsupported("%s with an empty string as its pattern", owner)
	case p.String != nil:
		return literalMatcher(*p.String), nil
	case *p.Regex == ` {2,}`:
		return spaceRuns{}, nil
	}
	m, err := newExpression(*p.Regex)
	if err != nil {
		return nil, fmt.Errorf("%s: expression %q: %w", owner, *p.Regex, err)
	}
	return m, nil
}
