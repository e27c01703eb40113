//go:build cgo

package app_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/loopserve/loopserve/internal/app"
	"github.com/loopserve/loopserve/runtime/ort"
)

// gate holds up whoever logs a message until open is closed.
type gate struct {
	slog.Handler
	message string
	open    <-chan struct{}
}

func (g gate) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == g.message {
		<-g.open
	}
	return g.Handler.Handle(ctx, r)
}

// The port is open before the models are there: alive at once, ready when they are, and told apart by the code. Two small models
// load faster than a busy machine asks: the first one waits until it has been asked.
func TestThePortOpensFirst(t *testing.T) {
	ort.CheckLeaks(t)
	asked := make(chan struct{})
	a, err := app.Open(settings(t, small(garden(t, "one", "two"), nil)), "test", slog.New(gate{logOf(t).Handler(), "model", asked}))
	if err != nil {
		t.Fatal(err)
	}
	client, stop := a.Inside(t.Context())
	ask := func(path string) string {
		resp, err := client.Get("http://localhost" + path)
		if err != nil {
			t.Error(err)
			return ""
		}
		defer resp.Body.Close()
		var out struct {
			Status string
			Error  struct{ Code string }
		}
		if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
			t.Error(err)
		}
		return fmt.Sprint(resp.StatusCode, " ", out.Status, out.Error.Code)
	}
	alive := func() {
		if got := ask("/livez"); got != "200 alive" {
			t.Errorf("/livez: %s", got)
		}
	}
	alive()
	if got := ask("/readyz"); got != "503 loading" {
		t.Errorf("/readyz: %s", got)
	}
	close(asked)
	got := ""
	for end := time.Now().Add(time.Minute); got != "200 ready" && time.Now().Before(end); alive() {
		if got = ask("/readyz"); got != "503 loading" && got != "200 ready" {
			t.Errorf("/readyz: %s", got)
			break
		}
	}
	if got != "200 ready" {
		t.Errorf("/readyz still says %s", got)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// A stop while models load is a stop, and what no bundle can be served from ends the server.
func TestStopWhileLoading(t *testing.T) {
	ort.CheckLeaks(t)
	listening := func(dir string) (*app.App, net.Listener) {
		a := open(t, small(dir, nil))
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return a, l
	}
	dir := garden(t, "one")
	a, l := listening(dir)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Run(ctx, l); err != nil {
		t.Error(err)
	}
	spoil(t, dir, "one", "tokenizer.json")
	a, l = listening(dir)
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

// A file whose content is not what the manifest says, with the old size and time: found while it is served, which ends that
// model and nothing else; found before it is served; not looked for.
func TestHashes(t *testing.T) {
	ort.CheckLeaks(t)
	damaged := func() string {
		dir := garden(t, "bad", "good")
		path := filepath.Join(dir, "bad", "README.md")
		if err := os.WriteFile(path, bytes.Repeat([]byte("?"), len(read(t, path))), 0o600); err != nil {
			t.Fatal(err)
		}
		old := time.Now().Add(-time.Hour)
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	dir := damaged()
	url, p := startMany(t, dir, nil)
	for end := time.Now().Add(time.Minute); !strings.Contains(get(t, url+"/readyz"), "README.md has sha256"); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it is not found")
		}
	}
	ask := `{"model":"bad","prompt":"1","max_tokens":1}`
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		status, out := post(t, url, ask)
		if status == http.StatusServiceUnavailable {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("still served: %d %v", status, out)
		}
	}
	if got := add(t, url, "good"); got != "1368" {
		t.Errorf("the good one says %q", got)
	}
	plant(t, dir, "bad", "mended")
	if err := p.Reload(t.Context(), "bad"); err != nil {
		t.Error(err)
	}
	if got := add(t, url, "bad"); got != "1368" || strings.Contains(get(t, url+"/readyz"), "left_out") {
		t.Errorf("mended it says %q", got)
	}

	refused(t, small(filepath.Join(damaged(), "bad"), map[string]string{"verify": "start"}), "README.md has sha256")
	url, _ = startMany(t, filepath.Join(damaged(), "bad"), map[string]string{"verify": "off"})
	if got := add(t, url, "bad"); got != "1368" {
		t.Errorf("unverified it says %q", got)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// How many tokens fit is told before anybody runs into it.
func TestTokensThatFit(t *testing.T) {
	ort.CheckLeaks(t)
	url, _ := startMany(t, garden(t, "one"), map[string]string{"kv_memory": "1MiB"})
	// 1024 bytes a token in a plane: 1 MiB holds 1024 of them, 128 at the default of 8 loops and 32 at 32.
	for name, want := range map[string]int{"one": 128, "one@32": 32, "one@1": 1024} {
		var card struct {
			Tokens int `json:"kv_tokens"`
		}
		if err := json.Unmarshal([]byte(get(t, url+"/v1/models/"+name)), &card); err != nil || card.Tokens != want {
			t.Errorf("%s: %v, %d tokens, want %d", name, err, card.Tokens, want)
		}
	}
}

// A bundle that is replaced before its check has come: the files are the new one's, which is not to blame for the old hashes.
func TestACheckOfWhatWasReplaced(t *testing.T) {
	ort.CheckLeaks(t)
	dir := garden(t, "one")
	url, p := startMany(t, dir, nil)
	path := filepath.Join(dir, "one", "README.md")
	text := append(read(t, path), '!')
	manifest := filepath.Join(dir, "one", "manifest.json")
	var m map[string]any
	if err := json.Unmarshal(read(t, manifest), &m); err != nil {
		t.Fatal(err)
	}
	m["files"].(map[string]any)["README.md"] = map[string]any{"size": len(text), "sha256": fmt.Sprintf("%x", sha256.Sum256(text))}
	data, err := json.Marshal(m)
	if err := errors.Join(err, os.WriteFile(path, text, 0o600), os.WriteFile(manifest, data, 0o600), p.Reload(t.Context(), "one")); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1500 * time.Millisecond) // both checks have been
	if body := get(t, url+"/readyz"); body != `{"status":"ready"}` {
		t.Errorf("/readyz: %s", body)
	}
	if got := add(t, url, "one"); got != "1368" {
		t.Errorf("says %q", got)
	}
}

// One connection too many waits until another closes.
func TestMaxConnections(t *testing.T) {
	ort.CheckLeaks(t)
	url, _ := startMany(t, garden(t, "one"), map[string]string{"max_connections": "1"})
	http.DefaultClient.CloseIdleConnections()
	idle, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond) // it is accepted
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/livez", nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := http.DefaultClient.Do(r); err == nil {
		resp.Body.Close()
		t.Error("a second connection was answered")
	}
	idle.Close()
	get(t, url+"/livez")
}
