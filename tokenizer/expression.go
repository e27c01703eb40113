package tokenizer

import (
	"fmt"
	"runtime"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/dlclark/regexp2/v2"
)

// An expression comes with the file, but the text comes from anyone: textTime and byteTime for each byte bound the processor time of
// all searches in one. A text without malice takes a tenth of it, however busy the machine is: no clock decides. Only one search that
// alone takes matchTimeout, a million times what one takes, is ended by the clock, since the library has no other way.
const (
	matchTimeout = 10 * time.Second
	textTime     = 2 * time.Second
	byteTime     = 2 * time.Microsecond
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
	w := watch{began: time.Now(), limit: textTime + time.Duration(len(text))*byteTime}
	defer w.end()
	last, late := -1, false
	err := e.re.FindRunesMatches(runes, 0, func(m regexp2.MatchView) bool {
		start, length, _ := m.GroupRange(0)
		if length > 0 || start != last {
			last = start + length
			from := advance(start)
			dst = append(dst, span{from, advance(last)})
		}
		late = w.late()
		return !late
	})
	if err != nil || late {
		return dst, errTimeout
	}
	return dst, nil
}

// watch bounds the processor time of the searches in one text.
type watch struct {
	began time.Time
	limit time.Duration
	next  time.Duration // since then, when to look again
	from  time.Duration // the thread's time when the watch began in earnest; 0: not yet
}

// late says after each match whether the limit is over. To ask for a thread's time is dear, and most texts take no second.
func (w *watch) late() bool {
	since := time.Since(w.began)
	if since < max(w.next, time.Second) {
		return false
	}
	w.next = since + 10*time.Millisecond
	if w.from == 0 {
		runtime.LockOSThread() // its time is this work's alone from here on
		w.from = threadTime()
	}
	return threadTime()-w.from > w.limit
}

func (w *watch) end() {
	if w.from > 0 {
		runtime.UnlockOSThread()
	}
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
