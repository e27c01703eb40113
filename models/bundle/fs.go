package bundle

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// FS is the bundle's folder with the files that the manifest lists, and no other. fs.ReadFile gives what was checked; an
// open file is as it is.
func (b *Bundle) FS() fs.FS { return listed{b} }

// maxContent bounds a file that is read whole.
const maxContent = 1 << 30

type listed struct{ b *Bundle }

// ReadFile implements fs.ReadFileFS.
func (l listed) ReadFile(name string) ([]byte, error) { return l.b.ReadFile(name) }

// Open opens a listed file.
func (l listed) Open(name string) (f fs.File, err error) {
	err = l.b.with(name, func(root *os.Root) (err error) {
		f, _, err = openPlain(root, name)
		return err
	})
	return f, err
}

// ReadFile reads a listed file whole and holds it to the manifest, or gives fs.ErrNotExist.
func (b *Bundle) ReadFile(name string) (raw []byte, err error) {
	err = b.with(name, func(root *os.Root) error {
		var sum string
		if raw, _, err = readPlain(root, name, maxContent); err == nil && b.hashes() {
			is := sha256.Sum256(raw)
			sum = hex.EncodeToString(is[:])
		}
		return cmp.Or(err, b.compare(name, int64(len(raw)), sum))
	})
	return raw, err
}

// with calls f with the folder, if it has the file, and wraps its error.
func (b *Bundle) with(name string, f func(root *os.Root) error) error {
	if _, ok := b.Manifest.Files[name]; !ok {
		return &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	root, err := os.OpenRoot(b.Dir)
	if err == nil {
		defer root.Close()
		err = f(root)
	}
	if err != nil && !errors.Is(err, ErrFile) {
		return fmt.Errorf("%w: %s: %w", ErrFile, name, err)
	}
	return err
}
