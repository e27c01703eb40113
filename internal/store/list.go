package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/models/export"
)

// Entry is a bundle of the cache.
type Entry struct {
	Folder             string // its name in the store
	Checkpoint, Commit string // hf:ORG/NAME and the commit, or a folder's name and nothing
	Manifest           bundle.Manifest
	Bytes              int64
	Made               time.Time
}

// List gives the bundles that are there, the newest first. What cannot be read as one has only its folder and its time.
func (s *Store) List() (out []Entry, err error) {
	entries, err := os.ReadDir(s.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, d := range entries {
		info, err := d.Info()
		if err != nil || !d.IsDir() || strings.HasPrefix(d.Name(), ".") {
			continue
		}
		e := Entry{Folder: d.Name(), Made: info.ModTime()}
		if b, err := bundle.Open(filepath.Join(s.Dir, d.Name()), bundle.Options{SkipHash: true}); err == nil {
			e.Manifest, e.Bytes = b.Manifest, b.Manifest.FileBytes()
			e.Checkpoint, e.Commit, _ = strings.Cut(e.Manifest.Source.Checkpoint, "@")
		}
		out = append(out, e)
	}
	slices.SortStableFunc(out, func(a, b Entry) int { return b.Made.Compare(a.Made) })
	return out, nil
}

// is says whether a name means this bundle: hf:ORG/NAME, with the commit or its beginning behind @, a model's name, or the folder.
func (e *Entry) is(name string) bool {
	checkpoint, commit, _ := strings.Cut(name, "@")
	return name == e.Folder || strings.HasPrefix(e.Commit, commit) && slices.Contains([]string{e.Checkpoint, strings.TrimPrefix(e.Checkpoint, "hf:"), e.Manifest.Name}, checkpoint)
}

// Remove removes the bundles that names mean, and gives them; with all, also what killed exports have left. A name that means none is an error, before anything is removed.
func (s *Store) Remove(ctx context.Context, all bool, names ...string) (out []Entry, err error) {
	list, err := s.List()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if !slices.ContainsFunc(list, func(e Entry) bool { return e.is(name) }) {
			return nil, fmt.Errorf("the cache %s has no bundle of %q: `loopserve list` shows what it has", s.Dir, name)
		}
	}
	for _, e := range list {
		if all || slices.ContainsFunc(names, e.is) {
			if err := s.remove(ctx, e.Folder); err != nil {
				return out, err
			}
			out = append(out, e)
		}
	}
	if all {
		if err := export.RemoveLeftovers(filepath.Join(s.Dir, "*")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return out, err
		}
	}
	return out, nil
}

func (s *Store) remove(ctx context.Context, folder string) (err error) {
	unlock, err := s.lock(ctx, folder)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	dir := filepath.Join(s.Dir, folder)
	if err := os.Remove(filepath.Join(dir, bundle.FileName)); err != nil && !errors.Is(err, fs.ErrNotExist) { // a half is no bundle
		return err
	}
	return os.RemoveAll(dir)
}
