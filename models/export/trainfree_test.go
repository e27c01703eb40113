package export_test

import (
	"slices"
	"testing"

	"github.com/loopserve/loopserve/models/export"
)

// What a window's options can't be is refused by name, and what they are is in the manifest.
func TestTrainFreeOptions(t *testing.T) {
	for want, opt := range map[string]export.Options{
		"are about the layers of loop: set loop": {LoopSteps: 3},
		"loop-steps is -1":                       {Loop: "1-1", LoopSteps: -1},
		`loop-beta is "1.5"`:                     {Loop: "1-1", LoopBeta: "1.5"},
		`loop-beta is "half"`:                    {Loop: "1-1", LoopBeta: "half"},
		`loop-kv is "last"`:                      {Loop: "1-1", LoopKV: "last"},
		"blends nothing":                         {Loop: "1-1", LoopBeta: "0", LoopNaive: true},
	} {
		mentions(t, opt.Settle(), want)
	}
	plain := everyFamily()["llama"]
	delete(plain.Config, "loopserve")
	from := written(t, plain, "F32")
	for _, c := range []struct {
		opt           export.Options
		def, most     int
		width         int
		steps         bool
		firstKVPolicy string
		otherKVPolicy string
	}{
		{export.Options{}, 1, 1, 0, false, "depth", "latest"},
		{export.Options{Loop: "1-1", LoopKV: "depth"}, 1, 8, 192, true, "depth", "first"},
		{export.Options{Loop: "1-1", LoopSteps: 6, LoopBeta: "0", LoopKV: "first"}, 6, 12, 0, true, "first", "depth"},
		{export.Options{Loop: "1-1", LoopSteps: 2, LoopKV: "planes", LoopNaive: true}, 2, 8, 0, false, "depth", "first"},
	} {
		c.opt.Exporter = "test"
		m, err := export.Export(t.Context(), from, t.TempDir()+"/out", c.opt)
		if err != nil {
			t.Fatal(err)
		}
		if m.Loops.Default != c.def || m.Loops.Max != c.most || m.State.Width != c.width || (m.Trajectory != nil) != c.steps ||
			m.KVPolicies[0] != c.firstKVPolicy || !slices.Contains(m.KVPolicies, c.otherKVPolicy) {
			t.Errorf("%+v: loops %+v, state %+v, trajectory %v, policies %v", c.opt, m.Loops, m.State, m.Trajectory, m.KVPolicies)
		}
	}
}
