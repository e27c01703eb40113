package evaluate_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/internal/evaluate"
)

// A server that counts right only to as many digits as it has loops.
func counting(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Model, Prompt string
			Loops         int
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Model != "count" {
			http.Error(w, `{"error":{"message":"no such model"}}`, http.StatusNotFound)
			return
		}
		text := in.Prompt
		if len(text) > in.Loops {
			text = "0"
		}
		fmt.Fprintf(w, `{"choices":[{"text":%q}],"usage":{"completion_tokens":2}}`, text)
	}))
	t.Cleanup(s.Close)
	return s
}

func TestRunCountsByGroup(t *testing.T) {
	s := counting(t)
	problems, err := evaluate.ReadProblems(strings.NewReader(
		`{"prompt":"7","answer":"7","group":"1"}` + "\n\n" + `{"prompt":"42","answer":"42","group":"2"}` + "\n" + `{"prompt":"43","answer":"42","group":"2"}`))
	if err != nil {
		t.Fatal(err)
	}
	last := 0
	points, err := evaluate.Run(t.Context(), evaluate.Options{
		URL: s.URL, Model: "count", Loops: []int{1, 2}, Progress: func(done, total int) { last = total - done },
	}, problems)
	if err != nil {
		t.Fatal(err)
	}
	if last != 0 {
		t.Errorf("progress ended %d short", last)
	}
	var table bytes.Buffer
	if err := evaluate.WriteTable(&table, points); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"| 1 | 33.3 % | 100.0 % | 0.0 % |", "| 2 | 66.7 % | 100.0 % | 50.0 % |"} {
		if line := strings.Split(table.String(), "\n")[i+2]; !strings.HasPrefix(line, want) {
			t.Errorf("line %q, want it to begin with %q", line, want)
		}
		if points[i].PerToken <= 0 {
			t.Errorf("loops %d: no time measured", points[i].Loops)
		}
	}
}

func TestRunStopsAtTheFirstFailure(t *testing.T) {
	s := counting(t)
	_, err := evaluate.Run(t.Context(), evaluate.Options{URL: s.URL, Model: "other", Loops: []int{1}},
		[]evaluate.Problem{{Prompt: "1", Answer: "1"}})
	if err == nil || !strings.Contains(err.Error(), "HTTP 404") || !strings.Contains(err.Error(), "no such model") {
		t.Errorf("got %v, want the server's own words", err)
	}
}

func TestReadProblemsNamesTheLine(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    "no problems",
		`{"prompt":"1","answer":"1"}` + "\nx": "line 2",
		`{"prompt":"1"}`:                      "line 1: needs",
		`{"prompt":"1","answer":2}`:           "line 1",
	} {
		if _, err := evaluate.ReadProblems(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}
