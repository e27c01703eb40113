package server_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server"
)

// checkAnyAnswer sends a body and wants, whatever it is, no 5xx, but an error in OpenAI's shape, a stream, or an answer: that
// it reads into out, and returns true.
func checkAnyAnswer(t *testing.T, srv *server.Server, s *script, path string, body []byte, out any) bool {
	t.Helper()
	w := httptest.NewRecorder()
	srv.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body)))
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
		if err := json.Unmarshal(w.Body.Bytes(), out); err != nil {
			t.Errorf("%v in %s", err, w.Body)
		}
		return true
	}
	return false
}

// Whatever the body: no 5xx, an error in OpenAI's shape or a completion, and no request that the engine must refuse.
func FuzzBody(f *testing.F) {
	for _, s := range []string{
		`{"prompt":"a"}`, `{"prompt":["a","b"],"n":2,"stop":["x"],"seed":1}`, `{"prompt":[1,2],"loops":8.0}`, `{"prompt":[[1],[2]]}`,
		`{"prompt":"a","stream":true,"stream_options":{"include_usage":true}}`, `{"loops":"8","prompt":""}`, `{"prompt":"\ud800"}`,
		`{"prompt":"a","loops":-0}`, `{"prompt":"a","loops":1e1}`, `{"prompt":"a","max_tokens":99999999999999999999}`, `{`, `[]`, `null`, `{"a":1,"a":2}`,
		`{"prompt":"a","stop_token_ids":[1,null]}`, `{"prompt":"a","temperature":1e-300,"top_k":-0.0}`, `{"prompt":"a","logit_bias":{}}`,
		`{"prompt":"a","echo":true,"max_tokens":0}`,
	} {
		f.Add([]byte(s))
	}
	limits := loopctl.LoopRange{Min: 1, Max: 12}
	f.Fuzz(func(t *testing.T, body []byte) {
		s := &script{text: "ab\x00", finish: loopctl.FinishStop}
		g := &generator{submit: func(reqs ...*loopctl.Request) ([]*loopctl.Stream, error) {
			for _, r := range reqs {
				if len(r.Prompt) == 0 || len(r.Prompt)+r.MaxTokens > 64 || r.MaxTokens < 0 || r.Loops < limits.Min || r.Loops > limits.Max || r.Sampler == nil {
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
		srv := serverOf(t, model("adder", g))
		var c wireCompletion
		if checkAnyAnswer(t, srv, s, "/v1/completions", body, &c) && len(c.Choices) == 0 {
			t.Errorf("no choices in the answer to %s", body)
		}
	})
}
