package constrain_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/runtime/constrain"
)

// large is a vocabulary of the shape that byte-level BPE gives: all bytes, and words of a few letters, half of them with a
// space before.
func large(size int) (*constrain.Vocabulary, []string) {
	rng := rand.New(rand.NewPCG(1, 2))
	seen := map[string]bool{}
	var longer []string
	longer = append(longer, pieces...)
	for len(longer) < size-257 {
		var b strings.Builder
		if rng.IntN(2) == 0 {
			b.WriteByte(' ')
		}
		for range 2 + rng.IntN(8) {
			b.WriteByte("etaoinshrdlucmfwypvbgkqjxzETAOIN0123_-"[min(rng.IntN(38), rng.IntN(38))])
		}
		if w := b.String(); !seen[w] {
			seen[w] = true
			longer = append(longer, w)
		}
	}
	return vocabulary(longer...)
}

// The cost of a mask that is not remembered: one walk over a vocabulary of 50,000 and of 150,000 tokens, from an automaton
// that has forgotten everything (cold) and from one that knows where each byte leads (warm).
func BenchmarkMask(b *testing.B) {
	for _, size := range []struct {
		name string
		n    int
	}{{"50k", 50_000}, {"150k", 150_000}} {
		v, _ := large(size.n)
		for _, c := range []struct {
			name string
			form func() (*constrain.Form, error)
			text string
		}{
			{"in_a_string", func() (*constrain.Form, error) { return constrain.JSON(true), nil }, `{"a": "x`},
			{"before_a_key", func() (*constrain.Form, error) { return constrain.JSON(true), nil }, `{`},
			{"in_a_bounded_string", func() (*constrain.Form, error) { return constrain.Schema([]byte(`{"type":"string","maxLength":500}`)) }, `"`},
			{"any_word", func() (*constrain.Form, error) { return constrain.Regex(`[a-zA-Z ]{1,300}`) }, ``},
			{"ambiguous", func() (*constrain.Form, error) { return constrain.Regex(`([a-z ]|[a-m])*t([a-z ]|[n-z]){20}`) }, ``},
			{"hostile", func() (*constrain.Form, error) { return constrain.Regex(`(.?.?.?.?.?.?.?.?){6}[a-z]*t.{400}`) }, ``},
		} {
			f, err := c.form()
			if err != nil {
				b.Fatal(err)
			}
			m, err := constrain.Compile(f, v)
			if err != nil {
				b.Fatal(err)
			}
			for _, cold := range []bool{true, false} {
				name := size.name + "/" + c.name + "/warm"
				if cold {
					name = size.name + "/" + c.name + "/cold"
				}
				b.Run(name, func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						work := m.Walk(c.text, cold)
						b.ReportMetric(work, "bound")
					}
				})
			}
		}
	}
}

// One token of JSON: a step, a mask that is remembered most of the time, and no pick.
func BenchmarkToken(b *testing.B) {
	v, tokens := large(50_000)
	m, err := constrain.Compile(constrain.JSON(true), v)
	if err != nil {
		b.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	b.ReportAllocs()
	x, n := m.Start(), 0
	for b.Loop() {
		bits := x.Next()
		if n++; n%200 == 0 || x.MayEnd() {
			x = m.Start()
			continue
		}
		for id := rng.IntN(len(tokens)); ; id = (id + 1) % len(tokens) {
			if bits[id>>6]>>(id&63)&1 != 0 {
				x.Advance(int32(id))
				break
			}
		}
	}
}

// One token of a schema's answers over a vocabulary of 32,000, where all is remembered that fits, and the compilation.
func BenchmarkSchema(b *testing.B) {
	v, tokens := large(32_000)
	for name, s := range map[string]string{
		"record": `{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":0},"tags":{"type":"array","items":{"type":"string"}}},"required":["name","age","tags"]}`,
		"url":    `{"type":"string","format":"uri","minLength":1,"maxLength":2083}`,
		"length": `{"type":"string","maxLength":2083}`,
		"number": `{"type":"array","items":{"type":"number","minimum":-0.5,"maximum":1000,"multipleOf":0.25},"minItems":50}`,
		"set":    `{"type":"array","items":{"type":"string"},"uniqueItems":true,"minItems":5}`,
		"union":  `{"oneOf":[{"type":"object","properties":{"k":{"const":"a"},"d":{"type":"string","format":"date-time"}},"required":["k","d"]},{"type":"object","properties":{"k":{"const":"b"},"n":{"type":["integer","null"]}},"required":["k"]}]}`,
	} {
		f, err := constrain.Schema([]byte(s))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name+"/compile", func(b *testing.B) {
			for b.Loop() {
				f, _ := constrain.Schema([]byte(s))
				if _, err := constrain.Compile(f, v); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/token", func(b *testing.B) {
			m, err := constrain.Compile(f, v)
			if err != nil {
				b.Fatal(err)
			}
			rng := rand.New(rand.NewPCG(1, 2))
			x, n := m.Start(), 0
			for b.Loop() {
				bits := x.Next()
				n++
				more := false
				for i, begin := 0, rng.IntN(len(tokens)); i < len(tokens) && n%100 != 0 && bits != nil && !more; i++ {
					id := (begin + i) % len(tokens)
					if more = bits[id>>6]>>(id&63)&1 != 0; more {
						x.Advance(int32(id))
					}
				}
				if !more {
					x = m.Start()
				}
			}
		})
	}
}
