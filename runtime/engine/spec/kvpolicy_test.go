package spec

import (
	"strings"
	"testing"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/models/bundle"
)

func TestKVPolicyWords(t *testing.T) {
	for word, want := range map[string]int{"depth": 0, "latest": 1, "first": 1, "last_loop": 1, "modulo:4": 4, "modulo:9999": 9999} {
		p, err := ParseKVPolicy(word)
		if err != nil || p.Planes != want || KVPolicyName(p) != word {
			t.Errorf("%s: %+v, %v; written %s", word, p, err, KVPolicyName(p))
		}
	}
	if p, err := ParseKVPolicy("modulo:1"); err != nil || KVPolicyName(p) != "latest" {
		t.Errorf("modulo:1: %+v, %v", p, err)
	}
	for _, word := range []string{"", "Depth", "modulo", "modulo:", "modulo:0", "modulo:-1", "modulo:04", "modulo:+4", "modulo:10000", "modulo:4 ", "latest:2"} {
		if _, err := ParseKVPolicy(word); err == nil || !strings.Contains(err.Error(), KVPolicies) {
			t.Errorf("%q: %v", word, err)
		}
	}
}

func TestKVPolicyMustBeAllowed(t *testing.T) {
	m := &bundle.Manifest{KVPolicies: []string{"depth", "modulo:4"}}
	for planes, ok := range map[int]bool{0: true, 4: true, 1: false, 2: false} {
		err := CheckKVPolicy(loopctl.KVPolicy{Planes: planes}, m)
		if ok != (err == nil) || err != nil && !strings.Contains(err.Error(), "use one of depth, modulo:4") {
			t.Errorf("%d planes: %v", planes, err)
		}
	}
}

func TestPlanesOfAPolicy(t *testing.T) {
	for _, c := range []struct{ policy, loops, want int }{{0, 6, 6}, {1, 6, 1}, {4, 6, 4}, {4, 3, 3}} {
		if got := (loopctl.KVPolicy{Planes: c.policy}).PlanesAt(c.loops); got != c.want {
			t.Errorf("%d loops with %d planes at most: %d, want %d", c.loops, c.policy, got, c.want)
		}
	}
}
