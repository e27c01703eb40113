//go:build cgo

package ort

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestPinNamesBothArchitectures(t *testing.T) {
	p := Pinned()
	for _, arch := range []string{"x86_64", "aarch64"} {
		f := p.Files[arch]
		if len(f.SHA256) != 64 || !strings.HasSuffix(f.Member, ".so."+p.Version) {
			t.Errorf("%s: %+v", arch, f)
		}
	}
	// What pip unpacks is the same release, with a hash for the wheel of each.
	wheels, err := os.ReadFile("requirements.txt")
	if err != nil {
		t.Fatal(err)
	}
	pinned := regexp.MustCompile(`(?m)^onnxruntime==` + regexp.QuoteMeta(p.Version) + `( \\\n +--hash=sha256:[0-9a-f]{64}){2}\n\z`)
	if !pinned.Match(wheels) {
		t.Errorf("requirements.txt does not pin two wheels of version %s by hash:\n%s", p.Version, wheels)
	}
}

// Only this module's own .cache is searched, from any folder inside it: every folder above the working one used to be.
func TestPlaces(t *testing.T) {
	root := t.TempDir()
	deep := filepath.Join(root, "a", "b")
	if err := os.MkdirAll(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, mod string
		searched  bool
	}{
		{"no module", "", false},
		{"another module", "module example.com/other\n", false},
		{"this module", "module github.com/loopserve/loopserve\n\ngo 1.26.0\n", true},
	} {
		if tt.mod != "" {
			if err := os.WriteFile(filepath.Join(root, "go.mod"), []byte(tt.mod), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		t.Chdir(deep)
		inRoot := func(path string) bool { return strings.HasPrefix(path, root) }
		if got := slices.ContainsFunc(places(Pinned()), inRoot); got != tt.searched {
			t.Errorf("%s: %v", tt.name, places(Pinned()))
		}
	}
}

// Whatever is wrong with the library, the error says which file and what to do.
func TestWrongLibraries(t *testing.T) {
	good, err := findLibrary("")
	if err != nil {
		t.Fatal(err)
	}
	image, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, content []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, test := range []struct {
		name, path string
		says       []string
	}{
		{"text", write("text.so", []byte("not found, said the proxy\n")), []string{"not a shared library"}},
		{"empty", write("empty.so", nil), []string{"not a shared library"}},
		{"cut short", write("short.so", image[:len(image)/2]), []string{"damaged"}},
		{"another library", shared(t, "int answer(void) { return 42; }"), []string{"no symbol OrtGetApiBase"}},
		{
			"an older release",
			shared(t, `typedef struct { const void *(*api)(unsigned); const char *(*version)(void); } base;
static const void *api(unsigned v) { return 0; }
static const char *version(void) { return "1.10.0"; }
static base b = {api, version};
const base *OrtGetApiBase(void) { return &b; }`),
			[]string{"is version 1.10.0, but version 1.24 or newer is required"},
		},
	} {
		_, err := load(test.path)
		for _, says := range append(test.says, test.path, "make ort", LibraryEnv) {
			if !errors.Is(err, ErrLibrary) || !strings.Contains(err.Error(), says) {
				t.Errorf("%s: error %v, want %q in it", test.name, err, says)
			}
		}
	}
}

func shared(t *testing.T, source string) string {
	t.Helper()
	dir := t.TempDir()
	in, out := filepath.Join(dir, "lib.c"), filepath.Join(dir, "lib.so")
	if err := os.WriteFile(in, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	cc, err := exec.Command("go", "env", "CC").Output()
	if err != nil {
		t.Fatal(err)
	}
	args := append(strings.Fields(string(cc)), "-shared", "-fPIC", "-o", out, in)
	if said, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	return out
}

func TestWhereTheLibraryIsLookedFor(t *testing.T) {
	pin := Pinned()
	home := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", home)
	t.Setenv(LibraryEnv, "")
	t.Chdir(t.TempDir()) // far from the module's own .cache

	_, err := findLibrary("")
	if !errors.Is(err, ErrLibrary) || !strings.Contains(err.Error(), "make ort") || !strings.Contains(err.Error(), LibraryEnv) || !strings.Contains(err.Error(), home) {
		t.Errorf("nowhere: %v", err)
	}

	// A file in the cache that is not the pinned one is refused before it is loaded.
	cached := filepath.Join(home, "loopserve", "ort", pin.Version, arch(), pin.Files[arch()].Member)
	if err := os.MkdirAll(filepath.Dir(cached), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cached, []byte("flipped"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = findLibrary("")
	if !errors.Is(err, ErrLibrary) || !strings.Contains(err.Error(), cached+" is damaged") || !strings.Contains(err.Error(), "make ort") {
		t.Errorf("damaged: %v", err)
	}

	// The variable and the option go before the cache, the option first; a file that is not there is an error that
	// names who named it.
	t.Setenv(LibraryEnv, cached)
	if path, err := findLibrary(""); path != cached {
		t.Errorf("%s: %v", path, err)
	}
	if path, err := findLibrary(cached + ".2"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an option that names nothing: %s, %v", path, err)
	}
	t.Setenv(LibraryEnv, filepath.Join(home, "none.so"))
	if _, err := findLibrary(""); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), LibraryEnv) {
		t.Errorf("a variable that names nothing: %v", err)
	}
}

// The pinned library has no CUDA: cuda is an error that says what to install, auto is the CPU with the reason logged.
func TestProviders(t *testing.T) {
	CheckLeaks(t)
	hold := open(t) // one environment for all that follows
	_, err := Open(Options{Provider: ProviderCUDA})
	if !errors.Is(err, ErrProvider) {
		t.Fatalf("cuda without CUDA: %v", err)
	}
	for _, says := range []string{"CUDA", "onnxruntime-gpu", LibraryEnv, "provider: cpu"} {
		if !strings.Contains(err.Error(), says) {
			t.Errorf("cuda: %v, want %q in it", err, says)
		}
	}
	if _, err := Open(Options{Provider: "rocm"}); !errors.Is(err, ErrProvider) || !strings.Contains(err.Error(), `"rocm"`) {
		t.Errorf("an unknown provider: %v", err)
	}
	var log bytes.Buffer
	e, err := Open(Options{Provider: ProviderAuto, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if e.Provider() != ProviderCPU || !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "onnxruntime-gpu") {
		t.Errorf("auto chose %s and logged %q", e.Provider(), log.String())
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if hold.Provider() != ProviderCPU {
		t.Errorf("provider %s", hold.Provider())
	}
}

// What pip unpacked is taken where the wheel's own RECORD has its hash: the wheels of a release differ by version of Python.
func TestLibraryInSitePackages(t *testing.T) {
	pin := Pinned()
	venv := t.TempDir()
	for name, value := range map[string]string{"VIRTUAL_ENV": venv, "XDG_CACHE_HOME": venv, "HOME": venv, LibraryEnv: ""} {
		t.Setenv(name, value)
	}
	t.Chdir(venv)
	site := filepath.Join(venv, "lib", "python3.9", "site-packages")
	library := filepath.Join(site, pin.Files[arch()].Member)
	record := filepath.Join(site, "onnxruntime-"+pin.Version+".dist-info", "RECORD")
	for path, content := range map[string]string{
		library: "hello\n",
		record:  "a,sha256=b,1\n" + pin.Files[arch()].Member + ",sha256=WJG2sSkCjPsS8UzMgUFvhAsLFgGZ1tSR8bJc1uYrl7I,6\n",
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := findLibrary(""); err == nil || !strings.Contains(err.Error(), "is damaged") || !strings.Contains(err.Error(), library) {
		t.Errorf("another file than RECORD has: %v", err)
	}
	sum := sha256.Sum256([]byte("hello\n"))
	good := "a,sha256=b,1\n" + pin.Files[arch()].Member + ",sha256=" + base64.RawURLEncoding.EncodeToString(sum[:]) + ",6\n"
	if err := os.WriteFile(record, []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := findLibrary(""); err != nil || got != library {
		t.Errorf("found %q, %v; want %s", got, err, library)
	}
}

// ONNX Runtime's own telemetry is off: its uploader would keep an identifier and a database in the user's cache.
func TestNothingIsToldToOthers(t *testing.T) {
	if os.Getenv("LOOPSERVE_TEST_HOME") != "" { // the library has not been loaded in this process
		env, err := Open(Options{Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		if err := env.Close(); err != nil {
			t.Fatal(err)
		}
		return
	}
	path, err := findLibrary("")
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestNothingIsToldToOthers$", "-test.count=1")
	cmd.Env = append(os.Environ(), "LOOPSERVE_TEST_HOME=1", "ORT_DISABLE_TELEMETRY=0", LibraryEnv+"="+path, "HOME="+home, "XDG_CACHE_HOME="+home, "TMPDIR="+home)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	left, err := os.ReadDir(home)
	if err != nil || len(left) > 0 {
		t.Errorf("the library wrote %v into the user's folder (%v)", left, err)
	}
}
