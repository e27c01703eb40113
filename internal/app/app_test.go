//go:build cgo

package app_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
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

// settings are those of flags, on a free port where they name no socket.
func settings(t *testing.T, flags map[string]string) *configs.Config {
	t.Helper()
	if !strings.HasPrefix(flags["listen"], "unix:") {
		flags["listen"] = "127.0.0.1:0"
	}
	cfg, err := configs.Load(configs.Sources{Flags: flags})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func logOf(t *testing.T) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

// load makes a process with settings given as flags.
func load(t *testing.T, flags map[string]string) (*app.App, error) {
	t.Helper()
	return app.Load(settings(t, flags), "test", logOf(t))
}

// open makes a process that has not loaded its models.
func open(t *testing.T, flags map[string]string) *app.App {
	t.Helper()
	a, err := app.Open(settings(t, flags), "test", logOf(t))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// refused wants a start to end with an error.
func refused(t *testing.T, flags map[string]string, want string) {
	t.Helper()
	if _, err := load(t, flags); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v: got %v, want %q", flags, err, want)
	}
}

// start serves the shipped models as `make run` does, and returns the URL and what SIGTERM does.
func start(t *testing.T, flags map[string]string) (url string, terminate func() error) {
	t.Helper()
	flags["models"] = "../../models"
	url, _, terminate = serve(t, flags)
	return url, terminate
}

func serve(t *testing.T, flags map[string]string) (url string, p *app.App, terminate func() error) {
	t.Helper()
	p, err := load(t, flags)
	if err != nil {
		t.Fatal(err)
	}
	cfg := settings(t, flags)
	l, err := app.Listen(cfg, cfg.Listen, cfg.MaxConnections)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx, l) }()
	return "http://" + l.Addr().String(), p, func() error { cancel(); return <-done }
}

func post(t *testing.T, url, body string) (int, map[string]any) {
	t.Helper()
	// as curl -d sends it
	resp, err := http.Post(url+"/v1/completions", "application/x-www-form-urlencoded", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var out map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, out
}

// The README's command: right at eight loops, wrong at one. And nothing native is left open after the drain.
func TestDepthDecidesTheAnswer(t *testing.T) {
	ort.CheckLeaks(t)
	url, terminate := start(t, map[string]string{})
	answer := func(loops string) string {
		status, out := post(t, url, `{"model":"adder","prompt":"123+456+789=","max_tokens":8,"temperature":0,"loops":`+loops+`}`)
		if status != http.StatusOK {
			t.Fatalf("loops %s: status %d: %v", loops, status, out)
		}
		return out["choices"].([]any)[0].(map[string]any)["text"].(string)
	}
	if got := answer("8"); got != "1368" {
		t.Errorf("at 8 loops: %q, want 1368", got)
	}
	if got := answer("1"); got == "1368" {
		t.Error("at 1 loop the answer is right already: depth shows nothing")
	}
	if err := terminate(); err != nil {
		t.Error(err)
	}
}

// SIGTERM with a stream open: the stream goes on to its end, new requests are refused, then the process stops.
func TestDrainWithAnOpenStream(t *testing.T) {
	ort.CheckLeaks(t)
	url, terminate := start(t, map[string]string{"drain_timeout": "20s"})
	resp, err := http.Post(url+"/v1/completions", "application/json", strings.NewReader(
		`{"model":"adder","prompt":"12","max_tokens":60,"ignore_eos":true,"temperature":1,"seed":1,"loops":16,"stream":true}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	if _, err := lines.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- terminate() }()
	rest, err := io.ReadAll(lines)
	if err != nil {
		t.Fatalf("the stream broke: %v", err)
	}
	if !bytes.HasSuffix(rest, []byte("data: [DONE]\n\n")) {
		t.Errorf("the stream ended with %q", rest[max(0, len(rest)-80):])
	}
	select {
	case err := <-stopped:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("not stopped after the drain")
	}
	if _, err := http.Get(url + "/livez"); err == nil {
		t.Error("still answering")
	}
}

// A bundle that is damaged, and a folder without one, end the start with the file and the remedy, and leave nothing open.
func TestRefusedStarts(t *testing.T) {
	ort.CheckLeaks(t)
	damaged := filepath.Join(t.TempDir(), "adder")
	if err := os.CopyFS(damaged, os.DirFS("../../models/adder")); err != nil {
		t.Fatal(err)
	}
	weights := filepath.Join(damaged, "weights.data")
	content, err := os.ReadFile(weights)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/2] ^= 1
	if err := os.WriteFile(weights, content, 0o600); err != nil {
		t.Fatal(err)
	}
	for models, want := range map[string]string{
		damaged:                        "weights.data has sha256",
		t.TempDir():                    "no bundle in",
		filepath.Join(damaged, "none"): "name a bundle",
	} {
		refused(t, map[string]string{"models": models, "verify": "start"}, want)
	}
}
