package constrain_test

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"sync"
	"testing"

	"github.com/loopserve/loopserve/runtime/constrain"
)

// The walk over the trie, with its short cuts, finds what trying each token alone finds, and no place is a dead end.
func TestMaskIsEachToken(t *testing.T) {
	v, tokens := large(3000)
	rng := rand.New(rand.NewPCG(1, 2))
	forms := map[string]*constrain.Form{"json": constrain.JSON(false)}
	add := func(name string, f *constrain.Form, err error) {
		if err != nil {
			t.Fatal(err)
		}
		forms[name] = f
	}
	for _, e := range slices.Concat(expressions, []string{`[a-zA-Z ]{1,30}`, `[a-z]{0,7}[A-Z]+`}) {
		f, err := constrain.Regex(e)
		add(e, f, err)
	}
	for _, s := range schemas {
		f, err := constrain.Schema([]byte(s))
		add(s, f, err)
	}
	for name, f := range forms {
		m := automaton(t, f, nil, v)
		for range 4 {
			x := m.Start()
			for range 25 {
				bits := x.Next()
				any := -1
				for id := range tokens {
					allowed := bits != nil && bits[id>>6]>>(id&63)&1 != 0
					if got := x.Allows(int32(id)); got != allowed {
						t.Fatalf("%s: token %q: alone %v, by the walk %v", name, tokens[id], got, allowed)
					}
					if allowed && (any < 0 || rng.IntN(12) == 0) {
						any = id
					}
				}
				if any < 0 {
					if !x.MayEnd() {
						t.Fatalf("%s: a dead end", name)
					}
					break
				}
				x.Advance(int32(any))
			}
		}
	}
}

// What a grammar passes without a byte counts in a walk, whatever is remembered: here some 60,000 positions for each of
// many texts, which took seconds.
func TestWalkCountsWhatItPasses(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	words := make([]string, 10_000)
	for i := range words {
		for range 2 + rng.IntN(14) {
			words[i] += string("aznm"[rng.IntN(4)])
		}
	}
	v, _ := vocabulary(words...)
	f, err := constrain.Grammar(`root ::= x
x ::= [a-m] e y "1" | [n-z] e y "2"
y ::= [a-z] (x | "3")
e ::= ("" | ""){1000}{60}`)
	m := automaton(t, f, err, v)
	for _, text := range []string{"", "az"} {
		if cold, warm := m.Walk(text, true), m.Walk(text, false); cold <= 1 || cold > 1.1 || warm != cold {
			t.Errorf("behind %q: %v of the bound, %v when it is remembered; want it just over", text, cold, warm)
		}
	}
}

// Automata forget when they have seen too much. That changes no answer, whoever was where.
func TestForgetting(t *testing.T) {
	v, tokens := vocabulary("ab", "ba", "aab", "bbbb")
	const e = `(a|b)*a(a|b){13}`
	re := regexp.MustCompile(`^` + e + `$`)
	f, err := constrain.Regex(e)
	m := automaton(t, f, err, v)
	rng := rand.New(rand.NewPCG(1, 2))
	type writer struct {
		x interface {
			Next() []uint64
			MayEnd() bool
			Advance(int32)
		}
		text string
	}
	writers := make([]writer, 40)
	for i := range writers {
		writers[i].x = m.Start()
	}
	ids := []int32{int32('a') + 1, int32('b') + 1, 257, 258, 259, 260}
	ends := 0
	for range 6_000 {
		w := &writers[rng.IntN(len(writers))]
		fresh := m.Start()
		bits := w.x.Next()
		for _, id := range ids {
			if bits[id>>6]>>(id&63)&1 == 0 {
				t.Fatalf("token %q is not allowed after %q", tokens[id], w.text)
			}
		}
		if want := re.MatchString(w.text); w.x.MayEnd() != want {
			t.Fatalf("may end after %q: %v", w.text, !want)
		} else if want {
			ends++
		}
		if len(w.text) > 60 {
			*w = writer{x: fresh}
		}
		id := ids[rng.IntN(len(ids))]
		w.x.Advance(id)
		w.text += tokens[id]
	}
	if ends < 300 {
		t.Errorf("%d ends", ends)
	}
}

func TestOneMachineForMany(t *testing.T) {
	v, tokens := vocabulary(pieces...)
	cache := constrain.NewCache(func() *constrain.Vocabulary { return v })
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 40 {
				s := schemas[j%len(schemas)]
				m, err := cache.Automaton(s, func() (*constrain.Form, error) { return constrain.Schema([]byte(s)) })
				if err != nil {
					t.Error(err)
					return
				}
				write(t, m, tokens, rand.New(rand.NewPCG(uint64(i), uint64(j))), 30)
			}
		})
	}
	wg.Wait()
	again := func() *constrain.Automaton {
		m, err := cache.Automaton("x", func() (*constrain.Form, error) { return constrain.Regex("x") })
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	if first := again(); first != again() {
		t.Error("the same form was compiled twice")
	}
}
