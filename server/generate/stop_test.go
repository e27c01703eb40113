package generate_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/loopserve/loopserve/server/generate"
)

func TestStopMatcher(t *testing.T) {
	for _, c := range []struct {
		name   string
		stops  []string
		pieces []string
		shown  []string // after each piece
		hit    string
		rest   string // of Flush
	}{
		{"none", nil, []string{"a", "b"}, []string{"a", "b"}, "", ""},
		{"inside a piece", []string{"end"}, []string{"the end is"}, []string{"the "}, "end", ""},
		{"across three pieces", []string{"\n\nUser:"}, []string{"hi\n", "\nUs", "er: x"}, []string{"hi", "", ""}, "\n\nUser:", ""},
		{"a false start is shown", []string{"abc"}, []string{"xab", "d"}, []string{"x", "abd"}, "", ""},
		{"held to the end", []string{"abc"}, []string{"xab"}, []string{"x"}, "", "ab"},
		{"overlapping start", []string{"aab"}, []string{"aa", "ab"}, []string{"", "a"}, "aab", ""},
		{"first complete wins", []string{"abcd", "bc"}, []string{"abcd"}, []string{"a"}, "bc", ""},
		{"a character in parts stays whole", []string{"é"}, []string{"caf", "é!"}, []string{"caf", ""}, "é", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := generate.NewStopMatcher(c.stops)
			hit := ""
			for i, p := range c.pieces {
				emit, h := m.Push(p)
				if emit != c.shown[i] {
					t.Errorf("piece %d: shown %q, want %q", i, emit, c.shown[i])
				}
				hit = h
			}
			if hit != c.hit {
				t.Errorf("hit %q, want %q", hit, c.hit)
			}
			if rest := m.Flush(); rest != c.rest {
				t.Errorf("flushed %q, want %q", rest, c.rest)
			}
		})
	}
}

// However a text is cut, what is shown is the text up to the stop string that
// is complete first.
func TestStopMatcherAnyCut(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	stops := []string{"ab", "bba", "aab", "é"}
	for range 5000 {
		var b strings.Builder
		for range rng.IntN(12) {
			b.WriteString([]string{"a", "b", "é", "x"}[rng.IntN(4)])
		}
		whole := b.String()
		want := whole
		for end := 1; end <= len(whole) && want == whole; end++ {
			longest := 0
			for _, s := range stops {
				if strings.HasSuffix(whole[:end], s) {
					longest = max(longest, len(s))
				}
			}
			if longest > 0 {
				want = whole[:end-longest]
				break
			}
		}
		m := generate.NewStopMatcher(stops)
		var got strings.Builder
		for rest := whole; rest != ""; {
			n := 1 + rng.IntN(len(rest))
			for n < len(rest) && !utf8.RuneStart(rest[n]) {
				n++
			}
			emit, _ := m.Push(rest[:n])
			got.WriteString(emit)
			rest = rest[n:]
		}
		got.WriteString(m.Flush())
		if got.String() != want {
			t.Fatalf("%q: shown %q, want %q", whole, got.String(), want)
		}
	}
}
