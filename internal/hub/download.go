package hub

import (
	"cmp"
	"context"
	"crypto/sha1" // git's hash, which is what the hub has for small files
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// errWrong says that the hub sent what cannot be right.
var errWrong = errors.New("refused")

// file is one to fetch.
type file struct {
	name, etag string
	size       int64 // -1: not told
}

// get fetches files, one after another.
func (s *Snapshot) get(ctx context.Context, names []string) error {
	var files []file
	p := Progress{}
	for _, name := range names {
		f, err := s.head(ctx, name)
		if err != nil {
			return err
		}
		files = append(files, f)
		p.Total += max(f.size, 0)
	}
	rest, err := s.room(files)
	if err != nil {
		return err
	}
	s.hub.say("%s: fetching %d files from %s: %.1f MB, of which %.1f are still to come", s.Ref, len(files), s.hub.shown(), float64(p.Total)/1e6, float64(rest)/1e6)
	for _, f := range files {
		p.File = f.name
		at := p.Done
		err := s.bring(ctx, f, func(bytes int64) {
			if p.Done = at + bytes; s.hub.Progress != nil {
				s.hub.Progress(p)
			}
		})
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return nil
}

func (s *Snapshot) url(name string) string {
	return "/" + s.Repo + "/resolve/" + s.Commit + "/" + (&url.URL{Path: name}).EscapedPath()
}

// head asks for a file's hash and size.
func (s *Snapshot) head(ctx context.Context, name string) (f file, err error) {
	return f, s.hub.again(ctx, name, func() (bool, error) {
		resp, err := s.hub.do(ctx, http.MethodHead, s.Ref, s.url(name), 0)
		if err != nil {
			return false, err
		}
		resp.Body.Close()
		etag, size := resp.Header.Get(linkedETag), resp.Header.Get(linkedSize)
		if etag == "" {
			etag, size = resp.Header.Get("ETag"), resp.Header.Get("Content-Length")
		}
		f = file{name: name, etag: strings.Trim(strings.TrimPrefix(etag, "W/"), `"`), size: -1}
		if n, err := strconv.ParseInt(size, 10, 64); err == nil && n >= 0 {
			f.size = n
		}
		if !etagRule.MatchString(f.etag) {
			return false, fmt.Errorf("%s: %w: its ETag is %q, which is neither a sha256 nor git's sha1: is %s a hub, or a mirror of one?", name, errWrong, etag, s.hub.shown())
		}
		return false, nil
	})
}

// room gives the bytes that are still to come, if the disk has room for them.
func (s *Snapshot) room(files []file) (need uint64, err error) {
	for _, f := range files {
		left := max(f.size, 0)
		if s.whole(f) {
			left = 0
		} else if has, err := s.root.Stat(s.blob(f) + incomplete); err == nil {
			left = max(left-has.Size(), 0)
		}
		need += uint64(left)
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(s.hub.Cache, &disk); err != nil {
		return 0, fmt.Errorf("%s: %w", s.hub.Cache, err)
	}
	if free := disk.Bavail * uint64(disk.Bsize); need > free {
		return 0, fmt.Errorf("the disk has no room: %.1f MB are still to come, and %s has %.1f MB: free some, or set HF_HUB_CACHE to another disk",
			float64(need)/1e6, s.hub.Cache, float64(free)/1e6)
	}
	return need, nil
}

const incomplete = ".incomplete"

func (s *Snapshot) blob(f file) string { return path.Join(s.folder, "blobs", f.etag) }

// whole says whether a file's blob is there, and not cut short.
func (s *Snapshot) whole(f file) bool {
	has, err := s.root.Stat(s.blob(f))
	return err == nil && (f.size < 0 || has.Size() == f.size)
}

// bring makes a file one of the snapshot. tell is told how much of it is here.
func (s *Snapshot) bring(ctx context.Context, f file, tell func(bytes int64)) (err error) {
	blob := s.blob(f)
	unlock, err := Lock(ctx, s.root, path.Join(".locks", s.folder, f.etag+".lock"), func() { s.hub.say("%s: another process is fetching it: waiting", f.name) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if !s.whole(f) {
		if err := s.download(ctx, f, blob+incomplete, tell); err != nil {
			return err
		}
		if err := s.root.Rename(blob+incomplete, blob); err != nil {
			return err
		}
	}
	tell(max(f.size, 0))
	return s.link(f.name, blob)
}

// download makes a file whole, beginning with what there is of it, and compares its hash. A file whose hash is wrong is removed.
func (s *Snapshot) download(ctx context.Context, f file, to string, tell func(bytes int64)) (err error) {
	if err := s.root.MkdirAll(path.Dir(to), 0o755); err != nil {
		return err
	}
	out, err := s.root.OpenFile(to, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	err = s.hub.again(ctx, f.name, func() (bool, error) {
		before, err := out.Seek(0, io.SeekEnd)
		if err != nil || before == f.size {
			return false, err
		}
		at, err := s.part(ctx, f, out, before, tell)
		return at > before, err
	})
	switch {
	case errors.Is(err, unix.ENOSPC):
		return fmt.Errorf("%w: free some of %s, or set HF_HUB_CACHE to another disk: what is here is kept, and the next try goes on from there", err, s.hub.Cache)
	case err != nil:
		return err
	}
	if err := out.Sync(); err != nil {
		return err
	}
	sum, err := digest(ctx, out, f)
	if err != nil || sum == f.etag {
		return err
	}
	return errors.Join(fmt.Errorf("%w: its hash is %s, and the hub says %s: it was damaged on the way, or replaced, and is removed: try again", errWrong, sum, f.etag),
		s.root.Remove(to))
}

// part appends what comes of a file, beginning at a byte, and says how long the file is then.
func (s *Snapshot) part(ctx context.Context, f file, out *os.File, from int64, tell func(bytes int64)) (int64, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	resp, err := s.hub.do(ctx, http.MethodGet, s.Ref, s.url(f.name), from)
	if err != nil {
		return from, err
	}
	defer resp.Body.Close()
	if !strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", from)) {
		from = 0 // a server that knows no ranges sends all of it
		if err := out.Truncate(0); err != nil {
			return 0, err
		}
		if resp.StatusCode != http.StatusOK {
			return 0, fmt.Errorf("the hub answers HTTP %d", resp.StatusCode)
		}
	}
	if _, err := out.Seek(from, io.SeekStart); err != nil {
		return from, err
	}
	watch := time.AfterFunc(s.hub.Patience, func() { stop(fmt.Errorf("nothing came for %v", s.hub.Patience)) })
	defer watch.Stop()
	for buf := make([]byte, 1<<18); ; {
		n, err := resp.Body.Read(buf)
		watch.Reset(s.hub.Patience)
		if f.size >= 0 && from+int64(n) > f.size { // it may never end
			return from, fmt.Errorf("%w: more than the %d bytes came that the hub says it has", errWrong, f.size)
		}
		if _, err := out.Write(buf[:n]); err != nil {
			return from, err
		}
		from += int64(n)
		tell(from)
		switch {
		case errors.Is(err, io.EOF) && from < f.size:
			return from, fmt.Errorf("%d of %d bytes came: %w", from, f.size, io.ErrUnexpectedEOF)
		case errors.Is(err, io.EOF):
			return from, nil
		case err != nil && context.Cause(ctx) != nil:
			return from, context.Cause(ctx)
		case err != nil:
			return from, err
		}
	}
}

// digest is the hash that a file's ETag should be.
func digest(ctx context.Context, f *os.File, as file) (string, error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	if len(as.etag) == 2*sha1.Size {
		h = sha1.New()
		fmt.Fprintf(h, "blob %d\x00", size)
	}
	for at := int64(0); at < size && err == nil && ctx.Err() == nil; at += 64 << 20 { // in parts that a stop needn't wait for
		_, err = io.Copy(h, io.NewSectionReader(f, at, min(size-at, 64<<20)))
	}
	err = cmp.Or(context.Cause(ctx), err)
	return hex.EncodeToString(h.Sum(nil)), err
}
