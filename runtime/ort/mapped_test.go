//go:build cgo

package ort

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// written is a file of two pieces of Settle and a part of a page, and its content.
func written(t *testing.T) (*os.File, []byte) {
	t.Helper()
	content := make([]byte, 2*piece+12345)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := 0; i < len(content); i += 512 {
		content[i] = byte(rng.Uint32())
	}
	content[len(content)-1] = 7
	path := filepath.Join(t.TempDir(), "weights.data")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, content
}

func mapped(t *testing.T, f *os.File, bytes int) *Buffer {
	t.Helper()
	b, err := MapFile(f, bytes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// Until Settle a mapped buffer is the file. Then it is memory of its own, and who reads all the time never sees the change.
func TestMappedFileSettles(t *testing.T) {
	CheckLeaks(t)
	f, content := written(t)
	b := mapped(t, f, len(content))
	if _, err := f.WriteAt([]byte{'!'}, 99); err != nil {
		t.Fatal(err)
	}
	if content[99] = '!'; !bytes.Equal(b.Bytes(), content) {
		t.Error("it is not the file")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if n, err := b.Settle(ctx); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %d bytes, %v", n, err)
	}
	var ended atomic.Bool
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for !ended.Load() && !t.Failed() {
				if !bytes.Equal(b.Bytes(), content) {
					t.Error("a reader saw something else")
				}
			}
		})
	}
	n, err := b.Settle(t.Context())
	ended.Store(true)
	readers.Wait()
	if n != len(content) || err != nil {
		t.Errorf("%d of %d bytes settled, %v", n, len(content), err)
	}
	if err := f.Truncate(0); err != nil { // reading a mapping would be SIGBUS now
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), content) {
		t.Error("it is still the file")
	}
	if n, err := b.Settle(t.Context()); n != 0 || err != nil {
		t.Errorf("a second time: %d bytes, %v", n, err)
	}
}

// A file that has become too short is an error: when it is mapped, and when the rest of it is to be read.
func TestMappedFileIsCutShort(t *testing.T) {
	CheckLeaks(t)
	f, content := written(t)
	if _, err := MapFile(f, len(content)+hugePage); err == nil {
		t.Error("a file is mapped beyond its end")
	}
	b := mapped(t, f, len(content))
	if err := f.Truncate(piece + 1); err != nil {
		t.Fatal(err)
	}
	if n, err := b.Settle(t.Context()); n != piece || !errors.Is(err, io.EOF) {
		t.Errorf("%d bytes settled, %v", n, err)
	}
	if !bytes.Equal(b.Bytes()[:piece], content[:piece]) {
		t.Error("what was settled is wrong")
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if n, err := b.Settle(t.Context()); n != 0 || err != nil {
		t.Errorf("closed: %d bytes, %v", n, err)
	}
}
