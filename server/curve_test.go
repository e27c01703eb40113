package server_test

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/loopserve/loopserve/loopctl"
)

// serveProblems serves a model that always says "1368" and has problems of its own.
func serveProblems(t *testing.T, s *script, problems func() ([]byte, error)) *httptest.Server {
	t.Helper()
	m := model("adder", &generator{submit: s.submit})
	m.Problems = problems
	srv := serverOf(t, m)
	t.Cleanup(func() {
		if err := srv.Shutdown(t.Context()); err != nil && !errors.Is(err, t.Context().Err()) {
			t.Error(err)
		}
	})
	return newTestServer(t, srv)
}

func curveOf(t *testing.T, ts *httptest.Server, path string) (a answer) {
	t.Helper()
	waitFor(t, 20*time.Second, "the curve", func() bool {
		a = send(t, ts, "GET", path, "")
		if a.status == 202 && (a.header.Get("Retry-After") == "" || !strings.Contains(a.body, `"computing"`)) {
			t.Fatalf("%s", a.body)
		}
		return a.status != 202
	})
	return a
}

func TestDepthCurve(t *testing.T) {
	s := &script{text: "1368\x00", finish: loopctl.FinishStop}
	ts := serveProblems(t, s, func() ([]byte, error) {
		return []byte(`{"prompt":"123+456+789=","answer":"1368","group":"3 terms"}` + "\n" + `{"prompt":"1+1=","answer":"2","group":"2 terms"}`), nil
	})
	a := curveOf(t, ts, "/v1/depth/curve?model=adder&loops=4,2")
	var r struct {
		Object      string
		Problems    int
		Points      []struct{ Loops, Accuracy float64 }
		Recommended struct{ Loops int }
	}
	if err := json.Unmarshal([]byte(a.body), &r); err != nil || a.status != 200 {
		t.Fatalf("%v %d %s", err, a.status, a.body)
	}
	if r.Object != "depth.curve" || r.Problems != 2 || len(r.Points) != 2 || r.Points[0].Loops != 2 || r.Points[0].Accuracy != 50 || r.Recommended.Loops != 2 {
		t.Errorf("%s", a.body)
	}
	asked, _ := s.count()
	if a := send(t, ts, "GET", "/v1/depth/curve?loops=2,4&format=", ""); a.status != 400 || !strings.Contains(a.body, "json, svg") {
		t.Errorf("an empty format gives %d: %s", a.status, a.body)
	}
	if a := send(t, ts, "GET", "/v1/depth/curve?loops=2,4&format=svg", ""); a.status != 200 || !strings.Contains(a.body, "Accuracy against loops: adder") {
		t.Errorf("%d %.300s", a.status, a.body)
	}
	if again, _ := s.count(); again != asked {
		t.Errorf("%d requests more for a curve that is there", again-asked)
	}
	checkError(t, send(t, ts, "GET", "/v1/depth/curve?max_loss=some", ""), 400, "invalid_type", "max_loss",
		`max_loss is "some", a string: it must be a number from 0 to 100; points of accuracy that the recommended loops may lose`)
	checkError(t, send(t, ts, "GET", "/v1/depth/curve?max_loss=", ""), 400, "invalid_type", "max_loss",
		`max_loss is "", a string: it must be a number from 0 to 100; points of accuracy that the recommended loops may lose`)
	checkError(t, send(t, ts, "GET", "/v1/depth/curve?max_loss=null", ""), 400, "invalid_type", "max_loss",
		`max_loss is "null", a string: it must be a number from 0 to 100; points of accuracy that the recommended loops may lose`)
	checkError(t, send(t, ts, "GET", "/v1/depth/curve?loops=1&loops=2", ""), 400, "invalid_value", "loops", "loops is given 2 times: give it once")
	checkError(t, send(t, ts, "GET", "/v1/depth/curve?loops=0", ""), 400, "loops_out_of_range", "loops",
		`loops is 0: model adder takes an integer from 1 to 12`)
}

