package measure_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/internal/measure"
	"github.com/loopserve/loopserve/loopctl"
)

// A server that counts right only to as many digits as it has loops. Under a policy it takes a loop for each digit; a
// draft of 1 is right for every other token, one of 2 spoils the answer.
func counting(t *testing.T) *measure.HTTP {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/models/count" {
			fmt.Fprint(w, `{"id":"count","loops":{"min":1,"max":3}}`)
			return
		}
		var in struct {
			Model, Prompt string
			Loops         int
			Echo          bool
			ExitPolicy    string `json:"exit_policy"`
			DraftLoops    int    `json:"draft_loops"`
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Model != "count" {
			http.Error(w, `{"error":{"message":"no such model"}}`, http.StatusNotFound)
			return
		}
		if in.Echo {
			fmt.Fprint(w, `{"choices":[{"text":"7=é","logprobs":{"tokens":["7","=","é"],"text_offset":[0,1,2],"token_logprobs":[null,-1,-0.5],"top_logprobs":[null,{"x":-0.1},{"é":-0.5}]}}]}`)
			return
		}
		text, loops, drafted := in.Prompt, in.Loops, 0
		if in.ExitPolicy != "" {
			loops = min(loops, len(text))
		}
		if len(text) > loops || in.DraftLoops == 2 {
			text = "0"
		}
		if in.DraftLoops > 0 {
			drafted = 2
		}
		fmt.Fprintf(w, `{"choices":[{"text":%q}],"usage":{"completion_tokens":2,"completion_tokens_details":{"loops":{"total":%d}}},
			"timings":{"time_to_first_token_ms":1.5,"drafted":%d,"accepted":%d}}`, text, 2*loops, drafted, drafted/2)
	}))
	t.Cleanup(s.Close)
	return &measure.HTTP{URL: s.URL + "/v1", Model: "count"}
}

var digits = []measure.Problem{
	{Prompt: "7", Answer: "7", Group: "1"},
	{Prompt: "42", Answer: "42", Group: "2"},
	{Prompt: "43", Answer: "42", Group: "2"},
}

func fixed(loops ...int) (out []measure.Depth) {
	for _, n := range loops {
		out = append(out, measure.Depth{Loops: n})
	}
	return out
}

func run(t *testing.T, depths []measure.Depth) *measure.Curve {
	t.Helper()
	last := 0
	c, err := measure.Score(t.Context(), counting(t), measure.Evaluation{
		Problems: digits, Depths: depths, Timed: len(digits), Progress: func(done, total int) { last = total - done },
	})
	if err != nil {
		t.Fatal(err)
	}
	if last != 0 {
		t.Errorf("progress ended %d short", last)
	}
	c.Model = "count"
	return c
}

func TestRunCountsByGroup(t *testing.T) {
	c := run(t, fixed(1, 2))
	var table bytes.Buffer
	if err := measure.Write(&table, measure.Table, c); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"| 1 | 33.3 % | 100.0 % | 0.0 % | 1.50 ms |", "| 2 | 66.7 % | 100.0 % | 50.0 % | 1.50 ms |"} {
		if line := strings.Split(table.String(), "\n")[i+2]; !strings.HasPrefix(line, want) {
			t.Errorf("line %q, want it to begin with %q", line, want)
		}
		if p := c.Points[i]; *p.PerToken <= 0 || *p.E2E < *p.PerToken {
			t.Errorf("loops %d: no time measured", p.Loops)
		}
	}
}

// Under a policy the harder group takes more loops, and the table, the advice and the plots say so.
func TestPolicies(t *testing.T) {
	policy := measure.Depth{Loops: 4, Exit: loopctl.ExitPolicy{Kind: loopctl.ExitDelta, Threshold: 0.1}}
	c := run(t, append(fixed(1, 2, 4), policy))
	p := c.Points[3]
	if got := p.MeanLoops; math.Abs(got-5.0/3) > 1e-9 || p.Groups[0].MeanLoops != 1 || p.Groups[1].MeanLoops != 2 {
		t.Errorf("mean loops %v, %v", got, p.Groups)
	}
	var table bytes.Buffer
	if err := measure.Write(&table, measure.Table, c); err != nil || !strings.Contains(table.String(), "| delta 0.1 | 66.7 % | 1.67 | 100.0 % (1.00) | 50.0 % (2.00) |") {
		t.Errorf("%v %s", err, table.String())
	}
	advice := measure.Advise(c.Points, 0.5)
	if want := "best: 66.7 % at 2 loops\nat most 0.5 points less: loops 2 (66.7 %), or exit_policy delta, exit_threshold 0.1, loops 4 (66.7 %): 1.67 loops per token, 83 % of the best's and 42 % of 4"; write(t, measure.Table, advice) != want {
		t.Errorf("%s", write(t, measure.Table, advice))
	}
	if advice := measure.Advise(c.Points, 50); advice.Loops != 1 {
		t.Errorf("%+v", advice)
	}
	if measure.Advise(c.Points[3:], 1) != nil {
		t.Error("advice without a fixed depth to compare with")
	}
	var r measure.Curve
	c.Recommended = advice
	var text bytes.Buffer
	if err := errors.Join(measure.Write(&text, measure.JSON, c), json.Unmarshal(text.Bytes(), &r)); err != nil {
		t.Fatal(err)
	}
	if r.Recommended.Loops != 2 || r.Recommended.ExitPolicy != "delta" || r.Points[3].MeanLoops != 5.0/3 || r.Problems != 3 || r.Points[0].Low >= r.Points[0].Accuracy {
		t.Errorf("%+v %+v", r.Recommended, r.Points)
	}
	for want, svg := range map[string][]byte{
		"Accuracy against loops: count":      c.AccuracyPlot(true),
		"Accuracy against mean loops: count": c.PolicyPlot(),
		"Loops by difficulty: count":         c.DifficultyPlot(),
	} {
		if !strings.Contains(string(svg), want) || strings.Contains(string(svg), "NaN") {
			t.Errorf("%s: %s", want, svg)
		}
	}
}

