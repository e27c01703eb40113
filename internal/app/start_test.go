//go:build cgo

package app_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/loopserve/loopserve/configs"
	"github.com/loopserve/loopserve/internal/app"
	"github.com/loopserve/loopserve/runtime/ort"
)

// The port is open before the models are there: alive at once, ready when they are, and told apart by the code.
func TestThePortOpensFirst(t *testing.T) {
	ort.CheckLeaks(t)
	cfg, err := configs.Load(configs.Sources{Flags: small(garden(t, "one", "two"), map[string]string{"listen": "127.0.0.1:0"})})
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.Open(cfg, "test", slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	client, stop := a.Inside(t.Context())
	ask := func(path string) (int, string) {
		resp, err := client.Get("http://x" + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var out struct {
			Status string
			Error  struct{ Code string }
		}
		if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, out.Status + out.Error.Code
	}
	seen := map[string]bool{}
	for end := time.Now().Add(time.Minute); !seen["ready"] && time.Now().Before(end); {
		if status, said := ask("/livez"); status != http.StatusOK || said != "alive" {
			t.Fatalf("/livez: %d %s", status, said)
		}
		status, said := ask("/readyz")
		if want := map[string]int{"loading": 503, "ready": 200}[said]; status != want {
			t.Fatalf("/readyz: %d %s", status, said)
		}
		seen[said] = true
	}
	if !seen["loading"] || !seen["ready"] {
		t.Errorf("/readyz said %v", seen)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// A stop while models load is a stop, and what no bundle can be served from ends the server.
func TestStopWhileLoading(t *testing.T) {
	ort.CheckLeaks(t)
	open := func(dir string) (*app.App, net.Listener) {
		cfg, err := configs.Load(configs.Sources{Flags: small(dir, map[string]string{"listen": "127.0.0.1:0"})})
		if err != nil {
			t.Fatal(err)
		}
		a, err := app.Open(cfg, "test", slog.New(slog.NewTextHandler(t.Output(), nil)))
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return a, l
	}
	dir := garden(t, "one")
	a, l := open(dir)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Run(ctx, l); err != nil {
		t.Error(err)
	}
	spoil(t, dir, "one", "tokenizer.json")
	a, l = open(dir)
	if err := a.Run(t.Context(), l); err == nil || !strings.Contains(err.Error(), "tokenizer.json") {
		t.Errorf("it ran on without a model: %v", err)
	}
}

// spoil cuts a file of a bundle short. It is another file, since a mapped one that is cut short ends the process.
func spoil(t *testing.T, dir, name, file string) {
	t.Helper()
	path := filepath.Join(dir, name, file)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// One bundle that cannot be served used to keep all others down.
func TestABadBundleIsLeftOut(t *testing.T) {
	ort.CheckLeaks(t)
	dir := garden(t, "bad", "good")
	spoil(t, dir, "bad", "tokenizer.json")
	url, p := startMany(t, dir, nil)
	if got := add(t, url, "good"); got != "1368" {
		t.Errorf("says %q", got)
	}
	for _, path := range []string{"/readyz", "/v1/models"} {
		if body := get(t, url+path); !strings.Contains(body, `"left_out":[{"name":"bad","error":"bundle bad: bad bundle file: tokenizer.json has 1 bytes`) {
			t.Errorf("%s: %s", path, body)
		}
	}
	var said string
	for _, s := range p.ModelStatus() {
		if s.Name == "bad" {
			said = s.Error
		}
	}
	if !strings.Contains(said, filepath.Join(dir, "bad")) {
		t.Errorf("the admin listener says %q", said)
	}
	refused(t, small(dir, map[string]string{"strict": "true"}), "tokenizer.json has 1 bytes")
	refused(t, small(dir, map[string]string{"preload": "bad"}), `preload names "bad"`)

	plant(t, dir, "bad", "mended")
	if err := p.Rescan(t.Context()); err != nil {
		t.Error(err)
	}
	if got := add(t, url, "bad"); got != "1368" {
		t.Errorf("mended it says %q", got)
	}
	if body := get(t, url+"/readyz"); body != `{"status":"ready"}` {
		t.Errorf("/readyz: %s", body)
	}
}
