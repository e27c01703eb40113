package hub

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Want says which files of a repository are needed. folder has those that are there; names are all that the repository has, or
// nil where that is not known, and then it answers for what it knows. It is asked again when they have been fetched, since one may tell of others.
type Want func(folder string, names []string) ([]string, error)

// Snapshot is a repository at one commit.
type Snapshot struct {
	Ref
	Commit string

	hub    *Hub
	names  []string // of the repository's files; nil: not asked for yet
	folder string   // in the cache
	root   *os.Root // the cache
}

// Find asks which commit a revision is. A commit is one already. Offline, and where the hub cannot be reached, it is what it
// was when the hub was last asked.
func (h *Hub) Find(ctx context.Context, ref Ref) (*Snapshot, error) {
	s := &Snapshot{Ref: ref, Commit: ref.Revision, hub: h, folder: "models--" + strings.ReplaceAll(ref.Repo, "/", "--")}
	if commitRule.MatchString(ref.Revision) {
		return s, nil
	}
	err := errOffline
	if !h.Offline {
		if err = s.list(ctx, ref.Revision); err == nil || !passing(err) || ctx.Err() != nil {
			return s, err
		}
	}
	known, readErr := os.ReadFile(filepath.Join(h.Cache, s.folder, "refs", filepath.FromSlash(ref.Revision)))
	if s.Commit = strings.TrimSpace(string(known)); readErr != nil || !commitRule.MatchString(s.Commit) {
		return nil, fmt.Errorf("%s is not in the cache %s: %w", ref, h.Cache, err)
	}
	h.say("%s: %v: taking %s, which %s was when the hub was last asked", ref, err, s.Commit[:12], ref.Revision)
	return s, nil
}

var errOffline = errors.New("HF_HUB_OFFLINE is set")

// list asks for the commit and the names of the files.
func (s *Snapshot) list(ctx context.Context, revision string) error {
	ctx, stop := context.WithTimeoutCause(ctx, s.hub.Patience, fmt.Errorf("it has not come for %v", s.hub.Patience))
	defer stop()
	resp, err := s.hub.do(ctx, http.MethodGet, s.Ref, "/api/models/"+s.Repo+"/revision/"+url.PathEscape(revision), 0)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var out struct {
		SHA      string `json:"sha"`
		Siblings []struct {
			Name string `json:"rfilename"`
		} `json:"siblings"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(nil, resp.Body, 64<<20)).Decode(&out); err != nil {
		return fmt.Errorf("%s: the hub's list of files: %w", s.Ref, cmp.Or(context.Cause(ctx), err))
	}
	if !commitRule.MatchString(out.SHA) || commitRule.MatchString(revision) && out.SHA != revision {
		return fmt.Errorf("%s: %w: the hub says that its commit is %q", s.Ref, errWrong, out.SHA)
	}
	s.Commit, s.names = out.SHA, []string{}
	for _, f := range out.Siblings {
		if !plain(f.Name) {
			return fmt.Errorf("%s: %w: it lists a file %q, which would lie outside of its folder", s.Ref, errWrong, f.Name)
		}
		s.names = append(s.names, f.Name)
	}
	return nil
}

// Dir is the snapshot's folder.
func (s *Snapshot) Dir() string { return filepath.Join(s.hub.Cache, s.dir()) }

func (s *Snapshot) dir() string { return path.Join(s.folder, "snapshots", s.Commit) }

// Fetch brings what is wanted into the cache, where it is not there yet.
func (s *Snapshot) Fetch(ctx context.Context, want Want) (err error) {
	if s.names == nil {
		// A commit never changes: with all of it at hand, nobody needs to be asked.
		names, wantErr := want(s.Dir(), nil)
		missing := s.missing(names)
		switch {
		case wantErr == nil && len(missing) == 0:
			return nil
		case s.hub.Offline && wantErr == nil:
			return fmt.Errorf("%s: %s is not in the cache %s: %w", s.Ref, strings.Join(missing, ", "), s.hub.Cache, errOffline)
		case s.hub.Offline:
			return fmt.Errorf("%s is not in the cache %s: %w (%w)", s.Ref, s.hub.Cache, errOffline, wantErr)
		}
		if err := s.list(ctx, s.Commit); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(s.hub.Cache, 0o755); err != nil {
		return err
	}
	if s.root, err = os.OpenRoot(s.hub.Cache); err != nil {
		return err
	}
	defer s.root.Close()
	if err := s.root.MkdirAll(s.dir(), 0o755); err != nil {
		return err
	}
	for {
		names, err := want(s.Dir(), s.names)
		if err != nil {
			return fmt.Errorf("%s: %w", s.Ref, err)
		}
		missing := s.missing(names)
		if len(missing) == 0 {
			return s.remember()
		}
		if err := s.get(ctx, missing); err != nil {
			return fmt.Errorf("%s: %w", s.Ref, err)
		}
	}
}

// missing are those of the names that the snapshot does not have.
func (s *Snapshot) missing(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		_, err := os.Stat(filepath.Join(s.Dir(), filepath.FromSlash(name)))
		return err == nil
	})
}

// remember writes down which commit the revision is, now that all of it is here.
func (s *Snapshot) remember() error {
	name := path.Join(s.folder, "refs", s.Revision)
	if known, err := s.root.ReadFile(name); s.Revision == s.Commit || err == nil && string(known) == s.Commit {
		return nil
	}
	err := s.root.MkdirAll(path.Dir(name), 0o755)
	temp := fmt.Sprintf("%s.%d.tmp", name, os.Getpid()) // readers never see half of it
	if err == nil {
		err = s.root.WriteFile(temp, []byte(s.Commit), 0o644)
	}
	if err == nil {
		err = s.root.Rename(temp, name)
	}
	return err
}

// link makes a file of the snapshot of a blob.
func (s *Snapshot) link(name, blob string) error {
	name = path.Join(s.dir(), name)
	if _, err := s.root.Stat(name); err == nil { // another process was faster
		return nil
	}
	if err := s.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	to, err := filepath.Rel(path.Dir(name), blob)
	if err != nil {
		return err
	}
	if err := s.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) { // it leads nowhere
		return err
	}
	return s.root.Symlink(to, name)
}
