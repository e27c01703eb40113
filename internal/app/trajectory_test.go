//go:build cgo

package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/internal/golden"
	"github.com/loopserve/loopserve/internal/golden/goldentest"
	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/models/export"
)

// A request's own steps over HTTP: the reference's token, a warning of steps that were never trained, and refusals by name.
func TestTrajectoryOverHTTP(t *testing.T) {
	dir, path := t.TempDir(), filepath.Join(goldentest.Dir(t, "golden"), "loopformer", "tiny-2x8")
	exported(t, path, filepath.Join(dir, "m"), export.Options{})
	c, err := golden.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	prompt, err := c.IDs("prompt_1/ids")
	if err != nil {
		t.Fatal(err)
	}
	logits, shape, err := c.Floats("steps_4-2-1-1/prompt_1/logits")
	if err != nil {
		t.Fatal(err)
	}
	token := loopctl.Argmax(logits[(shape[0]-1)*shape[1]:])
	url, _ := startMany(t, dir, nil)
	ids, _ := json.Marshal(prompt) // of numbers
	for fields, want := range map[string]string{
		`"trajectory":[4,2,1,1]`:           fmt.Sprintf("token_ids:[%d]", token),
		`"loops":3`:                        "multiples of 1/8",
		`"trajectory":[4,2,1,1],"loops":3`: "has 4 steps and loops is 3",
		`"trajectory":[1,-1]`:              "positive",
		`"trajectory":"even"`:              "list of positive numbers",
		`"exit_policy":"delta"`:            "how many are to come",
		`"elastic":true`:                   "how many are to come",
	} {
		status, out := post(t, url, fmt.Sprintf(`{"model":"m","prompt":%s,"max_tokens":1,"temperature":0,"ignore_eos":true,"return_token_ids":true,%s}`, ids, fields))
		served := strings.HasPrefix(want, "token_ids") || strings.HasPrefix(want, "multiples")
		if (status == http.StatusOK) != served || !strings.Contains(fmt.Sprint(out), want) {
			t.Errorf("%s: status %d: %v, want %q", fields, status, out, want)
		}
	}
}
