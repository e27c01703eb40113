//go:build cgo

package app

import (
	"testing"

	"github.com/loopserve/loopserve/configs"
	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/runtime/ort"
)

// What is measured is what the configuration asks for: kv_memory holds more pages of one byte a number than of four.
func TestOpenEngineKeepsKVAsConfigured(t *testing.T) {
	ort.CheckLeaks(t)
	pages := map[string]int{}
	for _, precision := range []string{"f32", "int8"} {
		cfg, err := configs.Load(configs.Sources{Flags: map[string]string{"kv_memory": "4MiB", "kv_precision": precision}})
		if err != nil {
			t.Fatal(err)
		}
		e, err := OpenEngine(cfg, "../../models/adder")
		if err != nil {
			t.Fatal(err)
		}
		pages[precision] = e.engine.Capacity().Pages[loopctl.StageBlock]
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
	if pages["int8"] < 3*pages["f32"] {
		t.Errorf("block pages by kv_precision: %v", pages)
	}
}
