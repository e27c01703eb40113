package ort

import (
	"crypto/sha256"
	"debug/elf"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// LibraryEnv names the environment variable that points at another library.
const LibraryEnv = "LOOPSERVE_ORT_LIB"

//go:embed pin.json
var pinJSON []byte

// Pin is the one release of ONNX Runtime that the project is built and tested with. requirements.txt beside it pins the
// wheels that the library comes in.
type Pin struct {
	Version string               `json:"version"`
	Files   map[string]PinnedLib `json:"files"` // by architecture as `uname -m` says it
}

// PinnedLib is the pinned library of one architecture.
type PinnedLib struct {
	Member string `json:"member"` // the library's path in the wheel, and in the folder that pip unpacks it to
	SHA256 string `json:"sha256"`
}

// Pinned returns the pin, from pin.json.
func Pinned() Pin {
	var p Pin
	if err := json.Unmarshal(pinJSON, &p); err != nil {
		return Pin{} // a test reads it: cannot happen in a build that passed
	}
	return p
}

func arch() string {
	return map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
}

// places are where `make ort` and an installed copy put the library, in order: beside the executable (bin/../.cache, lib),
// in the site-packages that pip fills beside it, this module's own .cache, the user's cache, an active virtual environment
// and the user's site-packages.
func places(p Pin) []string {
	cached := filepath.Join("ort", p.Version, arch(), p.Files[arch()].Member)
	var out []string
	if exe, err := os.Executable(); err == nil {
		home := filepath.Dir(filepath.Dir(exe))
		out = append(out, filepath.Join(home, ".cache", cached), filepath.Join(home, "lib", filepath.Base(cached)))
		out = append(out, sitePackages(home, p)...)
	}
	if root, ok := moduleRoot(); ok {
		out = append(out, filepath.Join(root, ".cache", cached))
	}
	if dir, err := os.UserCacheDir(); err == nil {
		out = append(out, filepath.Join(dir, "loopserve", cached))
	}
	if venv := os.Getenv("VIRTUAL_ENV"); venv != "" {
		out = append(out, sitePackages(venv, p)...)
	}
	if home, err := os.UserHomeDir(); err == nil {
		out = append(out, sitePackages(filepath.Join(home, ".local"), p)...)
	}
	return out
}

// sitePackages are the libraries of the pinned version below the folder that pip installed to, whichever Python it is of.
func sitePackages(prefix string, p Pin) []string {
	var out []string
	for _, packages := range []string{"site-packages", "dist-packages"} { // Debian's pip has the second
		found, _ := filepath.Glob(filepath.Join(prefix, "lib", "python3*", packages, filepath.FromSlash(p.Files[arch()].Member)))
		out = append(out, found...)
	}
	return out
}

// recorded is the sha256 that pip noted for a wheel's file when it unpacked it, or "": the wheels of one release hold a
// library for each version of Python, of which one is pinned.
func recorded(path string, p Pin) string {
	member := p.Files[arch()].Member
	root := strings.TrimSuffix(path, filepath.FromSlash(member))
	lines, err := os.ReadFile(filepath.Join(root, "onnxruntime-"+p.Version+".dist-info", "RECORD"))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(lines)) {
		if rest, ok := strings.CutPrefix(line, member+",sha256="); ok {
			digest, _, _ := strings.Cut(rest, ",")
			sum, err := base64.RawURLEncoding.DecodeString(digest)
			if err == nil {
				return hex.EncodeToString(sum)
			}
		}
	}
	return ""
}

// moduleRoot is the folder of this module's source, where the working folder is in it: a test runs in its package's folder.
// Folders above another module, or above none, are not searched.
func moduleRoot() (string, bool) {
	dir, err := os.Getwd()
	if err != nil {
		return "", false
	}
	for {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil {
			first, _, _ := strings.Cut(string(mod), "\n")
			return dir, strings.TrimSpace(first) == "module github.com/loopserve/loopserve"
		}
		if dir == filepath.Dir(dir) {
			return "", false
		}
		dir = filepath.Dir(dir)
	}
}

// findLibrary returns the library's path: the option, the environment variable, or the pinned one with the right hash.
func findLibrary(option string) (string, error) {
	for _, named := range []struct{ path, by string }{{option, "ort_lib (" + LibraryEnv + ")"}, {os.Getenv(LibraryEnv), LibraryEnv}} {
		if named.path == "" {
			continue
		}
		if _, err := os.Stat(named.path); err != nil {
			return "", fmt.Errorf("%w: %s names %s: %w", ErrLibrary, named.by, named.path, err)
		}
		return named.path, nil
	}
	pin := Pinned()
	want, ok := pin.Files[arch()]
	if !ok {
		return "", fmt.Errorf("%w: no library is pinned for %s: set %s to a libonnxruntime.so of version %s or newer",
			ErrLibrary, runtime.GOARCH, LibraryEnv, pin.Version)
	}
	tried := places(pin)
	for _, path := range tried {
		f, err := os.Open(path)
		if err != nil {
			continue
		}
		sum, err := fileSHA256(f)
		f.Close()
		if err != nil || sum != want.SHA256 && sum != recorded(path, pin) {
			return "", fmt.Errorf("%w: %s is damaged: its sha256 is %s, expected %s: delete it and run `make ort`", ErrLibrary, path, sum, want.SHA256)
		}
		return path, nil
	}
	return "", fmt.Errorf("%w: version %s was not found in %v: run `make ort` in the source tree, or `pip install onnxruntime==%s` in a virtual environment beside which loopserve runs, or set %s to a libonnxruntime.so",
		ErrLibrary, pin.Version, tried, pin.Version, LibraryEnv)
}

// checkELF finds a file that is not a shared library, or is truncated, before the loader maps it: reading past the end of a
// mapped file is SIGBUS, not an error.
func checkELF(path string) error {
	stat, err := os.Stat(path)
	if err != nil {
		return err
	}
	f, err := elf.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, p := range f.Progs {
		if end := p.Off + p.Filesz; end < p.Off || end > uint64(stat.Size()) {
			return fmt.Errorf("it is truncated: it has %d bytes, but a segment ends at byte %d", stat.Size(), end)
		}
	}
	return nil
}

func fileSHA256(r io.Reader) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
