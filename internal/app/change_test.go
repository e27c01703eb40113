//go:build cgo

package app_test

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/loopserve/loopserve/internal/app"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/runtime/ort"
)

// Weights that are cut short, or zeroed, under a loaded model change nothing: the process has its own. A model that is
// loaded afterwards is refused, and the others go on. A FIFO in the manifest's place is refused, too.
func TestWeightsThatChangeUnderLoad(t *testing.T) {
	ort.CheckLeaks(t)
	dir := garden(t, "cut", "good", "late")
	url, p := startMany(t, dir, map[string]string{"preload": "cut,good"})
	weights := func(name string) string { return filepath.Join(dir, name, "weights.data") }
	if err := os.WriteFile(weights("late"), make([]byte, len(read(t, weights("late")))), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(weights("cut"), 4096); err != nil {
		t.Fatal(err)
	}
	if got := add(t, url, "cut"); got != "1368" {
		t.Errorf("cut short under load it says %q", got)
	}
	if status, out := post(t, url, `{"model":"late","prompt":"1","max_tokens":1}`); status != http.StatusServiceUnavailable {
		t.Errorf("zeros are served: %d %v", status, out)
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) { // the check in the background comes to it
		if status, _ := post(t, url, `{"model":"cut","prompt":"1","max_tokens":1}`); status == http.StatusServiceUnavailable {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the bundle that was cut short is served on")
		}
	}
	manifest := filepath.Join(dir, "good", bundle.FileName)
	if err := os.Remove(manifest); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(manifest, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- p.Reload(context.Background(), "good") }()
	select {
	case err := <-done:
		if err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("a FIFO as manifest: %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the reload waits for the FIFO")
	}
	if got := add(t, url, "good"); got != "1368" {
		t.Errorf("the good one says %q", got)
	}
}

// With trust, what is not signed is not served, and what is signed is held to its hashes before it is.
func TestTrust(t *testing.T) {
	ort.CheckLeaks(t)
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(t.TempDir(), "key.pub")
	if err := os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := garden(t, "signed", "unsigned")
	if err := bundle.Sign(filepath.Join(dir, "signed"), private); err != nil {
		t.Fatal(err)
	}
	url, _ := startMany(t, dir, map[string]string{"trust": key})
	if got := add(t, url, "signed"); got != "1368" {
		t.Errorf("the signed one says %q", got)
	}
	if body := get(t, url+"/readyz"); !strings.Contains(body, "bundle unsigned: bundle is not trusted: it has no manifest.sig") {
		t.Errorf("/readyz: %s", body)
	}
	refused(t, small(filepath.Join(dir, "unsigned"), map[string]string{"trust": key}), "it has no manifest.sig")
	refused(t, small(dir, map[string]string{"trust": key + "x"}), "trust: key: open")
}

// The process ends when it should have, whatever hangs in it, and not when it has ended by itself.
func TestEndWithin(t *testing.T) {
	for _, hangs := range []bool{true, false} {
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan int, 1)
		done := app.EndWithin(ctx, time.Millisecond, logOf(t), func(code int) { ended <- code })
		began := time.Now()
		stop()
		if !hangs {
			time.Sleep(10 * time.Millisecond)
			done()
		}
		select {
		case code := <-ended:
			if took := time.Since(began); !hangs || code != 1 || took < time.Millisecond {
				t.Errorf("hangs %v: ended with %d after %v", hangs, code, took)
			}
		case <-time.After(2 * time.Second):
			if hangs {
				t.Error("it is not ended")
			}
		}
		done()
	}
}
