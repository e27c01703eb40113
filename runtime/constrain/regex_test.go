package constrain_test

import (
	"errors"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/runtime/constrain"
)

var expressions = []string{
	`[0-9]{4}`, `(yes|no|maybe)`, `a*b+c?`, `^\d{3}-\d{4}$`, `(?i)hello`, `[^a-z]{2,5}`, `.{1,3}`, `(ab|a)(c|bcd)*`, `\p{Greek}+`, `[à-ÿ☃]{2}`,
	`(?s).`, `(a|b)*a(a|b){3}`, `x{0,5}y{2}`, `(?:foo(?:bar)?)+`, `[\x{10000}-\x{10ffff}]`, `a|b|cd|`, `[\x{d000}-\x{e100}]`, `()a()`,
	`a+\b[ -]\B.?`, `(?m:a$\n^b)|^c{2}$`,
}

// What an automaton lets through, the expression matches, and the reverse for near misses.
func TestRegexIsRegexp(t *testing.T) {
	v, tokens := vocabulary(pieces...)
	rng := rand.New(rand.NewPCG(1, 2))
	for _, e := range expressions {
		re := regexp.MustCompile(`^(?:` + strings.TrimSuffix(strings.TrimPrefix(e, "^"), "$") + `)$`)
		f, err := constrain.Regex(e)
		m := automaton(t, f, err, v)
		ended := 0
		for range 60 {
			text, ok := write(t, m, tokens, rng, 60)
			if !ok {
				continue
			}
			ended++
			if !re.MatchString(text) {
				t.Fatalf("%s let %q through", e, text)
			}
			b := []byte(text)
			for range 5 { // a near miss
				if len(b) > 0 {
					b[rng.IntN(len(b))] = "abcdxy019 \xc3"[rng.IntN(11)]
				}
				valid := strings.ToValidUTF8(string(b), "") == string(b)
				if got, want := accepts(m, string(b)), valid && re.Match(b); got != want {
					t.Fatalf("%s accepts %q: %v, want %v", e, b, got, want)
				}
			}
		}
		if ended < 20 {
			t.Errorf("%s: %d of 60 ended", e, ended)
		}
	}
}

func TestRegexRefuses(t *testing.T) {
	for _, e := range []string{`a\bb`, `(`, `a^b`, `(?<=a)b`, `(a{1000}){1000}`, `(?=a)`, `(?!a(?=b))c`, `\pX`, strings.Repeat("a", constrain.MaxSource+1), `((((a{30}){30}){30}){30})`} {
		f, err := constrain.Regex(e)
		if err == nil {
			v, _ := vocabulary()
			_, err = constrain.Compile(f, v)
		}
		if !errors.Is(err, constrain.ErrForm) {
			t.Errorf("%.40s: %v", e, err)
		}
	}
	v, _ := vocabulary()
	for _, e := range []string{`[^\x00-\x{10ffff}]`, `a[^\x00-\x{10ffff}]`} {
		f, err := constrain.Regex(e)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := constrain.Compile(f, v); !errors.Is(err, constrain.ErrForm) {
			t.Errorf("%s: %v", e, err)
		}
	}
}

func TestChoice(t *testing.T) {
	v, tokens := vocabulary(pieces...)
	texts := []string{"the", "then", "therefore", "no", "é", "a b"}
	f, err := constrain.Choice(texts)
	m := automaton(t, f, err, v)
	rng := rand.New(rand.NewPCG(1, 2))
	seen := map[string]bool{}
	for range 300 {
		text, ok := write(t, m, tokens, rng, 30)
		if !ok || !slices.Contains(texts, text) {
			t.Fatalf("wrote %q, ended: %v", text, ok)
		}
		seen[text] = true
	}
	if len(seen) != len(texts) {
		t.Errorf("wrote only %v", seen)
	}
	for _, bad := range [][]string{nil, {""}, make([]string, constrain.MaxChoices+1), {strings.Repeat("a", constrain.MaxProgram+1)}} {
		if _, err := constrain.Choice(bad); !errors.Is(err, constrain.ErrForm) {
			t.Errorf("%d texts: %v", len(bad), err)
		}
	}
}

// A vocabulary of digits writes numbers, and says of what it cannot write that it cannot.
func TestPoorVocabulary(t *testing.T) {
	tokens := []string{"", "0", "1", "2", "3", "+", "="}
	v := constrain.NewVocabulary(len(tokens), func(id int32) []byte { return []byte(tokens[id]) })
	f, err := constrain.Regex(`[0-9]{3}|[a-z]+`)
	m := automaton(t, f, err, v)
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		x, out := m.Start(), ""
		for !x.MayEnd() {
			bits := x.Next()[0]
			if bits == 0 {
				t.Fatalf("dead end after %q", out)
			}
			id := rng.Int32N(int32(len(tokens)))
			if bits>>id&1 != 0 {
				out += tokens[id]
				x.Advance(id)
			}
		}
		if !regexp.MustCompile(`^[0-3]{3}$`).MatchString(out) {
			t.Fatalf("wrote %q", out)
		}
	}
	for _, form := range []*constrain.Form{constrain.JSON(true)} {
		if _, err := constrain.Compile(form, v); !errors.Is(err, constrain.ErrVocabulary) {
			t.Errorf("got %v", err)
		}
	}
	if _, err := constrain.Compile(constrain.JSON(false), v); err != nil { // a number is JSON, too
		t.Error(err)
	}
}
