// Package hubtest is a hub for tests: folders behind the routes and headers of huggingface.co, with the weights on another
// server, as there. Python's huggingface_hub takes it for one (scripts/clients/hub.py).
package hubtest

import (
	"bytes"
	"cmp"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Hub is a running one. Its fields may be set between requests, under Change.
type Hub struct {
	URL string // for HF_ENDPOINT

	Token    string           // that each request to the hub must have
	Gated    bool             // requests are refused for want of a licence
	Down     bool             // HTTP 503
	NoRanges bool             // the CDN sends whole files
	Listed   []string         // more names in the list of files
	Cut      map[string]int64 // files that break off after so many bytes, once
	Stall    map[string]int64 // files that stop after so many bytes, until the client is gone, once
	Claim    map[string]int64 // sizes of files, beside their own
	Spoil    map[string]bool  // files whose bytes are not those of their hash

	mu       sync.Mutex
	repos    map[string]map[string]*version // by ORG/NAME and revision
	requests []string
	stalled  chan string
	cdn      *httptest.Server
}

type version struct {
	commit string
	files  map[string][]byte
}

// New starts a hub, which ends with the test.
func New(t testing.TB) *Hub {
	h := &Hub{repos: map[string]map[string]*version{}, Cut: map[string]int64{}, Stall: map[string]int64{}, Spoil: map[string]bool{}, stalled: make(chan string, 100)}
	hub := httptest.NewServer(http.HandlerFunc(h.serve))
	h.cdn = httptest.NewServer(http.HandlerFunc(h.blob))
	t.Cleanup(hub.Close)
	t.Cleanup(h.cdn.Close)
	h.URL = hub.URL
	return h
}

// Put makes a folder what a revision of a repository is, and returns its commit. files are changed in it, or (nil) left out.
func (h *Hub) Put(repo, revision, folder string, files map[string][]byte) (commit string, err error) {
	v := &version{files: map[string][]byte{}}
	err = fs.WalkDir(os.DirFS(folder), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		v.files[name], err = fs.ReadFile(os.DirFS(folder), name)
		return err
	})
	if err != nil {
		return "", err
	}
	for name, content := range files {
		if v.files[name] = content; content == nil {
			delete(v.files, name)
		}
	}
	sum := sha1.New()
	for _, name := range v.names() {
		fmt.Fprintln(sum, name, etag(name, v.files[name]))
	}
	v.commit = fmt.Sprintf("%x", sum.Sum(nil))
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.repos[repo] == nil {
		h.repos[repo] = map[string]*version{}
	}
	h.repos[repo][revision], h.repos[repo][v.commit] = v, v
	return v.commit, nil
}

// Change sets fields.
func (h *Hub) Change(f func(h *Hub)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f(h)
}

// Requests are those since the last call: METHOD PATH, with cdn before what came to the CDN, and the range and the token that they had.
func (h *Hub) Requests() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	defer func() { h.requests = nil }()
	return h.requests
}

// Stalled waits until a file has stopped.
func (h *Hub) Stalled() error {
	select {
	case <-h.stalled:
		return nil
	case <-time.After(time.Minute):
		return errors.New("no file was asked for that stalls")
	}
}

func (v *version) names() []string { return slices.Sorted(maps.Keys(v.files)) }

// large says which files lie on the CDN.
func large(name string) bool {
	return slices.Contains([]string{".safetensors", ".gguf", ".bin"}, path.Ext(name))
}

func etag(name string, content []byte) string {
	if large(name) {
		return fmt.Sprintf("%x", sha256.Sum256(content))
	}
	return fmt.Sprintf("%x", sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(content), content)))
}

func (h *Hub) log(before string, r *http.Request) {
	text := before + r.Method + " " + r.URL.Path
	for _, name := range []string{"Range", "Authorization"} {
		if v := r.Header.Get(name); v != "" {
			text += " " + v
		}
	}
	h.requests = append(h.requests, text)
}

// refuse answers as the hub does: https://huggingface.co/docs/hub/api has no list; the codes are those that huggingface_hub knows.
func refuse(w http.ResponseWriter, status int, code, text string) {
	w.Header().Set("X-Error-Code", code)
	w.Header().Set("X-Error-Message", text)
	w.WriteHeader(status)
}

