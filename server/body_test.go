package server_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server"
)

func newTestServer(t *testing.T, srv *server.Server) *httptest.Server {
	t.Helper()
	ts := httptest.NewServer(srv)
	t.Cleanup(ts.Close)
	return ts
}

// Whatever the body: no 5xx, an error in OpenAI's shape or a completion, and no request that the engine must refuse.
func FuzzBody(f *testing.F) {
	for _, s := range []string{
		`{"prompt":"a"}`, `{"prompt":["a","b"],"n":2,"stop":["x"],"seed":1}`, `{"prompt":[1,2],"loops":8.0}`, `{"prompt":[[1],[2]]}`,
		`{"prompt":"a","stream":true,"stream_options":{"include_usage":true}}`, `{"loops":"8","prompt":""}`, `{"prompt":"\ud800"}`,
		`{"prompt":"a","loops":-0}`, `{"prompt":"a","loops":1e1}`, `{"prompt":"a","max_tokens":99999999999999999999}`, `{`, `[]`, `null`, `{"a":1,"a":2}`,
		`{"prompt":"a","stop_token_ids":[1,null]}`, `{"prompt":"a","temperature":1e-300,"top_k":-0.0}`, `{"prompt":"a","logit_bias":{}}`,
	} {
		f.Add([]byte(s))
	}
	limits := loopctl.LoopRange{Min: 1, Max: 12}
	f.Fuzz(func(t *testing.T, body []byte) {
		s := &script{text: "ab\x00", finish: loopctl.FinishStop}
		g := &generator{submit: func(reqs ...*loopctl.Request) ([]*loopctl.Stream, error) {
			for _, r := range reqs {
				if len(r.Prompt) == 0 || len(r.Prompt)+r.MaxTokens > 64 || r.MaxTokens < 1 || r.Loops < limits.Min || r.Loops > limits.Max || r.Picker == nil {
					t.Errorf("bad request got through: %+v", r)
				}
				for _, id := range r.Prompt {
					if id < 0 || id > 255 {
						t.Errorf("id %d got through", id)
					}
				}
			}
			return s.submit(reqs...)
		}}
		srv := server.New(server.Config{}, quiet(), nil)
		if err := srv.SetModels(model("adder", g)); err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v1/completions", strings.NewReader(string(body))))
		s.wg.Wait()
		switch {
		case w.Code >= 500:
			t.Errorf("status %d: %s", w.Code, w.Body)
		case w.Code >= 400:
			var e wireError
			if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || e.Error.Message == "" || e.Error.Code == nil {
				t.Errorf("status %d: %v in %s", w.Code, err, w.Body)
			}
		case strings.HasPrefix(w.Header().Get("Content-Type"), "text/event-stream"):
			events(t, w.Body.String())
		default:
			var c wireCompletion
			if err := json.Unmarshal(w.Body.Bytes(), &c); err != nil || len(c.Choices) == 0 {
				t.Errorf("%v in %s", err, w.Body)
			}
		}
	})
}
