//go:build cgo

package app_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
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

// certify writes a certificate of its own for 127.0.0.1, with a serial number to tell it by.
func certify(t *testing.T, dir string, serial int64) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	of := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, of, of, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	at := time.Unix(1700000000+serial, 0) // a file system's clock may stand still between two writes
	if err := os.Chtimes(cert, at, at); err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// HTTPS, with a certificate that is renewed while the server runs.
func TestTLS(t *testing.T) {
	ort.CheckLeaks(t)
	dir := t.TempDir()
	cert, key := certify(t, dir, 1)
	url, _ := startMany(t, garden(t, "one"), map[string]string{"tls_cert": cert, "tls_key": key})
	serial := func() int64 {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // it signs itself
		resp, err := client.Get(strings.Replace(url, "http://", "https://", 1) + "/livez")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK || resp.ProtoMajor != 1 {
			t.Errorf("status %d, %s", resp.StatusCode, resp.Proto)
		}
		return resp.TLS.PeerCertificates[0].SerialNumber.Int64()
	}
	if n := serial(); n != 1 {
		t.Errorf("certificate %d", n)
	}
	certify(t, dir, 2)
	if n := serial(); n != 2 {
		t.Errorf("certificate %d after a renewal", n)
	}
	if err := os.WriteFile(cert, []byte("half of it"), 0o600); err != nil {
		t.Fatal(err)
	}
	if n := serial(); n != 2 {
		t.Errorf("certificate %d while one is written", n)
	}
}

// A socket in the file system, where one was left behind; a proxy's folder; and names that are not the model's own.
func TestSocketRootAndNames(t *testing.T) {
	ort.CheckLeaks(t)
	path := filepath.Join(t.TempDir(), "s")
	if err := os.WriteFile(path, []byte("somebody's notes"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := app.Listen(&configs.Config{}, "unix:"+path, 1); err == nil || !strings.Contains(err.Error(), "unix:"+path+" exists and is no socket") {
		t.Errorf("a file in the socket's place: %v", err)
	}
	if err := os.Remove(path); err != nil { // it is still there
		t.Fatal(err)
	}
	stale, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	stale.(*net.UnixListener).SetUnlinkOnClose(false)
	stale.Close()
	flags := small(garden(t, "one"), map[string]string{"root_path": "/llm", "served_model_name": "org/best,gpt-4o-mini"})
	flags["listen"] = "unix:" + path
	_, _, terminate := serve(t, flags)
	defer func() {
		if err := terminate(); err != nil {
			t.Error(err)
		}
	}()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	ask := func(method, path, body string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://whatever"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(data)
	}
	for _, root := range []string{"", "/llm"} {
		for _, name := range []string{"org/best", "gpt-4o-mini", "gpt-4o-mini@8"} {
			status, body := ask("POST", root+"/v1/completions", `{"model":"`+name+`","prompt":"123+456+789=","temperature":0,"loops":8}`)
			if status != 200 || !strings.Contains(body, `"model":"org/best"`) || !strings.Contains(body, `"text":"1368"`) {
				t.Errorf("%s %s: %d %s", root, name, status, body)
			}
		}
		if status, body := ask("POST", root+"/v1/completions", `{"model":"one","prompt":"1="}`); status != 404 {
			t.Errorf("its own name: %d %s", status, body)
		}
		_, body := ask("GET", root+"/v1/models", "")
		var list struct{ Data []struct{ ID string } }
		if err := json.Unmarshal([]byte(body), &list); err != nil || len(list.Data) < 2 || list.Data[0].ID != "org/best" || list.Data[1].ID != "gpt-4o-mini" {
			t.Errorf("%v %s", err, body)
		}
		for _, id := range []string{"org/best", "org%2Fbest", "org/best@4", "gpt-4o-mini"} {
			if status, body := ask("GET", root+"/v1/models/"+id, ""); status != 200 {
				t.Errorf("%s: %d %s", id, status, body)
			}
		}
	}
	if status, body := ask("GET", "/llm", ""); status != 200 || !strings.Contains(body, "playground") { // the client has followed to /llm/
		t.Errorf("page: %d %.100s", status, body)
	}
	if _, body := ask("GET", "/openapi.json", ""); !strings.Contains(body, `"servers":[{"url":"/llm"}]`) {
		t.Errorf("%.300s", body)
	}
	if status, _ := ask("GET", "/llmost/v1/models", ""); status != 404 {
		t.Errorf("another folder: %d", status)
	}
	refused(t, small(garden(t, "one", "two"), map[string]string{"served_model_name": "x"}), "served_model_name is for one model")
}

// While models are fetched the port answers, and what connects afterwards is served by who comes then.
func TestMeanwhile(t *testing.T) {
	cfg, err := configs.Load(configs.Sources{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := app.Listen(cfg, "127.0.0.1:0", 4)
	if err != nil {
		t.Fatal(err)
	}
	rest, stop, err := app.Meanwhile(cfg, "test", slog.New(slog.DiscardHandler), l)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Timeout: 10 * time.Second}
	ask := func(path string) (int, string) {
		resp, err := client.Get("http://" + rest.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	if status, body := ask("/livez"); status != http.StatusOK {
		t.Errorf("/livez: %d %s", status, body)
	}
	if status, body := ask("/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "loading") {
		t.Errorf("/readyz: %d %s", status, body)
	}
	idle, err := net.Dial("tcp", rest.Addr().String()) // says nothing, and holds up nobody
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	stop()
	next := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "served") }), ReadHeaderTimeout: time.Second}
	served := make(chan error, 1)
	go func() { served <- next.Serve(rest) }()
	if status, body := ask("/readyz"); status != http.StatusOK || body != "served" {
		t.Errorf("afterwards: %d %s", status, body)
	}
	client.CloseIdleConnections()
	if err := next.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
	if conn, err := net.Dial("tcp", rest.Addr().String()); err == nil {
		conn.Close()
		t.Error("the port is still open")
	}
}
