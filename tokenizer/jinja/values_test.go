package jinja

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
)

// evaluate computes an expression over the variables a and b.
func evaluate(t testing.TB, source string, a, b Value) (string, error) {
	t.Helper()
	tmpl, err := Parse("{{ "+source+" }}", Limits{})
	if err != nil {
		t.Fatal(err)
	}
	vars := NewDict()
	vars.Set("a", a)
	vars.Set("b", b)
	return tmpl.Render(t.Context(), vars, Options{})
}

// TestIntegers: every operation on two integers gives Python's result, or is refused because that has more than 64 bits.
func TestIntegers(t *testing.T) {
	edges := []int64{0, 1, -1, 2, -2, 3, 7, 63, 64, 1 << 31, -1 << 31, 3037000499, 3037000500, 1<<53 - 1, 1 << 53, math.MaxInt64, math.MinInt64, math.MaxInt64 - 1}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		edges = append(edges, int64(rng.Uint64()), int64(rng.Uint32()), rng.Int64N(100)-50)
	}
	for _, x := range edges {
		for _, y := range edges {
			for _, op := range []string{"+", "-", "*", "//", "%"} {
				want := python(op, x, y)
				got, err := evaluate(t, "a "+op+" b", x, y)
				var e *Error
				refused := errors.As(err, &e) && e.Class == "UnsupportedError"
				switch {
				case want == nil:
					if e == nil || e.Class != "ZeroDivisionError" {
						t.Errorf("%d %s %d gives %q, %v; want a ZeroDivisionError", x, op, y, got, err)
					}
				case refused && !want.IsInt64(), refused && x == math.MinInt64:
				case err != nil || got != want.String():
					t.Errorf("%d %s %d gives %q, %v; want %s", x, op, y, got, err, want)
				}
			}
		}
	}
}

// python is an operation on integers of any size; nil for a division by zero.
func python(op string, x, y int64) *big.Int {
	a, b, out := big.NewInt(x), big.NewInt(y), new(big.Int)
	switch op {
	case "+":
		return out.Add(a, b)
	case "-":
		return out.Sub(a, b)
	case "*":
		return out.Mul(a, b)
	}
	if y == 0 {
		return nil
	}
	quotient, rest := new(big.Int).QuoRem(a, b, new(big.Int))
	if rest.Sign() != 0 && rest.Sign() != b.Sign() {
		quotient.Sub(quotient, big.NewInt(1))
		rest.Add(rest, b)
	}
	if op == "//" {
		return quotient
	}
	return rest
}

// TestPowers stay within 64 bits.
func TestPowers(t *testing.T) {
	for _, x := range []int64{0, 1, -1, 2, -2, 3, 10, -10, 3037000499, math.MaxInt64, math.MinInt64} {
		for y := range int64(70) {
			want := new(big.Int).Exp(big.NewInt(x), big.NewInt(y), nil)
			got, err := evaluate(t, "a ** b", x, y)
			if want.IsInt64() && y < 64 && (err != nil || got != want.String()) {
				t.Errorf("%d ** %d gives %q, %v; want %s", x, y, got, err, want)
			}
			if !want.IsInt64() && err == nil {
				t.Errorf("%d ** %d gives %s, want a refusal", x, y, got)
			}
		}
	}
}

// TestSlices against Python's definition, for lists and for texts with characters of several bytes.
func TestSlices(t *testing.T) {
	for size := range 5 {
		runes := []rune("añb😀c")[:size]
		list := &List{}
		for _, c := range runes {
			list.Items = append(list.Items, string(c))
		}
		bounds := []string{""}
		for i := -6; i <= 6; i++ {
			bounds = append(bounds, fmt.Sprint(i))
		}
		for _, start := range bounds {
			for _, stop := range bounds {
				for _, step := range []string{"", "1", "2", "-1", "-2", "7", "-7"} {
					var want strings.Builder
					for _, i := range pythonSlice(size, start, stop, step) {
						want.WriteRune(runes[i])
					}
					expr := "[" + start + ":" + stop + ":" + step + "]"
					for _, v := range []Value{string(runes), list} {
						got, err := evaluate(t, "a"+expr+"|join", v, nil)
						if err != nil || got != want.String() {
							t.Fatalf("%q%s gives %q, %v; want %q", string(runes), expr, got, err, want.String())
						}
					}
				}
			}
		}
	}
}

// pythonSlice are the indexes of a slice by going through all of them.
func pythonSlice(size int, start, stop, step string) []int {
	number := func(text string) int {
		n, err := strconv.Atoi(text)
		if err != nil {
			panic(err) // the test's own numbers
		}
		return n
	}
	by, from, to := 1, 0, size
	if step != "" {
		by = number(step)
	}
	if by < 0 {
		from, to = size-1, -1
	}
	read := func(text string, into *int) {
		if text == "" {
			return
		}
		if *into = number(text); *into < 0 {
			*into = max(*into+size, min(by, 0))
			if by < 0 {
				*into = max(*into, -1)
			}
		}
	}
	read(start, &from)
	read(stop, &to)
	var out []int
	for i := from; by > 0 && i < to || by < 0 && i > to; i += by {
		if i >= 0 && i < size {
			out = append(out, i)
		}
		if by < 0 && i >= size { // Python begins at the last element
			i = size - by - 1
		}
	}
	return out
}

