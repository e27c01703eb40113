package hub

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"time"

	"golang.org/x/sys/unix"
)

// Lock waits for the lock of a file in root, which it makes, and which the system gives back however the process ends. waits
// is called once where another process has it. The file stays.
func Lock(ctx context.Context, root *os.Root, name string, waits func()) (unlock func() error, err error) {
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return nil, err
	}
	for ; ; waits = nil {
		f, err := root.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o664)
		if err != nil {
			return nil, err
		}
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil && same(f, root, name) {
			return f.Close, nil
		}
		f.Close()
		if err != nil && !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", name, err)
		}
		if waits != nil {
			waits()
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// same says whether the name still leads to f: who had the lock may have removed it.
func same(f *os.File, root *os.Root, name string) bool {
	opened, err := f.Stat()
	named, errNamed := root.Stat(name)
	return err == nil && errNamed == nil && os.SameFile(opened, named)
}
