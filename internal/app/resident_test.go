//go:build cgo && linux

package app_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/loopserve/loopserve/internal/inspect"
	"github.com/loopserve/loopserve/internal/measure/random"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/models/export"
)

// What inspect says of the memory of a load is what a process with it has, within a tenth: weights once, pages as far as they
// are written. The process is one of its own, since what other tests leave behind counts too.
func TestResidentIsWhatInspectSays(t *testing.T) {
	if testing.Short() {
		t.Skip("-short is for the race detector, which has as much memory again")
	}
	const prompts, length, loops = 4, 192, 3
	if dir := os.Getenv("LOOPSERVE_TEST_RESIDENT"); dir != "" {
		url, _, terminate := serve(t, map[string]string{"models": dir, "kv_memory": "1GiB", "threads": "2", "verify": "start"})
		var batch [prompts][]int
		for i := range batch {
			for j := range length - 1 {
				batch[i] = append(batch[i], (7*i+j)%10+1)
			}
		}
		body, err := json.Marshal(map[string]any{"prompt": batch, "max_tokens": 1, "loops": loops, "ignore_eos": true})
		if err != nil {
			t.Fatal(err)
		}
		if status, answer := post(t, url, string(body)); status != 200 {
			t.Fatalf("status %d: %v", status, answer)
		}
		status := read(t, "/proc/self/status")
		if err := terminate(); err != nil {
			t.Fatal(err)
		}
		fmt.Println(string(status))
		return
	}
	checkpoint, dir := filepath.Join(t.TempDir(), "checkpoint"), filepath.Join(t.TempDir(), "small")
	m := random.LoopedLlama{Hidden: 512, Heads: 8, FFN: 1024, Vocab: 12000, Context: 256, Loop: 6}
	if err := m.Write(checkpoint, 1); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tokenizer.json", "tokenizer_config.json"} {
		if err := os.WriteFile(filepath.Join(checkpoint, name), read(t, filepath.Join("../../models/adder", name)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := export.Export(t.Context(), checkpoint, dir, export.Options{Exporter: "test"}); err != nil {
		t.Fatal(err)
	}
	b, err := bundle.Open(dir, bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	facts, err := inspect.Bundle(b, inspect.Load{Requests: prompts, Length: length, Loops: loops})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestResidentIsWhatInspectSays$", "-test.count=1")
	cmd.Env = append(os.Environ(), "LOOPSERVE_TEST_RESIDENT="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	found := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(out)
	if found == nil {
		t.Fatalf("no VmRSS in %s", out)
	}
	is, _ := strconv.ParseInt(string(found[1]), 10, 64)
	is <<= 10
	t.Logf("%d MiB, predicted %d MiB: weights %d, cache %d", is>>20, facts.Memory.Resident>>20, facts.Memory.Weights>>20, facts.Memory.Cache>>20)
	if off := facts.Memory.Resident - is; off > is/10 || off < -is/10 {
		t.Errorf("the process has %d MiB, predicted are %d MiB", is>>20, facts.Memory.Resident>>20)
	}
}
