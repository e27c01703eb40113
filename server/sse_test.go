package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server"
)

// events splits a stream, strictly: every event is one line "data: …" and an empty line, the last is [DONE].
func events(t *testing.T, stream string) []string {
	t.Helper()
	var out []string
	for rest := stream; rest != ""; {
		event, tail, ok := strings.Cut(rest, "\n\n")
		data, isData := strings.CutPrefix(event, "data: ")
		if !ok || !isData || strings.ContainsAny(data, "\n\r") {
			t.Fatalf("not an event: %q", rest)
		}
		out, rest = append(out, data), tail
	}
	if len(out) == 0 || out[len(out)-1] != "[DONE]" {
		t.Fatalf("no [DONE] at the end of %q", stream)
	}
	return out[:len(out)-1]
}

func chunks(t *testing.T, a answer) []wireCompletion {
	t.Helper()
	if a.status != http.StatusOK || a.header.Get("Content-Type") != "text/event-stream" || a.header.Get("X-Accel-Buffering") != "no" {
		t.Fatalf("status %d, headers %v, %s", a.status, a.header, a.body)
	}
	var out []wireCompletion
	for _, e := range events(t, a.body) {
		var c wireCompletion
		if err := json.Unmarshal([]byte(e), &c); err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
	return out
}

func TestStream(t *testing.T) {
	s := &script{text: "1<\n\"\x00", finish: loopctl.FinishStop}
	ts, _ := serve(t, s, server.Config{})
	got := chunks(t, post(t, ts, `{"prompt":"1+1=","stream":true,"loops":3,"return_loops":true}`))
	if len(got) != 5 {
		t.Fatalf("%d chunks, want one per token", len(got))
	}
	text := ""
	for i, c := range got {
		ch := c.Choices[0]
		text += ch.Text
		if c.ID != got[0].ID || c.Object != "text_completion" || len(ch.Loops) != 1 || ch.Loops[0] != 3 || c.Usage != nil {
			t.Errorf("chunk %d: %+v", i, c)
		}
		if last := i == 4; (ch.FinishReason != nil) != last || (c.Timings != nil) != last {
			t.Errorf("chunk %d: finish %v, timings %v", i, ch.FinishReason, c.Timings)
		}
	}
	if text != "1<\n\"" {
		t.Errorf("text %q", text)
	}
}

func TestStreamUsage(t *testing.T) {
	s := &script{text: "abc", finish: loopctl.FinishLength}
	ts, _ := serve(t, s, server.Config{})
	got := chunks(t, post(t, ts, `{"prompt":"xy","n":2,"stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":true}}`))
	if len(got) != 7 {
		t.Fatalf("%d chunks, want 2 × 3 and the usage", len(got))
	}
	for i, c := range got[:6] {
		if c.Usage == nil || c.Usage.CompletionTokens != i+1 || c.Timings != nil {
			t.Errorf("chunk %d: %+v", i, c)
		}
	}
	last := got[6]
	if len(last.Choices) != 0 || last.Usage.TotalTokens != 8 || last.Usage.CompletionTokensDetails.Loops.Total != 24 || last.Timings == nil {
		t.Errorf("last chunk %+v", last)
	}
}

func TestStreamError(t *testing.T) {
	s := &script{text: "abc", finish: loopctl.FinishError, err: loopctl.ErrEngine}
	ts, _ := serve(t, s, server.Config{})
	got := events(t, post(t, ts, `{"prompt":"x","stream":true}`).body)
	if last := got[len(got)-1]; len(got) != 3 || !strings.HasPrefix(last, `{"error":{"message":"the model's engine failed`) {
		t.Errorf("events %q", got)
	}
}

// A token is on the wire before the next one is there.
func TestFlushPerToken(t *testing.T) {
	s := &script{text: "abc", finish: loopctl.FinishLength, gate: make(chan struct{})}
	ts, _ := serve(t, s, server.Config{})
	res := open(t, ts, s)
	defer res.Body.Close()
	lines := bufio.NewReader(res.Body)
	for i, want := range []string{`"text":"a"`, `"text":"b"`, `"text":"c"`} {
		if i > 0 {
			s.gate <- struct{}{}
		}
		line, err := lines.ReadString('\n')
		if err != nil || !strings.Contains(line, want) {
			t.Fatalf("%q, %v; want %s", line, err, want)
		}
		_, _ = lines.ReadString('\n')
	}
	rest, _ := io.ReadAll(lines)
	if string(rest) != "data: [DONE]\n\n" {
		t.Errorf("rest %q", rest)
	}
}

// open begins a stream and opens the gate to its first token, with which its headers come.
func open(t *testing.T, ts *httptest.Server, s *script) *http.Response {
	t.Helper()
	go func() { s.gate <- struct{}{} }()
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, ts.URL+"/v1/completions", strings.NewReader(`{"prompt":"x","max_tokens":60,"stream":true}`))
	res, err := ts.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// Until a stream's first token nothing is on the wire, so that a balancer may ask another replica; an error has its status.
func TestStreamBeginsWithItsFirstToken(t *testing.T) {
	const chat, typed = `{"model":"adder","messages":[{"role":"user","content":"x"}],"max_tokens":9,"stream":true}`, `{"model":"adder","input":"x","stream":true}`
	for path, body := range map[string]string{"/v1/completions": `{"prompt":"x","stream":true}`, "/v1/chat/completions": chat, "/v1/messages": chat, "/v1/responses": typed} {
		t.Run(path, func(t *testing.T) {
			fails := &script{text: "a", finish: loopctl.FinishError, err: loopctl.ErrEngine}
			ts, _ := serve(t, fails, server.Config{})
			if a := send(t, ts, http.MethodPost, path, body); a.status != http.StatusInternalServerError || !strings.Contains(a.body, "engine failed") || strings.Contains(a.body, "data:") {
				t.Errorf("%d %s", a.status, a.body)
			}
			s := &script{text: "ab", finish: loopctl.FinishStop, gate: make(chan struct{})}
			ts, _ = serve(t, s, server.Config{})
			conn, err := net.Dial("tcp", ts.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
			waitFor(t, time.Minute, "submitted", func() bool { n, _ := s.count(); return n == 1 })
			_ = conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			if n, err := conn.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("%d bytes before the first token, %v", n, err)
			}
			s.gate <- struct{}{}
			_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
			first := make([]byte, 64<<10)
			if n, err := conn.Read(first); err != nil || !strings.Contains(string(first[:n]), "data:") {
				t.Errorf("the first bytes have no event: %q, %v", first[:n], err)
			}
			s.gate <- struct{}{}
		})
	}
}

func TestClientGone(t *testing.T) {
	for _, body := range []string{`{"prompt":"x","stream":true}`, `{"prompt":["x","y"],"n":2}`} {
		t.Run(body, func(t *testing.T) {
			s := &script{text: "abc", finish: loopctl.FinishLength, gate: make(chan struct{})}
			ts, _ := serve(t, s, server.Config{})
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				for n, _ := s.count(); n == 0; n, _ = s.count() {
					time.Sleep(time.Millisecond)
				}
				cancel()
			}()
			r, _ := http.NewRequestWithContext(ctx, http.MethodPost, ts.URL+"/v1/completions", strings.NewReader(body))
			if res, err := ts.Client().Do(r); err == nil {
				_, _ = io.ReadAll(res.Body)
				res.Body.Close()
			}
			s.wg.Wait() // ends only if each sequence was cancelled: nobody opens the gate
			if n, c := s.count(); c != n {
				t.Errorf("%d of %d sequences cancelled", c, n)
			}
		})
	}
}

