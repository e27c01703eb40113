package jinja

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
)

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
		if problem := compareSnippet(&c, got, err); problem != "" {
			t.Errorf("%s\n  %s", c.Tpl, problem)
		}
	}
	t.Logf("%d snippets", n)
}

func compareSnippet(c *vectorCase, got string, err error) string {
	var e *Error
	if errors.As(err, &e) && e.Class == "UnsupportedError" {
		return "" // refused by name: outside the subset
	}
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
