package spec

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/loopctl/kv"
	"github.com/loopserve/loopserve/models/bundle"
)

// maxPlanes is the m of modulo:m at most, as in manifests.
const maxPlanes = 9999

// KVPolicies are the words of ParseKVPolicy.
const KVPolicies = "depth, latest, first, last_loop or modulo:m"

// ParseKVPolicy reads a policy as configuration and manifests spell it.
func ParseKVPolicy(s string) (loopctl.KVPolicy, error) {
	switch s {
	case "depth":
		return loopctl.KVPolicy{}, nil
	case "latest":
		return loopctl.KVPolicy{Planes: 1}, nil
	case "first":
		return loopctl.KVPolicy{Planes: 1, Keep: kv.KeepFirst}, nil
	case "last_loop":
		return loopctl.KVPolicy{Planes: 1, Keep: kv.KeepLast}, nil
	}
	digits, ok := strings.CutPrefix(s, "modulo:")
	m, err := strconv.Atoi(digits)
	if !ok || err != nil || m < 1 || m > maxPlanes || digits != strconv.Itoa(m) {
		return loopctl.KVPolicy{}, fmt.Errorf("kv policy %q: must be %s with m from 1 to %d", s, KVPolicies, maxPlanes)
	}
	return loopctl.KVPolicy{Planes: m}, nil
}

// KVPolicyName is the word that ParseKVPolicy reads. modulo:1 is latest.
func KVPolicyName(p loopctl.KVPolicy) string {
	switch p.Planes {
	case 0:
		return "depth"
	case 1:
		return [...]string{"latest", "first", "last_loop"}[p.Keep]
	}
	return fmt.Sprintf("modulo:%d", p.Planes)
}

// CheckKVPolicy refuses a policy that the bundle's manifest does not list.
func CheckKVPolicy(p loopctl.KVPolicy, m *bundle.Manifest) error {
	for _, allowed := range m.KVPolicies {
		if q, err := ParseKVPolicy(allowed); err == nil && q == p {
			return nil
		}
	}
	return fmt.Errorf("the model does not allow kv policy %s: use one of %s", KVPolicyName(p), strings.Join(m.KVPolicies, ", "))
}
