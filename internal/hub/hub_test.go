package hub_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/loopserve/loopserve/internal/hub"
	"github.com/loopserve/loopserve/internal/hub/hubtest"
)

const repo = "org/tiny"

var weights = []byte(strings.Repeat("0123456789abcdef", 1<<15)) // half a megabyte

// files are a repository's; Put takes a folder, which is empty here.
func files() map[string][]byte {
	return map[string][]byte{
		"config.json": []byte(`{"a":1}`), "sub/x.jinja": []byte("x"), "model.safetensors": weights, "never.bin": []byte("not wanted"),
	}
}

// open gives a hub, and a client of it with a cache of its own and what it has said.
func open(t *testing.T) (*hubtest.Hub, *hub.Hub, *[]string) {
	t.Helper()
	server := hubtest.New(t)
	put(t, server, files())
	c, said := client(t, server, t.TempDir())
	return server, c, said
}

func put(t *testing.T, server *hubtest.Hub, files map[string][]byte) (commit string) {
	t.Helper()
	commit, err := server.Put(repo, "main", t.TempDir(), files)
	if err != nil {
		t.Fatal(err)
	}
	return commit
}

func client(t *testing.T, server *hubtest.Hub, cache string) (*hub.Hub, *[]string) {
	t.Helper()
	env := map[string]string{"HF_ENDPOINT": server.URL + "/", "HF_HUB_CACHE": cache}
	c, err := hub.FromEnvironment(func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	c.Say, c.Patience = func(text string) { said = append(said, text) }, 3*time.Second // a machine that is busy stalls for less
	return c, &said
}

// all wants everything that is there, but what a real one would not want, the weights last.
func all(folder string, names []string) ([]string, error) {
	if names == nil {
		names = []string{"config.json", "sub/x.jinja", "model.safetensors"}
	}
	names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == "never.bin" })
	slices.SortStableFunc(names, func(a, b string) int { return strings.Compare(filepath.Ext(a), filepath.Ext(b)) })
	return names, nil
}

func fetch(t *testing.T, c *hub.Hub, text string) (*hub.Snapshot, error) {
	t.Helper()
	ref, ok, err := hub.Parse(text)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	s, err := c.Find(t.Context(), ref)
	if err != nil {
		return nil, err
	}
	return s, s.Fetch(t.Context(), all)
}

func must(t *testing.T, c *hub.Hub, text string) *hub.Snapshot {
	t.Helper()
	s, err := fetch(t, c, text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mentions(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %v", words)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%v\nsays nothing of %q", err, word)
		}
	}
}

// has compares what the snapshot has with what the hub has, byte by byte, and counts files that are no links.
func has(t *testing.T, s *hub.Snapshot, want map[string][]byte) {
	t.Helper()
	for name, content := range want {
		path := filepath.Join(s.Dir(), name)
		got, err := os.ReadFile(path)
		if name == "never.bin" {
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s was fetched", name)
			}
			continue
		}
		if err != nil || string(got) != string(content) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		link, err := os.Readlink(path)
		if depth := strings.Count(name, "/") + 2; err != nil || !strings.HasPrefix(link, strings.Repeat("../", depth)+"blobs/") {
			t.Errorf("%s is a link to %q, %v", name, link, err)
		}
	}
}

