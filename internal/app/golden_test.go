//go:build cgo

package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/loopserve/loopserve/internal/golden"
	"github.com/loopserve/loopserve/internal/golden/goldentest"
	"github.com/loopserve/loopserve/models/export"
	"github.com/loopserve/loopserve/runtime/ort"
)

// Tiny checkpoints, exported and served: the greedy tokens over HTTP are the reference's. answer is a folder of the case.
func TestVectorsOverHTTP(t *testing.T) {
	ort.CheckLeaks(t)
	vectors := goldentest.Dir(t, "golden")
	dir := t.TempDir()
	type ask struct{ model, fields, path, answer string }
	var asks []ask
	for name, c := range map[string]struct {
		path string
		opt  export.Options
		asks [][2]string // fields and answer
	}{
		"llama":  {"llama/tiny-gqa-llama3", export.Options{Loop: "1-2"}, [][2]string{{`"loops":3`, "greedy/T_3"}, {`"loops":1`, "greedy/T_1"}, {`"top_k":0`, "greedy/T_1"}}},
		"qwen2":  {"qwen2/tiny-tied-bf16", export.Options{Loop: "1-2", LoopSteps: 3}, [][2]string{{`"top_k":0`, "greedy/T_3"}, {`"loops":1`, "greedy/T_1"}}},
		"qwen3":  {"qwen3/tiny-qknorm-v5", export.Options{Loop: "2-3", LoopKV: export.LoopFirst}, [][2]string{{`"loops":3`, "cache_first-full/T_3"}, {`"loops":3,"replay_loops":[3,1]`, "cache_first-bypass/T_3"}}},
		"planes": {"qwen3/tiny-qknorm-v5", export.Options{Loop: "2-3"}, [][2]string{{`"loops":3`, "greedy/T_3"}}},
	} {
		exported(t, filepath.Join(vectors, filepath.FromSlash(c.path)), filepath.Join(dir, name), c.opt)
		for _, a := range c.asks {
			asks = append(asks, ask{name, a[0], c.path, a[1]})
		}
	}
	url, _ := startMany(t, dir, nil)
	for _, a := range asks {
		c, err := golden.Open(filepath.Join(vectors, filepath.FromSlash(a.path)))
		if err != nil {
			t.Fatal(err)
		}
		prompt, err := c.IDs("prompt_1/ids")
		want, wrong := c.IDs(a.answer + "/tokens")
		c.Close()
		if err != nil || wrong != nil {
			t.Fatal(err, wrong)
		}
		ids, _ := json.Marshal(prompt)
		status, out := post(t, url, fmt.Sprintf(`{"model":%q,"prompt":%s,"max_tokens":%d,"temperature":0,"ignore_eos":true,"return_token_ids":true,%s}`, a.model, ids, len(want), a.fields))
		if status != http.StatusOK {
			t.Errorf("%+v: status %d: %v", a, status, out)
			continue
		}
		if got := fmt.Sprint(out["choices"].([]any)[0].(map[string]any)["token_ids"]); got != fmt.Sprint(want) {
			t.Errorf("%+v: %v, want %v", a, got, want)
		}
	}
}
