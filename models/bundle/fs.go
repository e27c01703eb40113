package bundle

import (
	"fmt"
	"io/fs"
	"os"
)

// FS is the bundle's folder with the files that the manifest lists, and no other.
func (b *Bundle) FS() fs.FS { return listed{b} }

type listed struct{ b *Bundle }

// Open opens a listed file.
func (l listed) Open(name string) (fs.File, error) {
	if _, ok := l.b.Manifest.Files[name]; !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	root, err := os.OpenRoot(l.b.Dir)
	if err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	defer root.Close()
	return root.Open(name)
}
