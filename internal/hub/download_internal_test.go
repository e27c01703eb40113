package hub

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is still to come of a file of ten bytes, by what is here of it.
func TestRoom(t *testing.T) {
	for _, c := range []struct {
		name             string
		size             int64
		blob, incomplete int // bytes that are here; -1: no file
		want             uint64
	}{
		{"nothing", 10, -1, -1, 10},
		{"a part", 10, -1, 4, 6},
		{"all of it, not renamed yet", 10, -1, 10, 0},
		{"more than there should be", 10, -1, 12, 0},
		{"the blob", 10, 10, -1, 0},
		{"the blob, and a part beside it", 10, 10, 4, 0},
		{"a blob that was cut short", 10, 3, -1, 10},
		{"of unknown size", -1, -1, 4, 0},
	} {
		cache := t.TempDir()
		root, err := os.OpenRoot(cache)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		s := &Snapshot{hub: &Hub{Cache: cache}, root: root}
		f := file{etag: "e", size: c.size}
		if err := root.Mkdir("blobs", 0o755); err != nil {
			t.Fatal(err)
		}
		for name, n := range map[string]int{"": c.blob, incomplete: c.incomplete} {
			if n < 0 {
				continue
			}
			if err := root.WriteFile(s.blob(f)+name, make([]byte, n), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := s.room([]file{f}); err != nil || got != c.want {
			t.Errorf("%s: %d bytes are to come, want %d, %v", c.name, got, c.want, err)
		}
	}
}

func TestDigestStops(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("text"); err != nil {
		t.Fatal(err)
	}
	as := file{etag: strings.Repeat("0", 40)}
	if sum, err := digest(t.Context(), f, as); err != nil || sum != "f3a34851d44d6b97c90fbb99dd3d18c261b9a237" {
		t.Errorf("%s, %v", sum, err)
	}
	ctx, stop := context.WithCancelCause(t.Context())
	stopped := errors.New("stopped by the test")
	stop(stopped)
	if _, err := digest(ctx, f, as); !errors.Is(err, stopped) {
		t.Error(err)
	}
}