func TestDepthPlot(t *testing.T) {
	looped, deep := run(t, fixed(1, 2)), run(t, fixed(1))
	looped.Model, looped.Looped, looped.After = "looped", 2, 1
	deep.Model, deep.Looped = "deep", 8
	if looped.Title() != "looped (0 + 2⊗L + 1 layers)" {
		t.Errorf("%s", looped.Title())
	}
	svg := string(measure.DepthPlot([]*measure.Curve{looped, deep}))
	if !strings.Contains(svg, "looped: 5, 66.67") || !strings.Contains(svg, "deep: 8, 33.33") || !strings.Contains(svg, "layers applied to a token") {
		t.Errorf("%s", svg)
	}
}

func TestLikelihood(t *testing.T) {
	h := counting(t)
	c, err := measure.Score(t.Context(), h, measure.Evaluation{Depths: fixed(2), Likelihood: true, Problems: []measure.Problem{{Prompt: "7=", Answer: "é"}}})
	if err != nil {
		t.Fatal(err)
	}
	if p := c.Points[0]; p.Accuracy != 100 || *p.NatsPerToken != 0.5 || p.MeanLoops != 2 {
		t.Errorf("%+v", p)
	}
	l, err := h.Do(t.Context(), measure.Ask{Depth: measure.Depth{Loops: 1}, Prompt: "7", Answer: "=é"})
	if err != nil || l.Greedy || l.Logprob != -1.5 || l.Scored != 2 {
		t.Errorf("%v %+v", err, l)
	}
}

func TestDraftsAreCompared(t *testing.T) {
	depths := append(fixed(2), measure.Depth{Loops: 2, Draft: 1}, measure.Depth{Loops: 2, Draft: 2})
	c, err := measure.Score(t.Context(), counting(t), measure.Evaluation{Problems: digits, Timed: 2, Depths: depths})
	if err != nil {
		t.Fatal(err)
	}
	found := c.Drafts
	if d := found[0]; d.Different != 0 || d.Acceptance() != 50 || d.Drafted != 6 || d.SpeedUp() <= 0 {
		t.Errorf("%+v", d)
	}
	if d := found[1]; d.Different != 3 || d.Example != `"7": "0" with a draft, "7" without` {
		t.Errorf("%+v", d)
	}
	var table bytes.Buffer
	if err := measure.Write(&table, measure.Table, c); err != nil || !strings.Contains(table.String(), "| 2 | 1 | 3 | 0 | 50.0 % |") {
		t.Errorf("%v %s", err, table.String())
	}
	if _, err := measure.Score(t.Context(), counting(t), measure.Evaluation{Problems: digits, Depths: depths[1:]}); err == nil {
		t.Error("drafts were compared with nothing")
	}
}

func TestRunStopsAtTheFirstFailure(t *testing.T) {
	h := counting(t)
	if low, high, err := h.Range(t.Context()); err != nil || low != 1 || high != 3 {
		t.Errorf("%d to %d, %v", low, high, err)
	}
	h.Model = "other"
	if _, _, err := h.Range(t.Context()); err == nil || !strings.Contains(err.Error(), "HTTP 404") {
		t.Errorf("got %v", err)
	}
	_, err := measure.Score(t.Context(), h, measure.Evaluation{Problems: digits, Depths: fixed(1)})
	if err == nil || !strings.Contains(err.Error(), "HTTP 404") || !strings.Contains(err.Error(), "no such model") {
		t.Errorf("got %v, want the server's own words", err)
	}
}

func TestReadProblems(t *testing.T) {
	list, err := measure.ReadProblems([]byte(
		`{"prompt":"7","answer":"7","group":"1"}` + "\n\n" + `{"prompt":"42","answer":"42","difficulty":2}` + "\n" + `{"prompt":"4","answer":"2","difficulty":"hard"}`))
	if err != nil || len(list) != 3 || list[0].Group != "1" || list[1].Group != "2" || list[2].Group != "hard" {
		t.Errorf("%v %+v", err, list)
	}
	if some := measure.Some(list, 2); len(some) != 2 || some[1].Prompt != "42" {
		t.Errorf("%+v", some)
	}
	for text, want := range map[string]string{
		"":                                    "no problems",
		`{"prompt":"1","answer":"1"}` + "\nx": "line 2",
		`{"prompt":"1"}`:                      "line 1: needs",
		`{"prompt":"1","answer":2}`:           "line 1",
	} {
		if _, err := measure.ReadProblems([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

// A model of two loops cannot agree four times.
func TestThresholdsFitTheModel(t *testing.T) {
	for _, tt := range []struct {
		kind loopctl.ExitKind
		most int
		want []float64
	}{
		{loopctl.ExitArgmax, 2, []float64{2, 1}},
		{loopctl.ExitKL, 2, []float64{1e-5, 1e-4, 1e-3, 1e-2, 1e-1}},
		{loopctl.ExitKL, 1, nil},
		{loopctl.ExitNone, 2, nil},
	} {
		var got []float64
		for _, d := range measure.Depths([]int{1}, tt.most, []loopctl.ExitKind{tt.kind}, nil, 0)[1:] {
			got = append(got, d.Exit.Threshold)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%v of %d loops is tried at %v, want %v", tt.kind, tt.most, got, tt.want)
		}
	}
}
