package jinja

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite testdata/refused.txt")

// TestSnippets compares with what jinja2 made of a few hundred small
// templates (testdata/make_snippets.py). Errors must be of the same class; the
// text of a TypeError or ValueError is Python's own and may differ.
func TestSnippets(t *testing.T) {
	name := os.Getenv("LOOPSERVE_JINJA_SNIPPETS") // a file of fresh random ones
	if name == "" {
		name = "testdata/snippets.jsonl"
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<24)
	if !lines.Scan() {
		t.Fatal("empty file")
	}
	var head struct{ Ctx json.RawMessage }
	if err := json.Unmarshal(lines.Bytes(), &head); err != nil {
		t.Fatal(err)
	}
	ctx, err := FromJSON(head.Ctx)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	var refused []string
	for lines.Scan() {
		var c vectorCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		n++
		var got string
		tmpl, err := Parse(c.Tpl, Limits{})
		if err == nil {
			got, err = tmpl.Render(t.Context(), ctx.(*Dict), Options{Now: fixedNow})
		}
		var e *Error
		if errors.As(err, &e) && e.Class == "UnsupportedError" {
			refused = append(refused, e.Msg+"\t"+strconv.Quote(c.Tpl))
			if e.Line == 0 {
				t.Errorf("%s\n  is refused without a line: %v", c.Tpl, err)
			}
			continue
		}
		if problem := compareSnippet(&c, got, err); problem != "" {
			t.Errorf("%s\n  %s", c.Tpl, problem)
		}
	}
	t.Logf("%d snippets, of which %d are refused", n, len(refused))
	if os.Getenv("LOOPSERVE_JINJA_SNIPPETS") == "" {
		checkRefused(t, refused)
	}
}

// checkRefused pins which snippets are refused, and in which words: a feature that is dropped shows here, and cannot
// pass for one that is compared.
func checkRefused(t *testing.T, refused []string) {
	t.Helper()
	const name = "testdata/refused.txt"
	slices.Sort(refused)
	got := strings.Join(refused, "\n") + "\n"
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil { //nolint:gosec // a text in the source tree
			t.Fatal(err)
		}
		return
	}
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(strings.TrimSpace(string(data)), "\n")
	if len(refused) != len(want) {
		t.Errorf("%d snippets are refused, want %d", len(refused), len(want))
	}
	for _, line := range refused {
		if !slices.Contains(want, line) {
			t.Errorf("is refused and not in %s (go test -run Snippets -update, if it should be): %s", name, line)
		}
	}
	for _, line := range want {
		if !slices.Contains(refused, line) {
			t.Errorf("is no longer refused: %s", line)
		}
	}
}

func compareSnippet(c *vectorCase, got string, err error) string {
	var e *Error
	errors.As(err, &e)
	switch {
	case c.Out == nil && err == nil:
		return "got " + got + "\n  want error " + c.Err
	case c.Out != nil && err != nil:
		return "got error " + err.Error() + "\n  want " + *c.Out
	case c.Out != nil && got != *c.Out:
		return "got  " + got + "\n  want " + *c.Out
	case c.Out != nil:
		return ""
	case e == nil:
		return "got error " + err.Error() + "\n  want error " + c.Err
	}
	class, msg, _ := strings.Cut(c.Err, ": ")
	switch {
	case e.Class != class && (class != "SyntaxError" || e.Class != "TemplateSyntaxError"):
		return "got error " + err.Error() + "\n  want error " + c.Err
	case (class == "UndefinedError" || class == "SecurityError" || class == "TemplateError" || class == "TemplateAssertionError") &&
		e.Msg != msg && !strings.Contains(msg, "on line"):
		return "got error " + err.Error() + "\n  want error " + c.Err
	}
	return ""
}
