package jinja

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"testing"
	"time"
)

// seeds adds the snippets, so that the fuzzer starts from every construct.
func seeds(f *testing.F) {
	f.Helper()
	file, err := os.Open("testdata/snippets.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for n := 0; lines.Scan() && n < 300; n++ {
		var c vectorCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			f.Fatal(err)
		}
		f.Add(c.Tpl)
	}
}

// FuzzParse: any source parses or gives one of the package's errors.
func FuzzParse(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, src string) {
		if _, err := Parse(src, Limits{}, Generation); err != nil {
			checkError(t, src, err)
		}
	})
}

// FuzzRender: any template ends soon, in text or in one of the package's
// errors, and never in a panic.
func FuzzRender(f *testing.F) {
	seeds(f)
	vars, err := FromJSON([]byte(`{"s":"Hé","n":7,"f":2.5,"l":[3,1,2],"d":{"b":1,"a":{"x":[1]}},"m":[{"role":"user","content":"hi"},{"role":"assistant","content":null}],"big":12345678901234567890}`))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, src string) {
		tmpl, err := Parse(src, Limits{Steps: 20_000, Memory: 1 << 20, Output: 1 << 16})
		if err != nil {
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, err := tmpl.Render(ctx, vars.(*Dict), Options{Now: fixedNow}); err != nil {
			checkError(t, src, err)
		}
	})
}

// FuzzFromJSON: variables come from requests.
func FuzzFromJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5,null,true,"x"]}`, `[[[[]]]]`, `1e999`, `-0`, `{"a":1,"a":2}`, `"\ud800"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := FromJSON(data)
		if err != nil {
			return
		}
		vars := NewDict()
		vars.Set("v", v)
		tmpl, err := Parse("{{ v|tojson }}", Limits{})
		if err != nil {
			t.Fatal(err)
		}
		out, err := tmpl.Render(t.Context(), vars, Options{})
		if err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		again, err := FromJSON([]byte(out))
		if err != nil {
			t.Fatalf("%q gives %q: %v", data, out, err)
		}
		vars2 := NewDict()
		vars2.Set("v", again)
		if out2, err := tmpl.Render(t.Context(), vars2, Options{}); err != nil || out2 != out {
			t.Errorf("%q gives %q, then %q, %v", data, out, out2, err)
		}
	})
}

func checkError(t *testing.T, src string, err error) {
	t.Helper()
	var e *Error
	var l *LimitError
	if !errors.As(err, &e) && !errors.As(err, &l) {
		t.Errorf("%q: untyped error %v", src, err)
	}
	if len(err.Error()) > 2000 {
		t.Errorf("%q: a message of %d bytes", src, len(err.Error()))
	}
}
