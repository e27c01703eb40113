package export

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// outputFolder is where a bundle is built: a hidden folder beside where it will be, locked as long as its process lives. What
// a killed export has left is therefore known as such, and the next one to the same place removes it.
type outputFolder struct {
	out, temp string
	lock      *os.File
}

func newOutputFolder(out string, force bool) (*outputFolder, error) {
	if _, err := os.Stat(out); err == nil && !force {
		return nil, fmt.Errorf("%s already exists: choose another folder, or replace it with --force", out)
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return nil, err
	}
	if err := RemoveLeftovers(out); err != nil {
		return nil, err
	}
	temp, err := os.MkdirTemp(filepath.Dir(out), partial(out))
	if err != nil {
		return nil, err
	}
	p := &outputFolder{out: out, temp: temp}
	if p.lock, err = lockFolder(temp); err != nil {
		return nil, errors.Join(err, os.RemoveAll(temp))
	}
	return p, nil
}

// partial is the pattern of the hidden folders of a place.
func partial(out string) string { return "." + filepath.Base(out) + ".partial-*" }

// lockFolder takes the lock of a folder, which the system gives back when the process ends, however it ends.
func lockFolder(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return f, nil
}

// RemoveLeftovers removes the folders of exports to this place that no process is at work on; a last part of * is any place there.
func RemoveLeftovers(out string) error {
	entries, err := os.ReadDir(filepath.Dir(out))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if ok, _ := filepath.Match(partial(out), e.Name()); !ok || !e.IsDir() {
			continue
		}
		dir := filepath.Join(filepath.Dir(out), e.Name())
		lock, err := lockFolder(dir)
		if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := errors.Join(os.RemoveAll(dir), lock.Close()); err != nil {
			return err
		}
	}
	return nil
}

// finish puts the whole bundle at its place, in one step where nothing or (with force) a bundle is there.
func (p *outputFolder) finish(force bool) error {
	if err := os.Chmod(p.temp, 0o755); err != nil {
		return err
	}
	_, err := os.Stat(p.out)
	switch {
	case err != nil:
		err = os.Rename(p.temp, p.out)
	case !force: // it came while we were writing
		err = fmt.Errorf("%s already exists: choose another folder, or replace it with --force", p.out)
	default:
		err = exchange(p.temp, p.out) // close removes the old one
	}
	if err != nil {
		return err
	}
	return syncFolder(filepath.Dir(p.out))
}

// exchangeByRenaming swaps two folders in three steps: between the first two, nothing is at b.
func exchangeByRenaming(a, b string) error {
	aside := a + ".old"
	if err := os.Rename(b, aside); err != nil {
		return err
	}
	if err := os.Rename(a, b); err != nil {
		return errors.Join(err, os.Rename(aside, b))
	}
	return os.Rename(aside, a)
}

// close removes what is left beside the bundle.
func (p *outputFolder) close() error { return errors.Join(os.RemoveAll(p.temp), p.lock.Close()) }

// syncFolder makes renames in a folder last through a crash of the machine.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
