package server_test

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/server"
)

// The playground is one document that fetches nothing from elsewhere, runs its own script only, and is there without a
// key, since a browser sends none with an address; the API behind it is not.
func TestPlayground(t *testing.T) {
	web, _ := serve(t, &script{}, server.Config{APIKeys: []string{"a-long-enough-key"}})
	get := func(method, path string) (*http.Response, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, web.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r, string(body)
	}
	r, page := get(http.MethodGet, "/")
	if r.StatusCode != http.StatusOK || !strings.HasPrefix(r.Header.Get("Content-Type"), "text/html") {
		t.Fatalf("%s, %s", r.Status, r.Header.Get("Content-Type"))
	}
	policy := r.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'sha256-", "connect-src 'self'", "require-trusted-types-for 'script'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("policy %q lacks %q", policy, want)
		}
	}
	if strings.Contains(policy, "unsafe") {
		t.Errorf("policy %q", policy)
	}
	for _, found := range regexp.MustCompile(`(?i)(https?:)?//[a-z0-9.-]+\.[a-z]{2,}[^\s"']*`).FindAllString(page, -1) {
		if !strings.HasPrefix(found, "http://www.w3.org/") {
			t.Errorf("the page refers to %s", found)
		}
	}
	if strings.Contains(page, "innerHTML") || strings.Contains(page, " src=") {
		t.Error("the page sets HTML from text or loads a file")
	}
	if r, body := get(http.MethodHead, "/"); r.StatusCode != http.StatusOK || body != "" || r.Header.Get("ETag") == "" {
		t.Errorf("HEAD: %s, %d bytes, ETag %q", r.Status, len(body), r.Header.Get("ETag"))
	}
	if r, _ := get(http.MethodGet, "/v1/models"); r.StatusCode != http.StatusUnauthorized {
		t.Errorf("the API without a key: %s", r.Status)
	}
}
