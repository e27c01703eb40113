package bundle

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Errors that callers branch on. Each is wrapped with the file and what is wrong with it.
var (
	// ErrManifest says that manifest.json is missing, not understood, or contradicts itself.
	ErrManifest = errors.New("bad manifest")
	// ErrFile says that a file is not what the manifest states.
	ErrFile = errors.New("bad bundle file")
	// ErrGraph says that an ONNX file does not keep the bundle's contract.
	ErrGraph = errors.New("bad graph")
)

// maxManifest bounds manifest.json.
const maxManifest = 1 << 20

// Bundle is a verified folder.
type Bundle struct {
	Manifest Manifest
	Dir      string // absolute
}

// Options of Open.
type Options struct {
	SkipHash bool // sizes are still checked; Verify can compare the hashes later
	// HashNewer compares the hashes of files that were changed after the manifest, also with SkipHash: an export writes the
	// manifest last, and copies that keep times keep that order.
	HashNewer bool
}

// Path is where a file of the bundle is.
func (b *Bundle) Path(file string) string { return filepath.Join(b.Dir, file) }

// ReadFile reads a listed file whole, or gives fs.ErrNotExist.
func (b *Bundle) ReadFile(name string) ([]byte, error) { return fs.ReadFile(b.FS(), name) }

// Open reads the bundle in dir and checks all of it.
func Open(dir string, opt Options) (*Bundle, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(abs)
	if err != nil {
		return nil, fmt.Errorf("bundle %s: %w (a bundle is a folder that `loopserve export` makes)", dir, err)
	}
	defer root.Close()
	b := &Bundle{Dir: abs}
	if err := b.read(root, opt); err != nil {
		return nil, fmt.Errorf("bundle %s: %w", dir, err)
	}
	return b, nil
}

func (b *Bundle) read(root *os.Root, opt Options) error {
	raw, written, err := readPlain(root, FileName, maxManifest)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrManifest, FileName, err)
	}
	m, err := Parse(raw)
	if err != nil {
		return err
	}
	b.Manifest = *m
	hash := func(file os.FileInfo) bool {
		return !opt.SkipHash || opt.HashNewer && file.ModTime().After(written.ModTime())
	}
	for name, want := range m.Files {
		if err := checkFile(context.Background(), root, name, want, hash); err != nil {
			return err
		}
	}
	var errs []error
	for _, g := range m.graphs() {
		raw, _, err := readPlain(root, g.File, 1<<30)
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrFile, g.File, err)
		}
		if err := checkGraph(raw, g, m); err != nil {
			errs = append(errs, &GraphError{g.File, err})
		}
	}
	return errors.Join(errs...)
}

// Verify compares the hashes of all files with the manifest's. It ends early with ctx.
func (b *Bundle) Verify(ctx context.Context) error {
	root, err := os.OpenRoot(b.Dir)
	if err != nil {
		return fmt.Errorf("bundle %s: %w", b.Dir, err)
	}
	defer root.Close()
	for name, want := range b.Manifest.Files {
		if err := checkFile(ctx, root, name, want, func(os.FileInfo) bool { return true }); err != nil {
			return fmt.Errorf("bundle %s: %w", b.Dir, err)
		}
	}
	return nil
}

// Parse reads a manifest strictly: a version or a key that it does not know is an error.
func Parse(raw []byte) (*Manifest, error) {
	var version struct {
		V json.RawMessage `json:"manifest_version"`
	}
	if err := json.Unmarshal(raw, &version); err != nil {
		return nil, fmt.Errorf("%w: %s is not JSON: %w", ErrManifest, FileName, err)
	}
	if string(version.V) != fmt.Sprint(Version) {
		return nil, fmt.Errorf("%w: manifest_version is %s, but this version of loopserve reads %d: export the model again with this version", ErrManifest, orNothing(version.V), Version)
	}
	m := &Manifest{}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrManifest, err)
	}
	if err := m.Check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrManifest, err)
	}
	return m, nil
}

func orNothing(raw json.RawMessage) string {
	if len(raw) == 0 {
		return "missing"
	}
	return string(raw)
}

// plainName reports whether a file name stays in its folder.
func plainName(name string) bool {
	return name != "" && name != "." && name != ".." && len(name) <= 255 && !strings.ContainsAny(name, "/\\\x00")
}

// openPlain opens a regular file of the folder that is no link of any kind.
func openPlain(root *os.Root, name string) (*os.File, os.FileInfo, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, errors.New("not a regular file (links are refused)")
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok && s.Nlink != 1 {
		return nil, nil, errors.New("it has more than one hard link")
	}
	f, err := root.Open(name)
	return f, info, err
}

func readPlain(root *os.Root, name string, most int64) ([]byte, os.FileInfo, error) {
	f, info, err := openPlain(root, name)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	if info.Size() > most {
		return nil, nil, fmt.Errorf("%d bytes, at most %d are read", info.Size(), most)
	}
	raw, err := io.ReadAll(io.LimitReader(f, most))
	return raw, info, err
}

// checkFile compares a file's size and, where hash says so, its hash with the manifest's.
func checkFile(ctx context.Context, root *os.Root, name string, want File, hash func(os.FileInfo) bool) error {
	f, info, err := openPlain(root, name)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrFile, name, err)
	}
	defer f.Close()
	if info.Size() != want.Size {
		return fmt.Errorf("%w: %s has %d bytes, but the manifest says %d: copy or export it again", ErrFile, name, info.Size(), want.Size)
	}
	if !hash(info) {
		return nil
	}
	sum, err := digest(ctx, f)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrFile, name, err)
	}
	if sum != want.SHA256 {
		return fmt.Errorf("%w: %s has sha256 %s, but the manifest says %s: copy or export it again", ErrFile, name, sum, want.SHA256)
	}
	return nil
}

// digest is the sha256 of what r gives, in hex. It ends early with ctx.
func digest(ctx context.Context, r io.Reader) (string, error) {
	const piece = 16 << 20
	h := sha256.New()
	for {
		n, err := io.CopyN(h, r, piece)
		switch {
		case n < piece && errors.Is(err, io.EOF):
			return hex.EncodeToString(h.Sum(nil)), nil
		case err != nil:
			return "", err
		case ctx.Err() != nil:
			return "", context.Cause(ctx)
		}
	}
}

// Save fills in the sizes and hashes of m.Files from the folder and writes manifest.json there, whole or not at all.
func Save(dir string, m *Manifest) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, name := range slices.Sorted(maps.Keys(m.Files)) {
		f, info, err := openPlain(root, name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		sum, err := digest(context.Background(), f)
		f.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		m.Files[name] = File{SHA256: sum, Size: info.Size()}
	}
	if err := m.Check(); err != nil {
		return fmt.Errorf("%w: %w", ErrManifest, err)
	}
	raw, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	temp := FileName + ".partial"
	f, err := root.Create(temp)
	if err != nil {
		return err
	}
	_, err = f.Write(append(raw, '\n'))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return root.Rename(temp, FileName)
}
