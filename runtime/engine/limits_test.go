//go:build cgo

package engine_test

import (
	"strings"
	"testing"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/runtime/engine"
)

// The arena is sized for the planes that the policy gives a sequence, and the limits say the policy.
func TestLimitsOfAPolicy(t *testing.T) {
	env := openEnv(t)
	opt := engine.Options{Sequence: 1, PageSize: 16}
	depth := openEngine(t, env, adder, opt).Capacity()
	opt.KV = loopctl.KVPolicy{Planes: 1}
	latest := openEngine(t, env, adder, opt).Capacity()
	if !depth.Delta || depth.Gate || depth.Seeded || depth.KV.Planes != 0 || latest.KV.Planes != 1 {
		t.Errorf("depth %+v, latest %+v", depth, latest)
	}
	if n := latest.Pages[loopctl.StageBlock] * depth.Loops.Max; n != depth.Pages[loopctl.StageBlock] {
		t.Errorf("%v pages with one plane, %v with %d", latest.Pages, depth.Pages, depth.Loops.Max)
	}
	b, err := bundle.Open(adder, bundle.Options{SkipHash: true})
	if err != nil {
		t.Fatal(err)
	}
	opt.KV = loopctl.KVPolicy{Planes: 3}
	if e, err := engine.Open(env, b, opt); err == nil || !strings.Contains(err.Error(), "kv policy modulo:3") || !strings.Contains(err.Error(), "use one of depth") {
		e.Close()
		t.Errorf("a policy that the bundle does not allow: %v", err)
	}
}
