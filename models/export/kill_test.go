package export_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/loopserve/loopserve/internal/measure/random"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/models/export"
)

// The test binary as an export of its own, which can be killed: EXPORT_CHILD names checkpoint and place.
func TestMain(m *testing.M) {
	from, out, child := strings.Cut(os.Getenv("EXPORT_CHILD"), string(filepath.ListSeparator))
	if !child {
		os.Exit(m.Run())
	}
	_, err := export.Export(context.Background(), from, out, export.Options{
		Force: true, Exporter: "child", Weights: export.Int4,
		Progress: func(p export.Progress) { fmt.Println(p.Doing, p.Written) },
	})
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// An export that is killed, at whatever moment, leaves the place as it was, or whole; the next one clears up after it.
func TestKilledExportLeavesNoHalfBundle(t *testing.T) {
	from, parent := t.TempDir(), t.TempDir()
	s := random.LoopedLlama{Hidden: 512, Heads: 8, FFN: 1024, Vocab: 2048, Loop: 2}
	if err := s.Write(from, 1); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(parent, "model")
	check := func(when string, old bool) {
		t.Helper()
		b, err := bundle.Open(out, bundle.Options{})
		switch {
		case err == nil:
		case !old && os.IsNotExist(statError(out)):
			return
		default:
			t.Fatalf("%s: %v", when, err)
		}
		if by := b.Manifest.Source.Exporter; by != "child" && by != "first" {
			t.Errorf("%s: a bundle of %s", when, by)
		}
	}
	for _, old := range []bool{false, true} {
		if old {
			if _, err := export.Export(t.Context(), from, out, export.Options{Exporter: "first", Force: true}); err != nil {
				t.Fatal(err)
			}
		}
		killed := 0
		for delay := time.Duration(0); delay < 120*time.Millisecond; delay += 8 * time.Millisecond {
			if killExport(t, from, out, delay) {
				killed++
			}
			check(fmt.Sprintf("killed after %v", delay), old)
		}
		if killed == 0 {
			t.Error("no export was killed on its way")
		}
	}
	if _, err := export.Export(t.Context(), from, out, export.Options{Exporter: "first", Force: true}); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(parent)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 1 {
		t.Errorf("after killed exports and a whole one stand %v", left)
	}
}

func statError(path string) error {
	_, err := os.Stat(path)
	return err
}

// killExport kills an export some time after it has begun to write, and reports whether it was in time.
func killExport(t *testing.T, from, out string, delay time.Duration) bool {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "EXPORT_CHILD="+from+string(filepath.ListSeparator)+out)
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(pipe)
	if !lines.Scan() || strings.HasPrefix(lines.Text(), "error:") {
		t.Fatalf("the export said %q", lines.Text())
	}
	time.Sleep(delay)
	killErr := cmd.Process.Kill()
	for lines.Scan() { // to the pipe's end, as Wait asks
		if strings.HasPrefix(lines.Text(), "error:") {
			t.Errorf("the export said %q", lines.Text())
		}
	}
	return cmd.Wait() != nil && killErr == nil
}

// Two exports to one place at one time don't take each other's folder away.
func TestExportsAtOnceToOnePlace(t *testing.T) {
	from, parent := t.TempDir(), t.TempDir()
	if err := tiny.Write(from, 1); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(parent, "model")
	started, release, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		first := true
		_, err := export.Export(context.Background(), from, out, export.Options{Exporter: "slow", Progress: func(export.Progress) {
			if first {
				first = false
				close(started)
				<-release
			}
		}})
		done <- err
	}()
	<-started
	if _, err := export.Export(t.Context(), from, out, export.Options{Exporter: "quick"}); err != nil {
		t.Fatal(err)
	}
	close(release)
	mentions(t, <-done, "exists")
	b, err := bundle.Open(out, bundle.Options{})
	if err != nil || b.Manifest.Source.Exporter != "quick" {
		t.Errorf("the bundle is %v (%v)", b, err)
	}
	if left, _ := os.ReadDir(parent); len(left) != 1 {
		t.Errorf("beside the bundle stands %v", left)
	}
}
