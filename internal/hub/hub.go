package hub

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

var (
	repoRule   = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,95}/[A-Za-z0-9_][A-Za-z0-9._-]{0,95}$`)
	commitRule = regexp.MustCompile(`^[0-9a-f]{40}$`)
	etagRule   = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)
)

// ErrRef says that a name means no model, whatever the hub has.
var ErrRef = errors.New("names no model")

// Ref names a model of the hub, or one file of it.
type Ref struct {
	Repo     string // ORG/NAME
	Revision string // a branch, a tag or a commit
	File     string // a GGUF file; empty: the whole checkpoint
}

// Parse reads hf:ORG/NAME, hf:ORG/NAME@REVISION and hf:ORG/NAME/FILE.gguf. ok says whether text begins as one does.
// FILE has no @, after which a revision would begin.
func Parse(text string) (ref Ref, ok bool, err error) {
	rest, ok := strings.CutPrefix(text, "hf:")
	if !ok {
		return ref, false, nil
	}
	name, revision, at := strings.Cut(strings.TrimPrefix(rest, "//"), "@")
	if strings.HasSuffix(revision, ".gguf") { // hf:ORG/NAME@REVISION/FILE.gguf, too
		revision, ref.File, _ = strings.Cut(revision, "/")
	}
	if parts := strings.SplitN(name, "/", 3); len(parts) == 3 && ref.File == "" {
		name, ref.File = parts[0]+"/"+parts[1], parts[2]
	}
	ref.Repo, ref.Revision = name, cmp.Or(revision, "main")
	if !repoRule.MatchString(name) || strings.Contains(name, "..") || strings.Contains(name, "--") || at && revision == "" ||
		!plain(ref.Revision) || ref.File != "" && (!plain(ref.File) || strings.Contains(ref.File, "@") || !strings.HasSuffix(ref.File, ".gguf")) {
		return ref, true, fmt.Errorf("%q %w: write hf:ORG/NAME, hf:ORG/NAME@REVISION or hf:ORG/NAME/FILE.gguf, with no @ in FILE", text, ErrRef)
	}
	return ref, true, nil
}

// String is what Parse reads.
func (r Ref) String() string {
	out := "hf:" + r.Repo
	if r.File != "" {
		out += "/" + r.File
	}
	return out + "@" + r.Revision
}

// plain says whether a path stays in its folder, on any system.
func plain(path string) bool {
	return fs.ValidPath(path) && path != "." && !strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r == '\\' || r == ':' || r == 0x7f })
}

// Hub is one hub, and the cache of what comes from it.
type Hub struct {
	Endpoint string // https://huggingface.co, without a slash at the end
	Cache    string // the folder with models--ORG--NAME
	Token    string // may be empty
	Offline  bool   // nothing is asked for
	// Say is told what a person should know; Progress how far a download is. Either may be nil.
	Say      func(text string)
	Progress func(Progress)
	Client   *http.Client // nil: one that is made for the purpose
	Patience time.Duration
}

// Progress is how far a download is, in bytes of all its files.
type Progress struct {
	File        string
	Done, Total int64
}

// FromEnvironment takes the settings that huggingface_hub takes, from the same variables.
func FromEnvironment(env func(name string) string) (*Hub, error) {
	expand := func(path string) string {
		if rest, ok := strings.CutPrefix(path, "~/"); ok {
			path = filepath.Join(env("HOME"), rest)
		}
		return os.Expand(path, env)
	}
	home := expand(cmp.Or(env("HF_HOME"), filepath.Join(cmp.Or(env("XDG_CACHE_HOME"), filepath.Join(env("HOME"), ".cache")), "huggingface")))
	h := &Hub{
		Endpoint: strings.TrimRight(cmp.Or(env("HF_ENDPOINT"), "https://huggingface.co"), "/"),
		Cache:    expand(cmp.Or(env("HF_HUB_CACHE"), env("HUGGINGFACE_HUB_CACHE"), filepath.Join(home, "hub"))),
		Token:    strings.TrimSpace(cmp.Or(env("HF_TOKEN"), env("HUGGING_FACE_HUB_TOKEN"))),
		Offline:  slices.Contains([]string{"1", "ON", "YES", "TRUE"}, strings.ToUpper(cmp.Or(env("HF_HUB_OFFLINE"), env("TRANSFORMERS_OFFLINE")))),
		Patience: 30 * time.Second,
	}
	if u, err := url.Parse(h.Endpoint); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("HF_ENDPOINT is %q: write it as https://huggingface.co", h.Endpoint)
	}
	if h.Token == "" { // no file: no token
		data, _ := os.ReadFile(expand(cmp.Or(env("HF_TOKEN_PATH"), filepath.Join(home, "token"))))
		h.Token = strings.TrimSpace(string(data))
	}
	return h, nil
}

func (h *Hub) say(format string, args ...any) {
	if h.Say != nil {
		h.Say(fmt.Sprintf(format, args...))
	}
}
