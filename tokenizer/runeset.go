package tokenizer

import (
	"slices"
	"strings"
	"sync"

	"github.com/loopserve/loopserve/tokenizer/internal/ucd"
)

// runeSet is a set of characters as sorted ranges that do not touch.
type runeSet []runeRange

type runeRange struct{ lo, hi rune }

const lastRune = 0x10FFFF

// setOf collects the characters of a property.
func setOf(is func(rune) bool) runeSet {
	var set runeSet
	start := rune(-1)
	for r := rune(0); r <= lastRune+1; r++ {
		in := r <= lastRune && is(r)
		switch {
		case in && start < 0:
			start = r
		case !in && start >= 0:
			set = append(set, runeRange{start, r - 1})
			start = -1
		}
	}
	return set
}

// Sets are found by walking all of Unicode, so each is found once.
var (
	spaceSet    = sync.OnceValue(func() runeSet { return setOf(ucd.IsSpace) })
	wordSet     = sync.OnceValue(func() runeSet { return setOf(ucd.IsOnigWord) })
	categorySet = func() func(ucd.Set) runeSet {
		var cache sync.Map
		return func(category ucd.Set) runeSet {
			if set, ok := cache.Load(category); ok {
				return set.(runeSet)
			}
			set := setOf(func(r rune) bool { return ucd.In(r, category) })
			cache.Store(category, set)
			return set
		}
	}()
)

func union(sets ...runeSet) runeSet {
	all := slices.Concat(sets...)
	slices.SortFunc(all, func(a, b runeRange) int { return int(a.lo - b.lo) })
	var out runeSet
	for _, r := range all {
		if n := len(out); n > 0 && r.lo <= out[n-1].hi+1 {
			out[n-1].hi = max(out[n-1].hi, r.hi)
			continue
		}
		out = append(out, r)
	}
	return out
}

func (s runeSet) complement() runeSet {
	var out runeSet
	next := rune(0)
	for _, r := range s {
		if next < r.lo {
			out = append(out, runeRange{next, r.lo - 1})
		}
		next = r.hi + 1
	}
	if next <= lastRune {
		out = append(out, runeRange{next, lastRune})
	}
	return out
}

// class writes the set as a character class of regexp2. Surrogates, which no
// text holds, are left out: they have no spelling.
func (s runeSet) class() string {
	var out strings.Builder
	out.WriteByte('[')
	for _, r := range s {
		for _, part := range [...]runeRange{{r.lo, min(r.hi, 0xD7FF)}, {max(r.lo, 0xE000), r.hi}} {
			if part.lo > part.hi {
				continue
			}
			classRune(&out, part.lo)
			if part.hi > part.lo {
				out.WriteByte('-')
				classRune(&out, part.hi)
			}
		}
	}
	if out.Len() == 1 {
		return "(?!)" // a class with nothing in it never matches
	}
	out.WriteByte(']')
	return out.String()
}

func classRune(out *strings.Builder, r rune) {
	if strings.ContainsRune(`\[]^-&~`, r) {
		out.WriteByte('\\')
	}
	out.WriteRune(r)
}
