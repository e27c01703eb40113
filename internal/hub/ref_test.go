package hub_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/internal/hub"
)

func TestParse(t *testing.T) {
	commit := strings.Repeat("0f", 20)
	for text, want := range map[string]hub.Ref{
		"hf:org/name":                         {Repo: "org/name", Revision: "main"},
		"hf://org/name":                       {Repo: "org/name", Revision: "main"},
		"hf:org/Name-1.4B@v2":                 {Repo: "org/Name-1.4B", Revision: "v2"},
		"hf:org/name@" + commit:               {Repo: "org/name", Revision: commit},
		"hf:org/name@refs/pr/3":               {Repo: "org/name", Revision: "refs/pr/3"},
		"hf:org/name/a-q4.gguf":               {Repo: "org/name", Revision: "main", File: "a-q4.gguf"},
		"hf:org/name/q4/a.gguf@v2":            {Repo: "org/name", Revision: "v2", File: "q4/a.gguf"},
		"hf:org/name@v2/q4/a.gguf":            {Repo: "org/name", Revision: "v2", File: "q4/a.gguf"},
		"hf:HuggingFaceTB/SmolLM2-135M@main":  {Repo: "HuggingFaceTB/SmolLM2-135M", Revision: "main"},
		"hf:org/name/Model Q4 (new).gguf@a b": {Repo: "org/name", Revision: "a b", File: "Model Q4 (new).gguf"},
	} {
		got, ok, err := hub.Parse(text)
		if err != nil || !ok || got != want {
			t.Errorf("%s: %+v %v %v", text, got, ok, err)
		}
	}
	for _, text := range []string{
		"hf:", "hf:name", "hf:org/", "hf:/name", "hf:../name", "hf:org/..", "hf:org/na--me", "hf:org/name@", "hf:org/name@../../x", "hf:org/name@/etc",
		"hf:org/name/sub", "hf:org/name/../x.gguf", "hf:org/name//x.gguf", "hf:org/name@a\\b", "hf:org/na me", "hf:org/name@a\nb",
		"hf:org/name/a@b.gguf", "hf:org/name@v2/a@b.gguf",
	} {
		if _, ok, err := hub.Parse(text); !ok || err == nil {
			t.Errorf("%q was taken", text)
		}
	}
	if _, ok, err := hub.Parse("models/adder"); ok || err != nil {
		t.Error(ok, err)
	}
}

func TestEnvironment(t *testing.T) {
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "token"), []byte("from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		env             map[string]string
		endpoint, cache string
		token           string
		offline         bool
	}{
		"nothing":           {map[string]string{"HOME": "/h"}, "https://huggingface.co", "/h/.cache/huggingface/hub", "", false},
		"XDG":               {map[string]string{"HOME": "/h", "XDG_CACHE_HOME": "/x"}, "https://huggingface.co", "/x/huggingface/hub", "", false},
		"HF_HOME":           {map[string]string{"HOME": "/h", "XDG_CACHE_HOME": "/x", "HF_HOME": home}, "https://huggingface.co", home + "/hub", "from-file", false},
		"HF_HUB_CACHE":      {map[string]string{"HOME": "/h", "HF_HOME": "/y", "HF_HUB_CACHE": "~/c/$U", "U": "me"}, "https://huggingface.co", "/h/c/me", "", false},
		"tokens":            {map[string]string{"HF_HOME": home, "HF_TOKEN": " mine\n"}, "https://huggingface.co", home + "/hub", "mine", false},
		"a token's file":    {map[string]string{"HF_HOME": "/y", "HF_TOKEN_PATH": home + "/token"}, "https://huggingface.co", "/y/hub", "from-file", false},
		"offline, a mirror": {map[string]string{"HF_HOME": "/y", "HF_HUB_OFFLINE": "yes", "HF_ENDPOINT": "http://mirror:1/hub/"}, "http://mirror:1/hub", "/y/hub", "", true},
		"not offline":       {map[string]string{"HF_HOME": "/y", "HF_HUB_OFFLINE": "0"}, "https://huggingface.co", "/y/hub", "", false},
	} {
		h, err := hub.FromEnvironment(func(name string) string { return c.env[name] })
		if err != nil || h.Endpoint != c.endpoint || h.Cache != c.cache || h.Token != c.token || h.Offline != c.offline {
			t.Errorf("%s: %+v, %v", name, h, err)
		}
	}
	_, err := hub.FromEnvironment(func(string) string { return "huggingface.co" })
	mentions(t, err, "HF_ENDPOINT", `"huggingface.co"`)
}

// Whatever stands behind hf:, what is taken names a place below the cache, and is read again as the same.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"hf:a/b", "hf:a/b@v1", "hf:a/b/x.gguf", "hf://a/b@c/d/x.gguf", "hf:../b", "hf:a/b@../../x", "hf:a/b/../x.gguf", "hf:a/b@c/@.gguf"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ref, ok, err := hub.Parse(text)
		if !ok || err != nil {
			return
		}
		for _, path := range []string{ref.Repo, ref.Revision, ref.File} {
			if path != "" && !filepath.IsLocal(path) {
				t.Errorf("%q leads to %q", text, path)
			}
		}
		if again, _, err := hub.Parse(ref.String()); err != nil || again != ref {
			t.Errorf("%q is %+v, and %q %+v, %v", text, ref, ref, again, err)
		}
	})
}
