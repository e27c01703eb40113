package hub_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/loopserve/loopserve/internal/hub/hubtest"
)

// hashOf fetches into another cache, to learn the weights' name.
func hashOf(t *testing.T, server *hubtest.Hub) string {
	t.Helper()
	spoiled := map[string]bool{}
	server.Change(func(h *hubtest.Hub) { h.Spoil, spoiled = spoiled, h.Spoil })
	c, _ := client(t, server, t.TempDir())
	link, err := os.Readlink(filepath.Join(must(t, c, "hf:org/tiny").Dir(), "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	server.Change(func(h *hubtest.Hub) { h.Spoil = spoiled })
	return filepath.Base(link)
}

// A file that is not what its hash says leaves nothing behind, whole or begun.
func TestWrongHash(t *testing.T) {
	server, c, _ := open(t)
	server.Change(func(h *hubtest.Hub) { h.Spoil["model.safetensors"] = true })
	_, err := fetch(t, c, "hf:org/tiny")
	mentions(t, err, "hf:org/tiny@main", "model.safetensors", "its hash is", "removed", hashOf(t, server))
	for _, place := range []string{"blobs/" + hashOf(t, server), "blobs/" + hashOf(t, server) + ".incomplete", "snapshots/*/model.safetensors", "refs/main"} {
		if found, _ := filepath.Glob(filepath.Join(c.Cache, "models--org--tiny", place)); len(found) > 0 {
			t.Errorf("%v is there", found)
		}
	}
	server.Change(func(h *hubtest.Hub) { h.Spoil = map[string]bool{} })
	has(t, must(t, c, "hf:org/tiny"), files())
}

func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		change func(h *hubtest.Hub)
		token  string
		words  []string
	}{
		"no such repository":       {"hf:org/nothing", nil, "", []string{"hf:org/nothing", "does not exist, or is private or gated", "HF_TOKEN"}},
		"no such one with a token": {"hf:org/nothing", nil, "secret", []string{"does not exist (HTTP 404)", "/org/nothing"}},
		"no such revision":         {"hf:org/tiny@v9", nil, "", []string{`no revision "v9"`, "/org/tiny/tree/main"}},
		"no such commit":           {"hf:org/tiny@" + strings.Repeat("0", 40), nil, "", []string{"no revision"}},
		"private":                  {"hf:org/tiny", func(h *hubtest.Hub) { h.Token = "secret" }, "", []string{"HTTP 401", "set HF_TOKEN"}},
		"a wrong token":            {"hf:org/tiny", func(h *hubtest.Hub) { h.Token = "secret" }, "other", []string{"token is not valid", "/settings/tokens"}},
		"gated":                    {"hf:org/tiny", func(h *hubtest.Hub) { h.Gated = true }, "secret", []string{"accept the licence at", "/org/tiny", "HF_TOKEN"}},
		"a path upwards":           {"hf:org/tiny", func(h *hubtest.Hub) { h.Listed = []string{"../../escape"} }, "", []string{`"../../escape"`, "outside"}},
		"an absolute path":         {"hf:org/tiny", func(h *hubtest.Hub) { h.Listed = []string{"/etc/passwd"} }, "", []string{`"/etc/passwd"`}},
		"a path of Windows":        {"hf:org/tiny", func(h *hubtest.Hub) { h.Listed = []string{`..\x`} }, "", []string{`..\\x`}},
		"a full disk":              {"hf:org/tiny", func(h *hubtest.Hub) { h.Claim = map[string]int64{"model.safetensors": 1 << 60} }, "", []string{"no room", "1152921504606.8 MB", "HF_HUB_CACHE"}},
		"more than was told":       {"hf:org/tiny", func(h *hubtest.Hub) { h.Claim = map[string]int64{"model.safetensors": 1000} }, "", []string{"model.safetensors", "more than the 1000 bytes"}},
		"a file that is not there": {"hf:org/tiny", func(h *hubtest.Hub) { h.Listed = []string{"listed.json"} }, "", []string{"no such file"}},
	} {
		t.Run(name, func(t *testing.T) {
			server, client, _ := open(t)
			client.Token = c.token
			if c.change != nil {
				server.Change(c.change)
			}
			_, err := fetch(t, client, c.text)
			mentions(t, err, c.words...)
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the token is in %v", err)
			}
			if found, _ := filepath.Glob(filepath.Join(client.Cache, "models--org--tiny/refs/*")); len(found) > 0 {
				t.Errorf("%v is there", found)
			}
		})
	}
}

// withoutCDN is a network on which the CDN is down.
type withoutCDN struct{}

func (withoutCDN) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.RawQuery != "" {
		return nil, errors.New("the CDN is down")
	}
	return http.DefaultTransport.RoundTrip(r)
}

// What is said or reported has neither a CDN's signature nor the endpoint's user and password.
func TestSecrets(t *testing.T) {
	_, c, said := open(t)
	c.Endpoint = strings.Replace(c.Endpoint, "//", "//me:pass@", 1)
	c.Client = &http.Client{Transport: withoutCDN{}}
	_, err := fetch(t, c, "hf:org/tiny")
	mentions(t, err, "the CDN is down")
	if text := strings.Join(append(*said, err.Error()), "\n"); strings.Contains(text, "X-Signature") || strings.Contains(text, "pass") || strings.Contains(text, "me:") {
		t.Error(text)
	}
}

// A list whose body never comes is given up.
func TestListThatNeverComes(t *testing.T) {
	_, c, _ := open(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	defer server.Close()
	c.Endpoint, c.Patience = server.URL, 300*time.Millisecond
	_, err := fetch(t, c, "hf:org/tiny")
	mentions(t, err, "list of files", "has not come for 300ms")
}

// Links that lead out of the cache are not followed, whoever has laid them.
func TestLinksOut(t *testing.T) {
	for _, place := range []string{"models--org--tiny", "models--org--tiny/blobs", "models--org--tiny/snapshots", ".locks"} {
		_, c, _ := open(t)
		elsewhere := t.TempDir()
		at := filepath.Join(c.Cache, place)
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.Symlink(elsewhere, at)); err != nil {
			t.Fatal(err)
		}
		_, err := fetch(t, c, "hf:org/tiny")
		mentions(t, err, "escapes")
		if left, _ := os.ReadDir(elsewhere); len(left) > 0 {
			t.Errorf("%s: %v was written", place, left)
		}
	}
}