// TestDict against a list of pairs: order of first setting, last value, equal keys.
func TestDict(t *testing.T) {
	r := newRender(t.Context(), Limits{}.withDefaults(), nil, Options{})
	r.memory, r.steps = 1<<40, 1<<40
	rng := rand.New(rand.NewPCG(3, 4))
	keys := []Value{"a", "b", "", "1", int64(1), safeText("a"), safeText("1"), int64(0), nil, bigInt("99999999999999999999"), "é"}
	for i := range 30 {
		keys = append(keys, fmt.Sprint("k", i))
	}
	for range 200 {
		d := NewDict()
		var naive []entry
	next:
		for n := range rng.IntN(60) {
			k := keys[rng.IntN(len(keys))]
			r.put(d, k, int64(n))
			for i := range naive {
				if r.equal(naive[i].key, k) {
					naive[i].val = int64(n)
					continue next
				}
			}
			naive = append(naive, entry{key: k, val: int64(n)})
		}
		if d.Len() != len(naive) {
			t.Fatalf("%d keys, want %d", d.Len(), len(naive))
		}
		for i, e := range naive {
			if d.entries[i].key != e.key || d.entries[i].val != e.val {
				t.Fatalf("entry %d is %v: %v, want %v: %v", i, d.entries[i].key, d.entries[i].val, e.key, e.val)
			}
			if k, _ := r.hash(e.key); d.index[k] != i {
				t.Fatalf("%v is found at %d, want %d", e.key, d.index[k], i)
			}
		}
	}
}

// TestToJSON: what tojson writes is what encoding/json reads back, in any form.
func TestToJSON(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		data, err := json.Marshal(randomJSON(rng, 0))
		if err != nil {
			t.Fatal(err)
		}
		v, err := FromJSON(data)
		if err != nil {
			t.Fatal(err)
		}
		for _, filter := range []string{"tojson", "tojson(indent=2)", "tojson(ensure_ascii=false)", "tojson(separators=(',', ':'))"} {
			got, err := evaluate(t, "a|"+filter, v, nil)
			if err != nil {
				t.Fatalf("%s|%s: %v", data, filter, err)
			}
			var want, back any
			if err := errors.Join(json.Unmarshal(data, &want), json.Unmarshal([]byte(got), &back)); err != nil {
				t.Fatalf("%s|%s gives %s: %v", data, filter, got, err)
			}
			if !reflect.DeepEqual(want, back) {
				t.Errorf("%s|%s gives %s", data, filter, got)
			}
		}
	}
}

func randomJSON(rng *rand.Rand, depth int) any {
	texts := []string{"", "a", "é", "😀", "\"\\/", "\n\t\r\b\f\x00\x1f\x7f", "<b>&'", "\u2028"}
	switch k := rng.IntN(10); {
	case k < 2 && depth < 4:
		list := make([]any, rng.IntN(4))
		for i := range list {
			list[i] = randomJSON(rng, depth+1)
		}
		return list
	case k < 4 && depth < 4:
		object := map[string]any{}
		for range rng.IntN(12) {
			object[texts[rng.IntN(len(texts))]+fmt.Sprint(rng.IntN(9))] = randomJSON(rng, depth+1)
		}
		return object
	case k < 6:
		return texts[rng.IntN(len(texts))]
	case k < 7:
		return rng.Int64() - 1<<62
	case k < 8:
		return math.Float64frombits(rng.Uint64()&^(0x7ff<<52) | uint64(rng.IntN(0x7ff))<<52)
	case k < 9:
		return rng.IntN(2) == 0
	}
	return nil
}

// TestStrftime knows C's directives.
func TestStrftime(t *testing.T) {
	at := time.Date(2026, 3, 4, 15, 6, 7, 0, time.UTC)
	for format, want := range map[string]string{
		"%Y-%m-%d": "2026-03-04", "%y": "26", "%H:%M:%S": "15:06:07", "%I %p": "03 PM", "%A %a": "Wednesday Wed", "%B %b %h": "March Mar Mar",
		"%-d/%-m": "4/3", "%e": " 4", "%j": "063", "%F %T": "2026-03-04 15:06:07", "%-e": "4", "100%%": "100%", "é %": "é %", "": "",
	} {
		if got := strftime(at, format); got != want {
			t.Errorf("%q gives %q, want %q", format, got, want)
		}
	}
	if got := strftime(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), "%-H"); got != "0" {
		t.Errorf("midnight's %%-H is %q", got)
	}
}

// TestFromJSON reads as json.loads does.
func TestFromJSON(t *testing.T) {
	for data, want := range map[string]string{
		`{"b":1,"a":[1.0,null,true]}`: "{'b': 1, 'a': [1.0, None, True]}", `{"a":1,"b":2,"a":3}`: "{'a': 3, 'b': 2}",
		`-0`: "0", `1e2`: "100.0", `9223372036854775807`: "9223372036854775807", `-9223372036854775809`: "-9223372036854775809",
		`123456789012345678901234567890`: "123456789012345678901234567890", `"\ud83d\ude00"`: "😀", `[]`: "[]", `0.1`: "0.1",
	} {
		v, err := FromJSON([]byte(data))
		if err != nil {
			t.Errorf("%s: %v", data, err)
			continue
		}
		if got, err := evaluate(t, "a", v, nil); err != nil || got != want {
			t.Errorf("%s prints %q, %v; want %q", data, got, err, want)
		}
	}
	for _, data := range []string{"", "[", "[1", `{"a"`, `{"a":}`, "{1:2}", "nul", "1 2", "]", strings.Repeat("[", 300), strings.Repeat("9", 5000), "1E400"} {
		if v, err := FromJSON([]byte(data)); err == nil {
			t.Errorf("%.20q gives %v, want an error", data, v)
		}
	}
}
