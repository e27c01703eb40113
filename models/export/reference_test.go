package export_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/loopserve/loopserve/internal/golden"
	"github.com/loopserve/loopserve/internal/golden/goldentest"
	"github.com/loopserve/loopserve/models/export/safetensors"
)

// The reference gives upstream's own numbers, within the vectors' tolerance: it may then judge other sizes.
func TestAgreesWithUpstream(t *testing.T) {
	for _, path := range goldentest.Cases(t) {
		if slices.Contains([]string{"dory", "hrm-text", "loopformer"}, filepath.Base(filepath.Dir(path))) {
			continue // their graphs meet the vectors alone, in runtime/engine
		}
		c, err := golden.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		tolerance := c.Within("logits")
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		m, err := openReference(path)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		compare(t, m, path, tolerance)
	}
}

func compare(t *testing.T, m *reference, path string, tolerance float64) {
	t.Helper()
	root, err := os.OpenRoot(path)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	answers, err := safetensors.OpenFile(root, golden.Answers)
	if err != nil {
		t.Fatal(err)
	}
	defer answers.Close()
	ids64, err := answers.Tensor("prompt_1/ids").Ints()
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]int, len(ids64))
	for i, id := range ids64 {
		ids[i] = int(id)
	}
	most := 12
	if m.family == "llama" || m.family == "qwen2" || m.family == "qwen3" {
		most = 1 // more are another model: the loop without training
	}
	for loops := 1; loops <= most; loops++ {
		stored := answers.Tensor(fmt.Sprintf("prompt_1/T_%d/logits", loops))
		if stored == nil {
			continue
		}
		want, err := stored.Floats()
		if err != nil {
			t.Fatal(err)
		}
		worst := 0.0
		got := m.Run(ids, loops).Logits
		for i, w := range want {
			width := len(got[0])
			worst = math.Max(worst, math.Abs(got[i/width][i%width]-float64(w)))
		}
		if worst > tolerance {
			t.Errorf("%s at %d loops: logits differ by %.2g, tolerance %.2g", m.family, loops, worst, tolerance)
		}
	}
}