// leftovers are the incomplete files of a cache.
func leftovers(t *testing.T, c *hub.Hub) (out []string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(c.Cache, "models--*", "blobs", "*.incomplete"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// A repository comes into the cache once, in the layout of huggingface_hub. A branch is asked for each time, a commit never again.
func TestFetch(t *testing.T) {
	server, c, _ := open(t)
	server.Change(func(h *hubtest.Hub) { h.Token = "secret" })
	c.Token = "secret"
	var told []hub.Progress
	c.Progress = func(p hub.Progress) { told = append(told, p) }
	s := must(t, c, "hf:org/tiny")
	has(t, s, files())
	if last := told[len(told)-1]; last.Done != last.Total || last.Total < int64(len(weights)) || last.File != "model.safetensors" {
		t.Errorf("the last progress was %+v", last)
	}
	if ref, err := os.ReadFile(filepath.Join(c.Cache, "models--org--tiny/refs/main")); err != nil || string(ref) != s.Commit {
		t.Errorf("refs/main is %q, %v", ref, err)
	}
	var cdn, withToken int
	for _, r := range server.Requests() {
		if strings.HasPrefix(r, "cdn ") {
			cdn++
		}
		if strings.Contains(r, "secret") {
			withToken++
		}
		if strings.HasPrefix(r, "cdn ") && strings.Contains(r, "secret") {
			t.Errorf("the token went to the CDN: %s", r)
		}
	}
	if cdn != 1 || withToken < 6 {
		t.Errorf("%d requests to the CDN, %d with a token", cdn, withToken)
	}
	must(t, c, "hf:org/tiny")
	if got := server.Requests(); len(got) != 1 || !strings.HasPrefix(got[0], "GET /api/models/org/tiny/revision/main") {
		t.Errorf("the second time it asked for %v", got)
	}
	must(t, c, "hf:org/tiny@"+s.Commit)
	if got := server.Requests(); len(got) != 0 {
		t.Errorf("for a commit that is here it asked for %v", got)
	}

	// What a new commit shares with the old one is not fetched again.
	changed := files()
	changed["config.json"] = []byte(`{"a":2}`)
	next := put(t, server, changed)
	if s = must(t, c, "hf:org/tiny"); s.Commit != next {
		t.Errorf("commit %s, want %s", s.Commit, next)
	}
	has(t, s, changed)
	if got := strings.Join(server.Requests(), "\n"); strings.Contains(got, "cdn") {
		t.Errorf("weights were fetched again:\n%s", got)
	}
}

func TestOffline(t *testing.T) {
	server, c, said := open(t)
	s := must(t, c, "hf:org/tiny")
	server.Requests()
	c.Offline = true
	for _, text := range []string{"hf:org/tiny", "hf:org/tiny@" + s.Commit} {
		if got := must(t, c, text); got.Commit != s.Commit {
			t.Errorf("%s: commit %s", text, got.Commit)
		}
	}
	if got := strings.Join(*said, "\n"); !strings.Contains(got, s.Commit[:12]) || !strings.Contains(got, "main") {
		t.Errorf("it said %q", got)
	}
	_, err := fetch(t, c, "hf:org/other")
	mentions(t, err, "hf:org/other@main", c.Cache, "HF_HUB_OFFLINE")
	_, err = fetch(t, c, "hf:org/tiny@"+strings.Repeat("a", 40))
	mentions(t, err, "model.safetensors", c.Cache, "HF_HUB_OFFLINE")
	if got := server.Requests(); len(got) != 0 {
		t.Errorf("offline it asked for %v", got)
	}

	// A hub that is down or gone is as good as none, once.
	c.Offline, *said = false, nil
	server.Change(func(h *hubtest.Hub) { h.Down = true })
	must(t, c, "hf:org/tiny")
	c.Endpoint = "http://127.0.0.1:1"
	must(t, c, "hf:org/tiny")
	if got := strings.Join(*said, "\n"); !strings.Contains(got, "503") || !strings.Contains(got, "refused") {
		t.Errorf("it said %q", got)
	}
	_, err = fetch(t, c, "hf:org/other")
	mentions(t, err, "hf:org/other", "127.0.0.1:1", "not in the cache")
}

// What is here of a file is kept through anything, and only the rest is asked for.
func TestResume(t *testing.T) {
	server, c, said := open(t)
	const half = 1 << 18
	server.Change(func(h *hubtest.Hub) { h.Cut["model.safetensors"] = half })
	has(t, must(t, c, "hf:org/tiny"), files()) // the connection breaks, and the same call goes on
	if got := server.Requests(); !slices.Contains(got, "cdn GET "+got[len(got)-1][len("cdn GET "):]) || !strings.HasSuffix(got[len(got)-1], "bytes=262144-") {
		t.Errorf("requests: %v", got)
	}
	if len(*said) == 0 {
		t.Error("nothing was said")
	}

	for name, noRanges := range map[string]bool{"ranges": false, "a server without ranges": true} {
		t.Run(name, func(t *testing.T) {
			server, c, _ := open(t)
			server.Change(func(h *hubtest.Hub) { h.Stall["model.safetensors"], h.NoRanges = half, noRanges })
			ctx, stop := context.WithCancelCause(t.Context())
			stopped := errors.New("stopped by the test")
			c.Patience = time.Minute
			go func() {
				if err := server.Stalled(); err != nil {
					stop(err)
				}
				for len(leftovers(t, c)) == 0 || size(leftovers(t, c)[0]) < half {
					time.Sleep(time.Millisecond)
				}
				stop(stopped)
			}()
			ref, _, _ := hub.Parse("hf:org/tiny")
			s, err := c.Find(ctx, ref)
			if err == nil {
				err = s.Fetch(ctx, all)
			}
			if !errors.Is(err, stopped) || len(leftovers(t, c)) != 1 {
				t.Fatalf("%v, %v", err, leftovers(t, c))
			}
			server.Requests()
			has(t, must(t, c, "hf:org/tiny"), files())
			got := server.Requests()
			if !strings.HasSuffix(got[len(got)-1], "bytes=262144-") && !noRanges {
				t.Errorf("requests: %v", got)
			}
			if len(leftovers(t, c)) != 0 {
				t.Error(leftovers(t, c))
			}
		})
	}

	t.Run("a server that stops sending", func(t *testing.T) {
		server, c, said := open(t)
		server.Change(func(h *hubtest.Hub) { h.Stall["model.safetensors"] = half })
		c.Patience = time.Second
		has(t, must(t, c, "hf:org/tiny"), files())
		if got := strings.Join(*said, "\n"); !strings.Contains(got, "nothing came for 1s") {
			t.Errorf("it said %q", got)
		}
	})
	t.Run("more than there should be", func(t *testing.T) {
		server, c, _ := open(t)
		server.Change(func(h *hubtest.Hub) { h.Spoil["model.safetensors"] = true })
		if _, err := fetch(t, c, "hf:org/tiny"); err == nil {
			t.Fatal("taken")
		}
		blobs := filepath.Join(c.Cache, "models--org--tiny/blobs")
		etag := hashOf(t, server)
		if err := os.WriteFile(filepath.Join(blobs, etag+".incomplete"), append(slices.Clone(weights), "more"...), 0o644); err != nil {
			t.Fatal(err)
		}
		server.Change(func(h *hubtest.Hub) { h.Spoil = map[string]bool{} })
		has(t, must(t, c, "hf:org/tiny"), files())
		// A blob that was cut short later is fetched again.
		if err := errors.Join(os.Truncate(filepath.Join(blobs, etag), 5), os.Remove(filepath.Join(c.Cache, "models--org--tiny/snapshots", must(t, c, "hf:org/tiny").Commit, "model.safetensors"))); err != nil {
			t.Fatal(err)
		}
		has(t, must(t, c, "hf:org/tiny"), files())
	})
}

func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// Many at one time fetch each file once.
func TestTogether(t *testing.T) {
	server, c, _ := open(t)
	const n = 4
	done := make(chan error, n)
	for range n {
		go func() {
			other := *c
			other.Say, other.Client = nil, nil
			ref, _, _ := hub.Parse("hf:org/tiny")
			s, err := other.Find(t.Context(), ref)
			if err == nil {
				err = s.Fetch(t.Context(), all)
			}
			done <- err
		}()
	}
	for range n {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if got := slices.DeleteFunc(server.Requests(), func(r string) bool { return !strings.HasPrefix(r, "cdn GET") }); len(got) != 1 {
		t.Errorf("the weights were asked for %d times", len(got))
	}
	has(t, must(t, c, "hf:org/tiny"), files())
}
