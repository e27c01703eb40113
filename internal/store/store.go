package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/loopserve/loopserve/internal/hub"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/models/export"
)

// Store is the cache of bundles.
type Store struct {
	Dir string // that Folder gives
	Hub *hub.Hub
	Say func(text string)
}

// Folder is where bundles lie: in the folder that is set, or else in the user's cache.
func Folder(set string, env func(name string) string) string {
	return filepath.Join(cmp.Or(set, filepath.Join(cmp.Or(env("XDG_CACHE_HOME"), filepath.Join(env("HOME"), ".cache")), "loopserve")), "bundles")
}

// IsCheckpoint says whether a name is one of a checkpoint: on the hub, a GGUF file, or a folder that is no bundle and has a config.json
// or is a repository of the Hugging Face cache.
func IsCheckpoint(name string) bool {
	if strings.HasPrefix(name, "hf:") {
		return true
	}
	info, err := os.Stat(name)
	if err != nil || !info.IsDir() {
		return err == nil && strings.HasSuffix(name, ".gguf")
	}
	return !exists(filepath.Join(name, bundle.FileName)) &&
		(exists(filepath.Join(name, "config.json")) || exists(filepath.Join(name, "snapshots")) && strings.HasPrefix(filepath.Base(name), "models--"))
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// Checkpoint brings one of the hub here, and gives its path and what it is called with the commit. Other names are paths already.
func Checkpoint(ctx context.Context, h *hub.Hub, name string, want hub.Want) (at, origin string, err error) {
	snapshot, err := find(ctx, h, name)
	if snapshot == nil || err != nil {
		return name, "", err
	}
	at, err = fetch(ctx, snapshot, want)
	return at, originOf(snapshot), err
}

// find gives the snapshot that a name means, or nil where it is none of the hub.
func find(ctx context.Context, h *hub.Hub, name string) (*hub.Snapshot, error) {
	ref, ok, err := hub.Parse(name)
	if err != nil || !ok {
		return nil, err
	}
	return h.Find(ctx, ref)
}

func originOf(s *hub.Snapshot) string {
	return hub.Ref{Repo: s.Repo, Revision: s.Commit, File: s.File}.String()
}

// fetch brings what is wanted of a snapshot here; of one file, that file.
func fetch(ctx context.Context, s *hub.Snapshot, want hub.Want) (string, error) {
	if s.File != "" {
		want = func(_ string, names []string) ([]string, error) {
			if names != nil && !slices.Contains(names, s.File) {
				return nil, fmt.Errorf("there is no %s: it has %s", s.File, strings.Join(gguf(names), ", "))
			}
			return []string{s.File}, nil
		}
	}
	return filepath.Join(s.Dir(), filepath.FromSlash(s.File)), s.Fetch(ctx, want)
}

func gguf(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return path.Ext(name) != ".gguf" })
}

// Wants are the files that an export reads. Where there are only GGUF files it says how to name one.
func Wants(dir string, names []string) ([]string, error) {
	out, err := export.Wants(dir, names)
	if list := gguf(names); errors.Is(err, fs.ErrNotExist) && len(list) > 0 {
		return nil, fmt.Errorf("it is a repository of GGUF files: name one of them, as hf:ORG/NAME/%s", strings.Join(list, ", "))
	}
	return out, err
}

// Bundle gives the folder of a checkpoint's bundle, which it makes where there is none yet. The model's name is the checkpoint's
// unless opt has one.
func (s *Store) Bundle(ctx context.Context, checkpoint string, opt export.Options) (dir string, err error) {
	if err := opt.Settle(); err != nil {
		return "", err
	}
	snapshot, err := find(ctx, s.Hub, checkpoint)
	if err != nil {
		return "", err
	}
	var name, id string
	if snapshot != nil {
		opt.Origin = originOf(snapshot)
		name, id = nameOf(path.Base(cmp.Or(snapshot.File, snapshot.Repo))), opt.Origin
	} else if name, id, err = local(checkpoint); err != nil {
		return "", err
	}
	opt.Name = cmp.Or(opt.Name, name)
	entry, err := entryOf(id, opt)
	if err != nil {
		return "", err
	}
	dir = filepath.Join(s.Dir, entry)
	there := func() bool { return exists(filepath.Join(dir, bundle.FileName)) }
	if there() {
		return dir, nil
	}
	unlock, err := s.lock(ctx, entry)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if there() { // the other process has made it
		return dir, nil
	}
	from := checkpoint
	if snapshot != nil {
		if from, err = fetch(ctx, snapshot, Wants); err != nil {
			return "", err
		}
	}
	s.Say(fmt.Sprintf("exporting %s with %s weights to %s", checkpoint, opt.Weights, dir))
	opt.Force = true // over what is no bundle any more
	_, err = export.Export(ctx, from, dir, opt)
	return dir, err
}

func (s *Store) lock(ctx context.Context, entry string) (unlock func() error, err error) {
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(s.Dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return hub.Lock(ctx, root, path.Join(".locks", entry), func() { s.Say("another process is making " + entry + ": waiting") })
}

var notOfNames = regexp.MustCompile(`[^a-z0-9._-]+`)

// nameOf makes a model's name of a checkpoint's: Ouro-1.4B is ouro-1.4b.
func nameOf(checkpoint string) string {
	name := notOfNames.ReplaceAllString(strings.ToLower(strings.TrimSuffix(checkpoint, ".gguf")), "-")
	name = strings.TrimLeft(name, "._-")
	return cmp.Or(name[:min(len(name), 64)], "model")
}

// local gives the name of a checkpoint on this machine, and what changes when it does: the path, and name, size and time of each of
// its files.
func local(checkpoint string) (name, id string, err error) {
	id, err = filepath.Abs(checkpoint)
	if err != nil {
		return "", "", err
	}
	name = filepath.Base(id)
	if repository := filepath.Dir(filepath.Dir(id)); filepath.Base(filepath.Dir(id)) == "snapshots" { // the name itself is a commit
		name = filepath.Base(repository)
	}
	if i := strings.LastIndex(name, "--"); strings.HasPrefix(name, "models--") {
		name = name[i+2:]
	}
	abs, files := id, []string{"."} // a GGUF file itself
	for _, pattern := range []string{"*", "additional_chat_templates/*", "refs/main"} {
		found, err := fs.Glob(os.DirFS(abs), pattern) // the path's own * and [ are no pattern
		if err != nil {
			return "", "", err
		}
		files = append(files, found...)
	}
	for _, file := range files {
		file = filepath.Join(abs, file)
		if info, err := os.Stat(file); err == nil && !info.IsDir() {
			id += fmt.Sprintf("\n%s %d %d", file, info.Size(), info.ModTime().UnixNano())
		}
	}
	return nameOf(name), id, nil
}

// entryOf is the name of a bundle's folder: the model's, the weights', and a digest of all that it depends on.
func entryOf(id string, opt export.Options) (string, error) {
	options, err := json.Marshal(opt)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(append([]byte(id+"\n"), options...))
	return opt.Name + "-" + opt.Weights + "-" + hex.EncodeToString(sum[:6]), nil
}
