package jinja

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// corpusFile is one public chat template with what jinja2, under transformers' settings, made of some conversations.
type corpusFile struct {
	Template string
	Cases    []struct {
		Name string
		Vars json.RawMessage
		Out  *string
		Err  string // class and message where jinja2 failed
	}
}

// readCorpus reads the folder that LOOPSERVE_JINJA_CORPUS names. The templates are other people's, so they are not in
// the repository.
func readCorpus(t testing.TB) map[string]corpusFile {
	t.Helper()
	dir := os.Getenv("LOOPSERVE_JINJA_CORPUS")
	if dir == "" {
		t.Skip("LOOPSERVE_JINJA_CORPUS is not set: no corpus of public chat templates to compare with")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no templates in %s: %v", dir, err)
	}
	out := map[string]corpusFile{}
	for _, name := range files {
		var c corpusFile
		readJSONFile(t, name, &c)
		out[strings.TrimSuffix(filepath.Base(name), ".json")] = c
	}
	return out
}

// TestCorpus renders public chat templates as jinja2 rendered them. A refusal counts as a failure.
func TestCorpus(t *testing.T) {
	cases := 0
	corpus := readCorpus(t)
	for name, c := range corpus {
		t.Run(name, func(t *testing.T) {
			tmpl, parseErr := parseChat(c.Template)
			for _, k := range c.Cases {
				cases++
				got, err := "", parseErr
				if err == nil {
					got, err = renderCase(t, tmpl, k.Vars)
				}
				if problem := compareCase(k.Out, k.Err, got, err); problem != "" {
					t.Errorf("%s: %s", k.Name, problem)
				}
			}
		})
	}
	t.Logf("%d templates, %d cases", len(corpus), cases)
}

func parseChat(source string) (*Template, error) { return Parse(source, Limits{}, Generation) }

func renderCase(t testing.TB, tmpl *Template, data json.RawMessage) (string, error) {
	t.Helper()
	vars, err := FromJSON(data)
	if err != nil {
		t.Fatal(err)
	}
	return tmpl.Render(t.Context(), vars.(*Dict), Options{Now: fixedNow})
}

func compareCase(out *string, wantErr, got string, err error) string {
	switch {
	case out != nil && err != nil:
		return "got error " + err.Error()
	case out != nil && got != *out:
		return "got  " + got + "\nwant " + *out
	case out != nil:
		return ""
	case err == nil:
		return "no error, want " + wantErr
	}
	var e *Error
	var over *LimitError
	class, _, _ := strings.Cut(wantErr, ": ")
	if errors.As(err, &over) && over.What == "depth" && class == "RecursionError" {
		return ""
	}
	if !errors.As(err, &e) || e.Class != class {
		return "got error " + err.Error() + ", want " + wantErr
	}
	if e.Class == "TemplateError" && e.Class+": "+e.Msg != wantErr {
		return "got error " + err.Error() + ", want " + wantErr
	}
	return ""
}

// BenchmarkCorpus renders every case of the corpus that renders, parsing not counted.
func BenchmarkCorpus(b *testing.B) {
	type work struct {
		tmpl *Template
		vars *Dict
	}
	var all []work
	for name, c := range readCorpus(b) {
		tmpl, err := parseChat(c.Template)
		if err != nil {
			continue
		}
		for _, k := range c.Cases {
			if k.Out == nil {
				continue
			}
			vars, err := FromJSON(k.Vars)
			if err != nil {
				b.Fatalf("%s %s: %v", name, k.Name, err)
			}
			all = append(all, work{tmpl: tmpl, vars: vars.(*Dict)})
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, w := range all {
			if _, err := w.tmpl.Render(b.Context(), w.vars, Options{Now: fixedNow}); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(len(all)), "renders")
}
