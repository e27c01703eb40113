package server_test

import (
	"bufio"
	"cmp"
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

// nothing is a ModelControl without models.
type nothing struct{}

func (nothing) ModelStatus() []server.ModelStatus       { return nil }
func (nothing) LoadModel(context.Context, string) error { return nil }
func (nothing) Reload(context.Context, string) error    { return nil }
func (nothing) UnloadModel(string) error                { return nil }
func (nothing) Rescan(context.Context) error            { return nil }
func browser(method, path, host string, header ...string) *http.Request {
	r := httptest.NewRequest(method, "http://"+host+path, strings.NewReader(`{"model":"adder","prompt":"1+2=","max_tokens":1}`))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

// What a page in the browser of somebody who runs a server without keys can send, and what it gets.
func TestBoundary(t *testing.T) {
	const evil, dev = "http://attacker.example", "http://localhost:3000"
	self, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	type headers = []string
	tests := []struct {
		name, method, path, host string
		headers                  headers
		code                     string // "" is an answer
		admin                    string // the same on the admin listener, where it differs
	}{
		{"a program", "POST", "/v1/completions", "127.0.0.1:8080", nil, "", "unknown_route"},
		{"a program, localhost", "POST", "/v1/completions", "LOCALHOST.:9000", nil, "", "unknown_route"},
		{"a program, IPv6", "POST", "/v1/completions", "[::1]:8080", nil, "", "unknown_route"},
		{"HTTP/1.0", "GET", "/livez", "", nil, "", ""},

		{"rebound name", "POST", "/v1/completions", "attacker.example", headers{"Sec-Fetch-Site", "same-origin", "Origin", evil}, "host_not_allowed", ""},
		{"rebound name, a key in the air", "POST", "/v1/completions", "attacker.example:8080", headers{"Authorization", "Bearer x"}, "host_not_allowed", ""},
		{"rebound name, GET", "GET", "/v1/models", "attacker.example", nil, "host_not_allowed", ""},
		{"rebound name, page", "GET", "/", "attacker.example", nil, "host_not_allowed", ""},
		{"a probe by a name of the orchestrator's", "GET", "/livez", "loopserve.default.svc", nil, "", ""},
		{"rebound name, unknown route", "GET", "/nope", "attacker.example", nil, "host_not_allowed", ""},
		{"rebound name, profiles", "GET", "/debug/pprof/cmdline", "attacker.example", nil, "host_not_allowed", ""},
		{"a name that begins like ours", "GET", "/version", "localhost.attacker.example", nil, "host_not_allowed", ""},
		{"a name that begins like an address", "GET", "/version", "127.0.0.1.attacker.example", nil, "host_not_allowed", ""},
		{"another address than ours", "GET", "/version", "0.0.0.0:8080", nil, "host_not_allowed", ""},
		{"allowed host", "GET", "/livez", "llm.example:443", nil, "", ""},
		{"the machine's name", "GET", "/version", self, nil, "host_not_allowed", ""},

		{"a form", "POST", "/v1/completions", "127.0.0.1:8080", headers{"Origin", evil, "Content-Type", "text/plain"}, "cross_origin", ""},
		{"a form, new browser", "POST", "/v1/completions", "127.0.0.1:8080", headers{"Sec-Fetch-Site", "cross-site", "Content-Type", "text/plain"}, "cross_origin", ""},
		{"a sandboxed frame", "POST", "/v1/completions", "127.0.0.1:8080", headers{"Origin", "null", "Content-Type", "text/plain"}, "cross_origin", ""},
		{"forced benchmark", "POST", "/v1/bench", "127.0.0.1:8080", headers{"Origin", evil}, "cross_origin", ""},
		{"image that starts a curve", "GET", "/v1/depth/curve?model=adder", "127.0.0.1:8080", headers{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Dest", "image"}, "cross_origin", ""},
		{"image over http", "GET", "/v1/depth/curve?model=adder", "127.0.0.1:8080", headers{"Referer", evil + "/page"}, "cross_origin", ""},
		{"another port of this machine", "POST", "/v1/completions", "localhost:8080", headers{"Sec-Fetch-Site", "same-site", "Origin", "http://localhost:9999"}, "cross_origin", ""},
		{"another port, old browser", "POST", "/v1/completions", "localhost:8080", headers{"Origin", "http://localhost:9999"}, "cross_origin", ""},
		{"unload", "POST", "/admin/models/adder/unload", "127.0.0.1:8081", headers{"Origin", evil}, "cross_origin", ""},
		{"health from elsewhere", "GET", "/livez", "127.0.0.1:8080", headers{"Sec-Fetch-Site", "cross-site"}, "cross_origin", ""},

		{"its own page", "POST", "/v1/completions", "localhost:8080", headers{"Sec-Fetch-Site", "same-origin", "Origin", "http://localhost:8080"}, "", "unknown_route"},
		{"its own page, old browser", "POST", "/v1/completions", "localhost:8080", headers{"Origin", "http://localhost:8080"}, "", "unknown_route"},
		{"its own page behind a proxy", "POST", "/v1/completions", "127.0.0.1:8080", headers{"Sec-Fetch-Site", "same-origin", "Origin", "https://llm.example"}, "", "unknown_route"},
		{"typed into the address bar", "GET", "/v1/models", "localhost:8080", headers{"Sec-Fetch-Site", "none"}, "", "unknown_route"},
		{"a link to the page", "GET", "/", "localhost:8080", headers{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, "", "unknown_route"},

		{"shared origin", "POST", "/v1/completions", "localhost:8080", headers{"Sec-Fetch-Site", "same-site", "Origin", dev}, "", "cross_origin"},
		{"shared origin, image", "GET", "/v1/models", "localhost:8080", headers{"Sec-Fetch-Site", "same-site", "Referer", dev + "/"}, "", "cross_origin"},
		{"shared origin, rebound name", "POST", "/v1/completions", "attacker.example", headers{"Origin", dev}, "host_not_allowed", ""},
	}
	s := &script{text: "3", finish: loopctl.FinishLength}
	srv := server.New(server.Config{
		Listen: "127.0.0.1:8080", AdminListen: "127.0.0.1:8081", AllowedHosts: []string{"llm.example"}, CORSOrigins: []string{dev},
	}, quiet(), nil)
	if err := srv.SetModels(model("adder", &generator{submit: s.submit})); err != nil {
		t.Fatal(err)
	}
	admin := srv.Admin(nothing{})
	check := func(h http.Handler, name, code string, r *http.Request) {
		t.Helper()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if refused := strings.Contains(w.Body.String(), `"code":"`+code+`"`); code == "" && w.Code >= 400 || code != "" && !refused {
			t.Errorf("%s: %d %s, want %q", name, w.Code, w.Body, code)
		}
		if allowed := w.Header().Get("Access-Control-Allow-Origin"); allowed != "" && (allowed != dev || h == admin) {
			t.Errorf("%s: answer is shared with %s", name, allowed)
		}
	}
	for _, tt := range tests {
		r := browser(tt.method, tt.path, "x", tt.headers...)
		r.Host = tt.host
		check(srv, tt.name, tt.code, r)
		r = browser(tt.method, tt.path, "x", tt.headers...)
		r.Host = tt.host
		if tt.admin == "" {
			tt.admin = tt.code
		}
		check(admin, tt.name+", admin", tt.admin, r)
	}
	if n, _ := s.count(); n != 7 {
		t.Errorf("%d completions were generated", n)
	}
}

// With keys, who has one has passed; and beyond loopback the machine has more names.
func TestBoundaryElsewhere(t *testing.T) {
	self, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		listen, host, key string
		status            int
		path              string // /v1/models
	}{
		{"0.0.0.0:8080", "attacker.example", "Bearer sesame", 200, ""},
		{"0.0.0.0:8080", "attacker.example", "Bearer wrong", 401, ""},
		{"0.0.0.0:8080", "attacker.example", "", 401, ""},
		{"0.0.0.0:8080", "10.1.2.3:8080", "", 200, ""},
		{":8080", "[fe80::1%25eth0]:8080", "", 200, ""},
		{":8080", self, "", 200, ""},
		{":8080", "attacker.example", "", 403, ""},
		{"192.168.7.7:8080", "192.168.7.7:8080", "", 200, ""},
		{"box.example:8080", "Box.example", "", 200, ""},
		{"box.example:8080", "attacker.example", "", 403, ""},
		{"localhost:8080", "10.1.2.3", "", 403, ""},
		{"unix:/run/loopserve.sock", "anything", "", 200, ""},
		{"0.0.0.0:8080", "loopserve.default.svc", "none", 200, "/readyz"},
		{"0.0.0.0:8080", "loopserve.default.svc", "none", 200, "/"},
	}
	for _, tt := range tests {
		cfg := server.Config{Listen: tt.listen}
		if tt.key != "" || tt.status == 401 {
			cfg.APIKeys = []string{"sesame"}
		}
		srv := server.New(cfg, quiet(), nil)
		if err := srv.SetModels(model("adder", &generator{})); err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("GET", cmp.Or(tt.path, "/v1/models"), nil)
		r.Host = tt.host
		r.Header.Set("Authorization", tt.key)
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, r)
		if w.Code != tt.status {
			t.Errorf("%+v: %d %s", tt, w.Code, w.Body)
		}
	}
}

// Browsers ask OPTIONS first, without a key (LocalAI#710, llama-swap#42).
func TestPreflight(t *testing.T) {
	const dev = "http://localhost:3000"
	ask := func(origins []string, origin, method string) answer {
		srv := server.New(server.Config{Listen: "0.0.0.0:8080", APIKeys: []string{"sesame"}, CORSOrigins: origins}, quiet(), nil)
		if err := srv.SetModels(model("adder", &generator{})); err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(method, "/v1/models", nil)
		r.Header.Set("Origin", origin)
		if method == http.MethodOptions {
			r.Header.Set("Access-Control-Request-Method", "POST")
			r.Header.Set("Access-Control-Request-Headers", "authorization,content-type,x-stainless-lang")
			r.Header.Set("Access-Control-Request-Private-Network", "true")
		}
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, r)
		return answer{w.Code, w.Header(), w.Body.String()}
	}
	for _, origins := range [][]string{{dev}, {"https://chat.example", dev}, {"*"}} {
		a := ask(origins, dev, "OPTIONS")
		h := a.header
		if a.status != 204 || a.body != "" || h.Get("Access-Control-Allow-Origin") != dev || !strings.Contains(h.Get("Access-Control-Allow-Methods"), "POST") ||
			h.Get("Access-Control-Allow-Headers") != "authorization,content-type,x-stainless-lang" || h.Get("Vary") != "Origin" || h.Get("Access-Control-Allow-Private-Network") != "true" {
			t.Errorf("%v: %d %v %s", origins, a.status, h, a.body)
		}
		// A page must be able to read that its key is missing, too.
		if a := ask(origins, dev, "GET"); a.status != 401 || a.header.Get("Access-Control-Allow-Origin") != dev ||
			!strings.Contains(a.header.Get("Access-Control-Expose-Headers"), "X-Loops-Applied") {
			t.Errorf("%v: %d %v", origins, a.status, a.header)
		}
	}
	for _, origins := range [][]string{nil, {"https://chat.example"}} {
		a := ask(origins, dev, "OPTIONS")
		if a.status != 403 || a.header.Get("Access-Control-Allow-Origin") != "" || !strings.Contains(a.body, "--cors-origins") {
			t.Errorf("%v: %d %v %s", origins, a.status, a.header, a.body)
		}
	}
}

// A body that is announced and never comes, on whatever route: an answer, and the end of the connection.
func TestBodyThatNeverComes(t *testing.T) {
	srv := server.New(server.Config{BodyTimeout: 300 * time.Millisecond}, quiet(), nil)
	if err := srv.SetModels(model("adder", &generator{})); err != nil {
		t.Fatal(err)
	}
	handlers := map[string]http.Handler{"API": srv, "admin": srv.Admin(nothing{})}
	tests := []struct{ line, header string }{
		{"GET /livez", "Content-Length: 100"},
		{"GET /", "Content-Length: 100"},
		{"GET /livez", "Transfer-Encoding: chunked"},
		{"GET /version", "Content-Length: 9999999999"},
		{"GET /nope", "Content-Length: 100"},
		{"POST /nope", "Transfer-Encoding: chunked"},
		{"PUT /v1/completions", "Content-Length: 100"},
		{"POST /v1/completions", "Content-Length: 100\r\nContent-Type: image/png"},
		{"POST /v1/completions", "Content-Length: 100"},
		{"POST /v1/completions", "Content-Length: 99999999"},
		{"POST /v1/completions", "Transfer-Encoding: chunked"},
		{"POST /v1/completions", "Content-Length: 100\r\nExpect: 100-continue"},
		{"POST /tokenize", "Content-Length: 100"},
		{"DELETE /v1/bench/x", "Content-Length: 100"},
		{"OPTIONS /v1/models", "Content-Length: 100"},
		{"POST /admin/rescan", "Content-Length: 100"},
	}
	var doc struct{ Paths map[string]map[string]any }
	if err := json.Unmarshal([]byte(send(t, newTestServer(t, srv), "GET", "/openapi.json", "").body), &doc); err != nil {
		t.Fatal(err)
	}
	for path, operations := range doc.Paths { // all of them, as TestOpenAPIHasEveryRoute knows
		for method := range operations {
			tests = append(tests, struct{ line, header string }{strings.ToUpper(method) + " " + path, "Content-Length: 100"})
		}
	}
	for name, h := range handlers {
		ts := httptest.NewServer(h)
		t.Cleanup(ts.Close)
		for _, tt := range tests {
			t.Run(name+" "+tt.line+" "+tt.header, func(t *testing.T) {
				t.Parallel()
				conn, err := net.Dial("tcp", ts.Listener.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				begun := "{"
				if strings.Contains(tt.header, "chunked") {
					begun = "5\r\n{\"a\""
				}
				fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: localhost\r\n%s\r\n\r\n%s", tt.line, tt.header, begun)
				_ = conn.SetReadDeadline(time.Now().Add(time.Minute)) // a busy machine may stall for seconds
				all, err := io.ReadAll(bufio.NewReader(conn))
				if err != nil && errors.Is(err, os.ErrDeadlineExceeded) || !strings.Contains(string(all), "HTTP/1.1 ") || !strings.Contains(string(all), "\r\nConnection: close\r\n") {
					t.Errorf("%v %s", err, all)
				}
			})
		}
	}
}

// A body that has come leaves the connection open, and its deadline behind: the answer may take longer.
func TestBodyThatHasCome(t *testing.T) {
	s := &script{text: "abc", finish: loopctl.FinishLength, gate: make(chan struct{})}
	ts, _ := serve(t, s, server.Config{BodyTimeout: 50 * time.Millisecond})
	res := open(t, ts, s)
	defer res.Body.Close()
	if res.Close {
		t.Error("the connection closes")
	}
	time.Sleep(150 * time.Millisecond)
	for range 2 {
		s.gate <- struct{}{}
	}
	if all, err := io.ReadAll(res.Body); err != nil || !strings.Contains(string(all), "[DONE]") {
		t.Errorf("%v %s", err, all)
	}
}
