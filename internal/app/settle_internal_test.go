//go:build cgo && linux

package app

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/loopserve/loopserve/configs"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/runtime/engine"
)

// A server maps large weights, and reads them a little later: a file that was written in between ends its model, unless
// hashes are wanted first, since then nothing is mapped.
func TestWeightsThatAreWrittenWhileMapped(t *testing.T) {
	for _, c := range []struct {
		verify        string
		write, mapped bool
	}{
		{"off", true, true},
		{"lazy", true, true},
		{"lazy", false, true},
		{"start", true, false},
	} {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS("../../models/adder")); err != nil {
			t.Fatal(err)
		}
		weights := filepath.Join(dir, "weights.data")
		raw, err := os.ReadFile(filepath.Join(dir, bundle.FileName))
		if err == nil {
			err = os.Truncate(weights, 64<<20)
		}
		if err != nil {
			t.Fatal(err)
		}
		m, err := bundle.Parse(raw)
		if err == nil {
			err = bundle.Save(dir, m)
		}
		if err != nil {
			t.Fatal(err)
		}
		cfg, err := configs.Load(configs.Sources{Flags: map[string]string{"models": dir, "verify": c.verify, "kv_memory": "4MiB"}})
		if err != nil {
			t.Fatal(err)
		}
		a, err := Open(cfg, "test", slog.New(slog.NewTextHandler(t.Output(), nil)))
		if err != nil {
			t.Fatal(err)
		}
		mapped := func() bool {
			maps, err := os.ReadFile("/proc/self/maps")
			return err == nil && bytes.Contains(maps, []byte(weights))
		}
		a.hashing.Lock() // what comes behind waits for the test
		if err := a.LoadModels(t.Context()); err != nil {
			t.Fatal(err)
		}
		if mapped() != c.mapped {
			t.Errorf("%+v: mapped: %v", c, mapped())
		}
		if c.write {
			f, err := os.OpenFile(weights, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteAt([]byte("?"), 63<<20); err != nil {
				t.Fatal(err)
			}
			f.Close()
		}
		a.hashing.Unlock()
		ended := func() bool {
			a.listing.Lock()
			defer a.listing.Unlock()
			return a.leftOut[dir] != nil
		}
		want := c.write && c.mapped
		for end := time.Now().Add(time.Minute); mapped() || ended() != want; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%+v: mapped: %v, ended: %v", c, mapped(), ended())
			}
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		if ended() != want {
			t.Errorf("%+v: ended: %v", c, ended())
		}
	}
}

// Weights for which there is no memory stay mapped: the model goes on, and the log says that alone.
func TestWeightsThatStayMapped(t *testing.T) {
	b, err := bundle.Open("../../models/adder", bundle.Options{SkipHash: true})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	m := &model{name: "adder"}
	a := &App{log: slog.New(slog.NewTextHandler(&log, nil)), checking: t.Context(), models: []*model{m}}
	a.settle(m, b, withoutMemory{})
	if got := log.String(); !strings.Contains(got, "weights stay mapped") || strings.Contains(got, "read into memory") || m.ended {
		t.Errorf("ended: %v, %s", m.ended, got)
	}
}

type withoutMemory struct{ engine.Engine }

func (withoutMemory) Settle(context.Context) (int, error) { return 1, errors.New("no memory") }