func (h *Hub) serve(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.log("", r)
	given := r.Header.Get("Authorization")
	parts := strings.Split(strings.Trim(strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/api/models"), "/api/resolve-cache/models"), "/"), "/")
	if len(parts) < 2 {
		refuse(w, 404, "", "")
		return
	}
	repo, ok := h.repos[parts[0]+"/"+parts[1]]
	revision := "main"
	if len(parts) > 3 {
		revision = parts[3]
		if strings.HasPrefix(r.URL.Path, "/api/resolve-cache") {
			revision = parts[2]
		}
	}
	v := repo[revision]
	switch {
	case h.Down:
		refuse(w, 503, "", "down for maintenance")
	case !ok && given == "":
		refuse(w, 401, "RepoNotFound", "Invalid username or password.")
	case !ok:
		refuse(w, 404, "RepoNotFound", "Repository not found")
	case h.Token != "" && given == "":
		refuse(w, 401, "RepoNotFound", "Invalid username or password.")
	case h.Token != "" && given != "Bearer "+h.Token:
		refuse(w, 401, "", "Invalid credentials in Authorization header")
	case h.Gated:
		refuse(w, 403, "GatedRepo", "Access to model is restricted.")
	case v == nil:
		refuse(w, 404, "RevisionNotFound", "Invalid rev id: "+revision)
	case len(parts) > 3 && parts[2] == "resolve":
		h.resolve(w, r, v, strings.Join(parts[4:], "/"))
	case strings.HasPrefix(r.URL.Path, "/api/resolve-cache"):
		send(w, r, v, strings.Join(parts[3:], "/"))
	case len(parts) > 3 && parts[2] == "tree":
		answer(w, v.tree())
	default:
		type sibling struct {
			Name string `json:"rfilename"`
		}
		var list []sibling
		for _, name := range append(v.names(), h.Listed...) {
			list = append(list, sibling{name})
		}
		answer(w, map[string]any{"id": parts[0] + "/" + parts[1], "sha": v.commit, "siblings": list, "private": false, "tags": []string{}})
	}
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func (v *version) tree() []map[string]any {
	var out []map[string]any
	for _, name := range v.names() {
		size := len(v.files[name])
		entry := map[string]any{"type": "file", "path": name, "size": size, "oid": etag("", v.files[name])}
		if large(name) {
			entry["lfs"] = map[string]any{"oid": etag(name, v.files[name]), "size": size, "pointerSize": 134}
		}
		out = append(out, entry)
	}
	return out
}

// resolve sends a small file, config.json by way of a redirect on the hub itself, and leads to the CDN for a large one.
func (h *Hub) resolve(w http.ResponseWriter, r *http.Request, v *version, name string) {
	w.Header().Set("X-Repo-Commit", v.commit)
	content, ok := v.files[name]
	switch {
	case !ok:
		refuse(w, 404, "EntryNotFound", "Entry not found")
	case large(name):
		w.Header().Set("X-Linked-Etag", `"`+etag(name, content)+`"`)
		w.Header().Set("X-Linked-Size", fmt.Sprint(cmp.Or(h.Claim[name], int64(len(content)))))
		w.Header().Set("ETag", `"0123"`)
		http.Redirect(w, r, h.cdn.URL+r.URL.Path+"?X-Signature=1", http.StatusFound)
	case name == "config.json":
		repo, _, _ := strings.Cut(r.URL.Path, "/resolve/")
		http.Redirect(w, r, "/api/resolve-cache/models"+repo+"/"+v.commit+"/"+name, http.StatusTemporaryRedirect)
	default:
		send(w, r, v, name)
	}
}

func send(w http.ResponseWriter, r *http.Request, v *version, name string) {
	w.Header().Set("X-Repo-Commit", v.commit)
	w.Header().Set("ETag", `"`+etag(name, v.files[name])+`"`)
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(v.files[name]))
}

// blob is the CDN.
func (h *Hub) blob(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	h.log("cdn ", r)
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	name := strings.Join(parts[4:], "/")
	content := bytes.Clone(h.repos[parts[0]+"/"+parts[1]][parts[3]].files[name])
	cut, cuts := h.Cut[name]
	stall, stalls := h.Stall[name]
	delete(h.Cut, name)
	delete(h.Stall, name)
	if h.Spoil[name] {
		content[len(content)/2] ^= 1
	}
	if h.NoRanges {
		r.Header.Del("Range")
	}
	h.mu.Unlock()
	w.Header().Set("ETag", `"0123"`)
	if !cuts && !stalls {
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
		return
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(content)))
	_, _ = w.Write(content[:max(cut, stall)])
	w.(http.Flusher).Flush()
	if stalls {
		h.stalled <- name
		<-r.Context().Done()
	}
	panic(http.ErrAbortHandler)
}
