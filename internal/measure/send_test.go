package measure_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/internal/measure"
)

func TestSend(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case r.Header.Get("Authorization") != "Bearer key":
			http.Error(w, `{"error":{"message":"no key"}}`, http.StatusUnauthorized)
		case r.URL.Path == "/v1/echo" && r.Header.Get("Content-Type") == "application/json":
			_, _ = w.Write(body)
		case r.URL.Path == "/v1/models":
			_, _ = w.Write([]byte(`{"n":2}`))
		default:
			_, _ = w.Write([]byte("plain"))
		}
	}))
	defer s.Close()
	c := &measure.HTTP{URL: s.URL + "/v1/", Key: "key"}
	var out struct{ N int }
	if err := c.Get(t.Context(), "/v1/models", &out); err != nil || out.N != 2 {
		t.Errorf("%v, %+v", err, out)
	}
	if err := c.Post(t.Context(), "/v1/echo", map[string]int{"n": 3}, &out); err != nil || out.N != 3 {
		t.Errorf("%v, %+v", err, out)
	}
	if err := c.Get(t.Context(), "/plain", &out); err == nil || !strings.Contains(err.Error(), "plain") {
		t.Errorf("not JSON: %v", err)
	}
	c.Key = ""
	err := c.Get(t.Context(), "/v1/models", &out)
	var status *measure.StatusError
	if !errors.As(err, &status) || status.Status != http.StatusUnauthorized || status.Message() != "no key" {
		t.Errorf("without a key: %v", err)
	}
}

func TestEvents(t *testing.T) {
	var got []string
	take := func(data []byte) error {
		if string(data) == "bad" {
			return io.ErrNoProgress
		}
		got = append(got, string(data))
		return nil
	}
	if err := measure.Events(strings.NewReader(": ping\n\ndata: a\n\ndata:b\n\ndata: [DONE]\n\ndata: late\n\n"), take); err != nil || !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("%v, %q", err, got)
	}
	if err := measure.Events(strings.NewReader("data: a\n\n"), take); !errors.Is(err, measure.ErrCut) {
		t.Errorf("cut: %v", err)
	}
	if err := measure.Events(strings.NewReader("data: bad\n\ndata: [DONE]\n\n"), take); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("refused: %v", err)
	}
}

// Whatever a server sends: each event is one line without its end, and without [DONE] the stream was cut.
func FuzzEvents(f *testing.F) {
	for _, seed := range []string{"data: {}\n\ndata: [DONE]\n\n", "data:a\r\n\r\n: note\nevent: x\ndata: b", "data: [DONE", "data: \n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		err := measure.Events(strings.NewReader(text), func(data []byte) error {
			if strings.ContainsAny(string(data), "\n") || string(data) == "[DONE]" {
				t.Errorf("event %q", data)
			}
			return nil
		})
		if err == nil && !strings.Contains(text, "[DONE]") || err != nil && !errors.Is(err, measure.ErrCut) {
			t.Errorf("%v of %q", err, text)
		}
	})
}
