package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server/generate"
)

// counted is a response whose writes are counted, apart from those that are full pieces of one, and that tells of each flush.
type counted struct {
	*httptest.ResponseRecorder
	writes, pieces, flushes int
	flushed                 func()
	since, most             int // bytes since a deadline was set
}

func (c *counted) Write(p []byte) (int, error) {
	if len(p) < 4096 {
		c.writes++
	} else {
		c.pieces++
	}
	c.since += len(p)
	c.most = max(c.most, c.since)
	return c.ResponseRecorder.Write(p)
}

func (c *counted) SetWriteDeadline(time.Time) error {
	c.since = 0
	return nil
}

func (c *counted) Flush() {
	c.flushes++
	c.flushed()
}

// sayer pushes the tokens of text, some at a time, the first ones when it is asked.
type sayer struct {
	text   string
	first  int
	stream *loopctl.Stream
	at     int
	loops  int
}

func (s *sayer) Submit(reqs ...*loopctl.Request) ([]*loopctl.Stream, error) {
	s.stream, s.loops = loopctl.NewStream(len(s.text)), reqs[0].Loops
	s.say(s.first)
	return []*loopctl.Stream{s.stream}, nil
}

func (*sayer) Snapshot() loopctl.Snapshot { return loopctl.Snapshot{} }

func (s *sayer) say(tokens int) {
	for range min(tokens, len(s.text)-s.at) {
		e := loopctl.Event{Token: loopctl.Sampled{ID: int32(s.text[s.at])}, Loops: s.loops}
		if s.at++; s.at == len(s.text) {
			e.Finish, e.Stats = loopctl.FinishLength, &loopctl.Stats{CompletionTokens: s.at}
		}
		s.stream.Push(e)
	}
}

func streamed(t testing.TB, path, body string, tokens int) *counted {
	t.Helper()
	say := &sayer{text: strings.Repeat("Hello, world. ", 4), first: tokens}
	m := model("adder", say)
	m.ChatTemplate, m.Context = chatML, 512
	w := &counted{ResponseRecorder: httptest.NewRecorder(), flushed: func() { say.say(tokens) }}
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("X-Request-Id", "one")
	serverOf(t, m).ServeHTTP(w, r)
	return w
}

// Events that are there together go out in one write with one flush, and are the bytes that they are one by one.
func TestEventsTogether(t *testing.T) {
	for path, body := range map[string]string{
		"/v1/completions":      `{"prompt":"x","max_tokens":60,"stream":true,"stream_options":{"include_usage":true}}`,
		"/v1/chat/completions": `{"messages":[{"role":"user","content":"x"}],"stream":true}`,
		"/v1/messages":         `{"messages":[{"role":"user","content":"x"}],"max_tokens":60,"stream":true}`,
		"/v1/responses":        `{"input":"x","stream":true,"store":false}`,
	} {
		t.Run(path, func(t *testing.T) {
			single, five, all := streamed(t, path, body, 1), streamed(t, path, body, 5), streamed(t, path, body, 56)
			when := regexp.MustCompile(`"(created|created_at|completed_at)":\d+|msg_\w+`)
			want := when.ReplaceAllString(single.Body.String(), "")
			if single.Code != 200 || strings.Count(want, "data: ") < 56 {
				t.Fatalf("status %d, %s", single.Code, want)
			}
			for _, w := range []*counted{five, all} {
				if got := when.ReplaceAllString(w.Body.String(), ""); got != want {
					t.Errorf("%d writes:\n%s\none by one:\n%s", w.writes, got, want)
				}
			}
			if single.writes != 56 || five.writes != 12 || all.writes != 1 {
				t.Errorf("%d, %d and %d writes of 56 tokens that come 1, 5 and 56 at a time", single.writes, five.writes, all.writes)
			}
			for _, w := range []*counted{single, five, all} {
				if w.flushes != w.writes+w.pieces {
					t.Errorf("%d writes, %d flushes", w.writes+w.pieces, w.flushes)
				}
			}
		})
	}
}

// Events wait for a flush up to a bound, also where the reader never finds the stream empty.
func TestEventsTogetherBounded(t *testing.T) {
	w := streamed(t, "/v1/completions", `{"prompt":"`+strings.Repeat("x", 400)+`","echo":true,"return_token_ids":true,"max_tokens":60,"stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":true}}`, 56)
	if n := w.Body.Len(); n < 20<<10 || w.writes != 1+n/(17<<10) {
		t.Errorf("%d bytes in %d writes", n, w.writes)
	}
	if w.most < 4000 || w.most > 4096 { // a slow reader has the time of a write for few
		t.Errorf("%d bytes have the time of one write", w.most)
	}
}

// BenchmarkStream reads a streamed answer over a connection: tokens that wait for a reader that lags, and tokens that come
// when the one before has been read.
func BenchmarkStream(b *testing.B) {
	for _, lag := range []bool{true, false} {
		b.Run(fmt.Sprintf("lags=%t", lag), func(b *testing.B) {
			const tokens = 56
			said := make(chan *sayer, 1)
			text := strings.Repeat("Hello, world. ", 4)
			m := model("adder", &generator{submit: func(reqs ...*loopctl.Request) ([]*loopctl.Stream, error) {
				s := &sayer{text: text, first: 1}
				if lag {
					s.first = tokens
				} else {
					said <- s
				}
				return s.Submit(reqs...)
			}})
			ts := httptest.NewServer(serverOf(b, m))
			defer ts.Close()
			b.ReportAllocs()
			for b.Loop() {
				res, err := ts.Client().Post(ts.URL+"/v1/completions", "application/json", strings.NewReader(`{"prompt":"x","max_tokens":60,"stream":true}`))
				if err != nil {
					b.Fatal(err)
				}
				if !lag {
					s := <-said
					lines := bufio.NewReader(res.Body)
					for i := range tokens {
						if i > 0 {
							s.say(1)
						}
						for range 2 {
							if _, err := lines.ReadString('\n'); err != nil {
								b.Fatal(err)
							}
						}
					}
				}
				_, _ = io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*tokens), "ns/token")
		})
	}
}

var _ generate.Generator = (*sayer)(nil)
