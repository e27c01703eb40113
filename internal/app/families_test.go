//go:build cgo

package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/internal/golden"
	"github.com/loopserve/loopserve/internal/golden/goldentest"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/models/export"
)

// exported is a vector's checkpoint as a bundle that can be served, in a folder.
func exported(t *testing.T, checkpoint, to string, opt export.Options) *bundle.Manifest {
	t.Helper()
	from := filepath.Join(t.TempDir(), "checkpoint")
	if err := os.CopyFS(from, os.DirFS(checkpoint)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(from, "tokenizer.json")); err != nil { // ids alone are sent and compared: any will do
		text := read(t, filepath.Join(goldentest.Dir(t, "golden"), "ouro/tiny-mha/tokenizer.json"))
		if err := os.WriteFile(filepath.Join(from, "tokenizer.json"), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	opt.Exporter = "test"
	m, err := export.Export(t.Context(), from, to, opt)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Every family over HTTP: all tiny checkpoints on one server, their greedy answers the reference's, to the token, at each loop count.
func TestGoldenOverHTTP(t *testing.T) {
	dir := t.TempDir()
	type served struct {
		name, greedy string
		most         int
		c            *golden.Case
	}
	var all []served
	for _, path := range goldentest.Cases(t) {
		c, err := golden.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		name := strings.ReplaceAll(c.Family+"-"+filepath.Base(path), "_", "-")
		m := exported(t, path, filepath.Join(dir, name), export.Options{})
		s := served{name, "greedy/", m.Loops.Max, c}
		if m.PrefixLM {
			s.greedy = "prefix/greedy/"
		}
		all = append(all, s)
	}
	url, _ := startMany(t, dir, map[string]string{"kv_memory": "64MiB"})
	for _, s := range all {
		prompt, err := s.c.IDs("prompt_1/ids")
		if err != nil {
			t.Fatal(err)
		}
		compared := 0
		for _, loops := range s.c.Loops(strings.TrimSuffix(s.greedy, "/")) {
			if loops > s.most {
				continue
			}
			want, err := s.c.IDs(fmt.Sprintf("%sT_%d/tokens", s.greedy, loops))
			if err != nil {
				t.Fatal(err)
			}
			ids, _ := json.Marshal(prompt)
			status, out := post(t, url, fmt.Sprintf(`{"model":%q,"prompt":%s,"max_tokens":%d,"temperature":0,"ignore_eos":true,"loops":%d,"return_token_ids":true}`,
				s.name, ids, len(want), loops))
			if status != http.StatusOK {
				t.Errorf("%s: status %d: %v", s.name, status, out)
				continue
			}
			var got []int32
			for _, id := range out["choices"].([]any)[0].(map[string]any)["token_ids"].([]any) {
				got = append(got, int32(id.(float64)))
			}
			if compared += len(got); !slices.Equal(got, want) {
				t.Errorf("%s at %d loops: %v, the reference has %v", s.name, loops, got, want)
			}
		}
		if compared == 0 {
			t.Errorf("%s: nothing was compared", s.name)
		}
	}
}