// A client that connects, asks and never reads is cut off by the write deadline, and its sequence with it.
func TestStuckReader(t *testing.T) {
	s := &script{text: strings.Repeat("a", 40000), finish: loopctl.FinishLength}
	srv := server.New(server.Config{WriteTimeout: 100 * time.Millisecond}, nil, nil)
	m := model("adder", &generator{submit: s.submit})
	m.Context = 1 << 20
	if err := srv.SetModels(m); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(smallBuffers{l}) }()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.(*net.TCPConn).SetReadBuffer(4096)
	body := `{"prompt":"x","max_tokens":40000,"stream":true}`
	if _, err := io.WriteString(conn, "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 47\r\n\r\n"+body); err != nil {
		t.Fatal(err)
	}
	for n, _ := s.count(); n == 0; n, _ = s.count() {
		time.Sleep(time.Millisecond)
	}
	s.wg.Wait() // 40000 events are more than the sockets hold
	if _, cancelled := s.count(); cancelled != 1 {
		t.Error("the sequence ran to its end although nobody read")
	}
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// smallBuffers makes a listener's connections block soon.
type smallBuffers struct{ net.Listener }

func (l smallBuffers) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		_ = c.(*net.TCPConn).SetWriteBuffer(4096)
	}
	return c, err
}

func FuzzEventFraming(f *testing.F) {
	for _, s := range []string{"a", "\n\n", "data: [DONE]\n\n", "\r", "\u2028", "\x00\x7f"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var letters []rune
		for _, r := range text {
			letters = append(letters, r&0xff)
		}
		text = string(letters)
		if text == "" || len(letters) > 60 {
			return
		}
		s := &script{text: text, finish: loopctl.FinishLength}
		srv := serverOf(t, model("adder", &generator{submit: s.submit}))
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, "/v1/completions", strings.NewReader(`{"prompt":"x","max_tokens":60,"stream":true,"skip_special_tokens":false}`))
		srv.ServeHTTP(w, r)
		got := ""
		for _, c := range chunks(t, answer{w.Code, w.Header(), w.Body.String()}) {
			got += c.Choices[0].Text
		}
		if got != text {
			t.Errorf("got %q, want %q", got, text)
		}
	})
}
