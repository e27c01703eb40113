package export_test

import (
	"testing"

	"github.com/loopserve/loopserve/internal/exporttest"
	"github.com/loopserve/loopserve/internal/measure/random"
)

// everyFamily is a random checkpoint of each family, at sizes that both the CPU's and CUDA's attention take.
func everyFamily() map[string]*exporttest.Checkpoint {
	return exporttest.Size{
		Hidden: 96, Heads: 6, KVHeads: 3, HeadDim: 16, FFN: 128, Vocab: 80, Context: 64, Prelude: 1, Loop: 2, Coda: 1, Loops: 4, Theta: 10000,
	}.Families(false)
}

// written puts a checkpoint in a folder.
func written(t testing.TB, c *exporttest.Checkpoint, dtype string) string {
	t.Helper()
	dir := t.TempDir()
	if err := random.Write(dir, c.Config, c.Tensors, dtype, 7); err != nil {
		t.Fatal(err)
	}
	return dir
}