// The advice names a threshold where a policy was asked for, and follows the loss that is wanted.
func TestDepthCurveOfPolicy(t *testing.T) {
	ts := serveProblems(t, &script{text: "1368\x00", finish: loopctl.FinishStop}, func() ([]byte, error) {
		return []byte(`{"prompt":"123+456+789=","answer":"1368"}`), nil
	})
	a := curveOf(t, ts, "/v1/depth/curve?loops=2,4&exit_policy=kl&max_loss=3")
	var r struct {
		Points []struct {
			Loops     int
			Policy    string  `json:"exit_policy"`
			Threshold float64 `json:"exit_threshold"`
		}
		Recommended struct {
			MaxLoss   float64 `json:"max_loss"`
			Policy    string  `json:"exit_policy"`
			Threshold float64 `json:"exit_threshold"`
		}
	}
	if err := json.Unmarshal([]byte(a.body), &r); err != nil || a.status != 200 {
		t.Fatalf("%v %d %s", err, a.status, a.body)
	}
	if len(r.Points) != 7 || r.Points[2].Loops != 4 || r.Points[2].Policy != "kl" || r.Points[2].Threshold != 1e-5 ||
		r.Recommended.MaxLoss != 3 || r.Recommended.Policy != "kl" || r.Recommended.Threshold == 0 {
		t.Errorf("%s", a.body)
	}
	readDocument(t, send(t, ts, "GET", "/openapi.json", "").body).conforms(t, "GET", "/v1/depth/curve", a)
	if a := send(t, ts, "GET", "/v1/depth/curve?loops=2,4&exit_policy=kl", ""); !strings.Contains(a.body, `"max_loss":0.5`) {
		t.Errorf("another loss, of the same curve: %d %s", a.status, a.body)
	}
	if a := send(t, ts, "GET", "/v1/depth/curve?loops=2,4&exit_policy=kl&format=svg", ""); a.status != 200 || !strings.Contains(a.body, "kl") {
		t.Errorf("%d %.300s", a.status, a.body)
	}
	if a := curveOf(t, ts, "/v1/depth/curve?model=adder@3"); !strings.Contains(a.body, `"loops":3`) || strings.Contains(a.body, `"loops":4`) {
		t.Errorf("the name's own loops: %s", a.body)
	}
	if a := send(t, ts, "GET", "/v1/depth/curve?exit_policy=hazard", ""); a.status != 400 || !strings.Contains(a.body, `write \"gate\"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestDepthCurveTellsOfFailure(t *testing.T) {
	failing := &script{text: "a", finish: loopctl.FinishError, err: loopctl.ErrEngine}
	ts := serveProblems(t, failing, func() ([]byte, error) { return []byte(`{"prompt":"1","answer":"1"}`), nil })
	if a := curveOf(t, ts, "/v1/depth/curve"); a.status != 500 || !strings.Contains(a.body, "engine_error") {
		t.Errorf("%d %s", a.status, a.body)
	}
	ts = serveProblems(t, failing, nil)
	checkError(t, send(t, ts, "GET", "/v1/depth/curve", ""), 404, "no_problems", "model",
		"model adder has no problems to measure it with: put an eval.jsonl into its bundle, or run `loopserve eval --problems`")
	ts = serveProblems(t, failing, func() ([]byte, error) { return []byte("x"), nil })
	if a := send(t, ts, "GET", "/v1/depth/curve", ""); a.status != 500 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// force used to start a benchmark beside a curve that was being computed, and each measured the other.
func TestCurvesAndBenchmarksTakeTurns(t *testing.T) {
	s := &script{text: "1368\x00", finish: loopctl.FinishStop, gate: make(chan struct{})}
	ts := serveProblems(t, s, func() ([]byte, error) { return []byte(`{"prompt":"1","answer":"1"}`), nil })
	path := "/v1/depth/curve?loops=2"
	if a := send(t, ts, "GET", path, ""); a.status != 202 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	for _, force := range []string{"true", "false"} {
		a := send(t, ts, "POST", "/v1/bench", `{"loops":[1],"max_tokens":2,"runs":1,"force":`+force+`}`)
		checkError(t, a, 503, "curve_running", "null", "a depth curve of model adder is being computed, and concurrent measurements distort each other: try again when it is done")
		if a.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	if a := send(t, ts, "GET", "/v1/depth/curve?loops=3", ""); a.status != 503 || !strings.Contains(a.body, "another depth curve is being computed") {
		t.Errorf("%d %s", a.status, a.body)
	}
	close(s.gate)
	if a := curveOf(t, ts, path); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestNoCurveBesideABenchmark(t *testing.T) {
	s := &script{text: "abc", finish: loopctl.FinishLength, gate: make(chan struct{})}
	ts := serveProblems(t, s, func() ([]byte, error) { return []byte(`{"prompt":"1","answer":"1"}`), nil })
	b := readBench(t, send(t, ts, "POST", "/v1/bench", `{"loops":[1],"max_tokens":2,"runs":1}`), 202)
	checkError(t, send(t, ts, "GET", "/v1/depth/curve?loops=2", ""), 503, "curve_running", "null",
		"a benchmark is running, and concurrent measurements distort each other: try again when it is done")
	second := send(t, ts, "POST", "/v1/bench", `{"loops":[1],"max_tokens":2,"runs":1}`)
	checkError(t, second, 409, "bench_running", "null",
		"another benchmark is running, and concurrent benchmarks distort each other: wait for "+b.ID+", or delete it")
	send(t, ts, "DELETE", "/v1/bench/"+b.ID, "")
	close(s.gate)
	if a := curveOf(t, ts, "/v1/depth/curve?loops=2"); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}
