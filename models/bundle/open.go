package bundle

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
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

// Bundle is a verified folder. What is read from it later is held to the manifest again: files may have changed.
type Bundle struct {
	Manifest Manifest
	Dir      string // absolute

	opt   Options
	mu    sync.Mutex
	known map[string]look // of each file, as it was the last time
}

// Options of Open.
type Options struct {
	SkipHash bool // sizes are still checked; Verify can compare the hashes later
	// HashNewer compares the hashes of files that were changed after the manifest, also with SkipHash: an export writes the
	// manifest last, and copies that keep times keep that order.
	HashNewer bool
	// Trust are the keys of which one must have signed the manifest; none: nobody needs to. Hashes are its business only if
	// they are compared.
	Trust []ed25519.PublicKey
}

// Path is where a file of the bundle is.
func (b *Bundle) Path(file string) string { return filepath.Join(b.Dir, file) }

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
	b := &Bundle{Dir: abs, opt: opt, known: map[string]look{}}
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
	if len(opt.Trust) > 0 {
		if err := checkTrust(root, raw, opt.Trust); err != nil {
			return err
		}
	}
	m, err := Parse(raw)
	if err != nil {
		return err
	}
	b.Manifest = *m
	hash := func(file os.FileInfo) bool {
		return !opt.SkipHash || opt.HashNewer && file.ModTime().After(written.ModTime())
	}
	for name := range m.Files {
		if err := b.checkFile(context.Background(), name, hash); err != nil {
			return err
		}
	}
	var errs []error
	for _, g := range m.graphs() {
		_, _, err := b.Graph(g.File)
		if err != nil && len(GraphErrors(err)) == 0 {
			return err
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Graph reads a graph's file and checks it, hash and contract. What it gives is what was checked, with the names of the
// files that have the graph's tensors.
func (b *Bundle) Graph(file string) (raw []byte, files []string, err error) {
	if raw, err = b.ReadFile(file); err != nil {
		return nil, nil, err
	}
	all := b.Manifest.graphs()
	info, err := checkGraph(raw, all[slices.IndexFunc(all, func(g namedGraph) bool { return g.File == file })], &b.Manifest)
	if err != nil {
		return nil, nil, &GraphError{file, err}
	}
	for _, e := range info.external {
		files = append(files, e.location)
	}
	return raw, slices.Compact(slices.Sorted(slices.Values(files))), nil
}

// hashes says whether hashes are ever compared.
func (b *Bundle) hashes() bool { return !b.opt.SkipHash || b.opt.HashNewer }

// compare says whether a file's size and, where it is known, its hash are the manifest's.
func (b *Bundle) compare(name string, size int64, sum string) error {
	want := b.Manifest.Files[name]
	if size != want.Size {
		return fmt.Errorf("%w: %s has %d bytes, but the manifest says %d: copy or export it again", ErrFile, name, size, want.Size)
	}
	if sum != "" && sum != want.SHA256 {
		return fmt.Errorf("%w: %s has sha256 %s, but the manifest says %s: copy or export it again", ErrFile, name, sum, want.SHA256)
	}
	return nil
}

// Load has a listed file of its size brought into memory. A file that is no longer the one that was looked at before is hashed,
// unless hashes are never compared; one that changes meanwhile is an error.
func (b *Bundle) Load(name string, read func(f *os.File, size int) (held []byte, err error)) error {
	return b.with(name, func(root *os.Root) error {
		f, info, err := openPlain(root, name)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := b.compare(name, info.Size(), ""); err != nil {
			return err
		}
		before, err := identify(f)
		var held []byte
		if err == nil {
			held, err = read(f, int(info.Size()))
		}
		if after, again := identify(f); err != nil || after != before {
			return fmt.Errorf("it changed while it was read: %w", cmp.Or(err, again, io.ErrUnexpectedEOF))
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.known[name].identity != before && b.hashes() {
			sum := sha256.Sum256(held)
			if err := b.compare(name, info.Size(), hex.EncodeToString(sum[:])); err != nil {
				return err
			}
		}
		b.known[name] = look{before, true}
		return nil
	})
}

// look is what a file was, and whether that was loaded.
type look struct {
	identity

	loaded bool
}

// identity tells one content of a file from another, without reading it: whoever writes to a file cannot choose the time of
// its last change.
type identity struct {
	dev, ino, size    uint64
	written, attended unix.Timespec // its content; that, or its name, owner or mode
}

func identify(f *os.File) (identity, error) {
	var s unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &s); err != nil {
		return identity{}, err
	}
	return identity{uint64(s.Dev), s.Ino, uint64(s.Size), s.Mtim, s.Ctim}, nil
}

// Digest is the hash of a folder's manifest, by which a bundle that changed is noticed.
func Digest(dir string) (sum [sha256.Size]byte, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return sum, fmt.Errorf("bundle %s: %w", dir, err)
	}
	defer root.Close()
	raw, _, err := readPlain(root, FileName, maxManifest)
	if err != nil {
		return sum, fmt.Errorf("bundle %s: %w: %s: %w", dir, ErrManifest, FileName, err)
	}
	return sha256.Sum256(raw), nil
}

// Verify compares the hashes of all files with the manifest's, and says whether any has changed since it was opened or
// loaded. It ends early with ctx.
func (b *Bundle) Verify(ctx context.Context) error { return b.checkAll(ctx, true) }

// Unchanged is Verify without the hashes.
func (b *Bundle) Unchanged() error { return b.checkAll(context.Background(), false) }

func (b *Bundle) checkAll(ctx context.Context, hash bool) error {
	for name := range b.Manifest.Files {
		if err := b.checkFile(ctx, name, func(os.FileInfo) bool { return hash }); err != nil {
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
		return nil, fmt.Errorf("%w: manifest_version is %s, but this version of loopserve reads %d: export the model again with this version", ErrManifest, cmp.Or(string(version.V), "missing"), Version)
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

// plainName reports whether a file name stays in its folder.
func plainName(name string) bool {
	return name != "" && name != "." && name != ".." && len(name) <= 255 && !strings.ContainsAny(name, "/\\\x00")
}

// openPlain opens a regular file of the folder that is no link of any kind. It does not wait, whatever is there; what it
// says of the file is true of the one that is open.
func openPlain(root *os.Root, name string) (*os.File, os.FileInfo, error) {
	link, err := root.Lstat(name)
	if err != nil {
		return nil, nil, err
	}
	if !link.Mode().IsRegular() {
		return nil, nil, errors.New("not a regular file (links are refused)")
	}
	f, err := root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	switch s, ok := link.Sys().(*syscall.Stat_t); {
	case err != nil:
	case !os.SameFile(link, info):
		err = errors.New("it was replaced while it was opened")
	case ok && s.Nlink != 1:
		err = errors.New("it has more than one hard link")
	default:
		return f, info, nil
	}
	f.Close()
	return nil, nil, err
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
func (b *Bundle) checkFile(ctx context.Context, name string, hash func(os.FileInfo) bool) error {
	return b.with(name, func(root *os.Root) error {
		f, info, err := openPlain(root, name)
		if err != nil {
			return err
		}
		defer f.Close()
		is, err := identify(f)
		sum := ""
		if err == nil && hash(info) && info.Size() == b.Manifest.Files[name].Size {
			sum, err = digest(ctx, f)
		}
		if err == nil {
			err = b.compare(name, info.Size(), sum)
		}
		if err != nil {
			return err
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		before := b.known[name]
		if sum != "" || before == (look{}) {
			b.known[name] = look{is, before.loaded}
		}
		if before.attended = is.attended; before.loaded && before.identity != is {
			return fmt.Errorf("%w: %s was written after it was loaded: reload the model", ErrFile, name)
		}
		return nil
	})
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
