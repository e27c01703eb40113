package tokenizer

import (
	"errors"
	"fmt"
)

// What a tokenizer.json may make of a text: it comes from anybody, and a few rules that double what they find make of one
// byte more than there is memory.
const (
	maxSteps      = 64      // normalizers, pre-tokenizers or decoders in a row
	maxGrowth     = 1 << 12 // times that each of the three may make a text longer, by their rules
	maxLonger     = 16      // times that a text is made longer; the longest that Unicode's own forms do is 11
	maxTranslated = 1 << 20 // bytes of an expression with its classes written out: some 70 of \p{L}
	maxExpression = 8 << 10 // bytes of an expression as it is written
)

var errGrowth = fmt.Errorf("tokenizer.json makes this text more than %d times longer", maxLonger)

// growth bounds a chain by what its rules could do to a text.
type growth struct{ steps, times int }

// add counts one more rule.
func (g *growth) add(owner string, times int) error {
	g.times = max(g.times, 1) * max(times, 1)
	if g.steps++; g.steps > maxSteps {
		return fmt.Errorf("it has more than %d %ss", maxSteps, owner)
	}
	if g.times > maxGrowth {
		return fmt.Errorf("its first %d %ss could make a text %d times longer, at most %d is allowed", g.steps, owner, g.times, maxGrowth)
	}
	return nil
}

// times is how much longer a text can get where the pattern is replaced by content. An expression may match nothing, before
// each character.
func (p pattern) times(content string) int {
	if p.String != nil && *p.String != "" {
		return (len(content) + len(*p.String) - 1) / len(*p.String)
	}
	return 1 + len(content)
}

var errLong = errors.New("too long: its classes, written out, take more than 1 MiB")

// bounded says whether a text that became n bytes long may go on.
func (s *scratch) bounded(n int) error {
	if n > s.limit {
		return errGrowth
	}
	return nil
}
