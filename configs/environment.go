package configs

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/loopserve/loopserve/internal/spelling"
)

const envPrefix = "LOOPSERVE_"

// notSettings are variables of this program that are not settings: the key that a client sends, what tests read, and
// runtime/ort's timer.
var notSettings = []string{
	"LOOPSERVE_API_KEY", "LOOPSERVE_VECTORS", "LOOPSERVE_REQUIRE_VECTORS", "LOOPSERVE_JINJA_SNIPPETS", "LOOPSERVE_PROFILE",
}

// ofKubernetes matches the entries that Kubernetes puts into each pod beside a Service that is named loopserve or
// loopserve-something: https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
// A plain number in LOOPSERVE_PORT is none of them: somebody means to set the port.
var ofKubernetes = regexp.MustCompile(
	`^LOOPSERVE_([A-Z0-9_]+_)?(SERVICE_HOST=|SERVICE_PORT(_[A-Z0-9_]+)?=|PORT_[0-9]+_(TCP|UDP|SCTP)(_[A-Z]+)?=|PORT=(tcp|udp|sctp)://)`)

// environment returns the variables that begin with LOOPSERVE_. One that nothing reads is an error: a typing mistake would
// otherwise leave the default in force without a word.
func environment(environ []string) (map[string]string, error) {
	var known []string
	for _, f := range fields(&Config{}) {
		known = append(known, f.Env())
	}
	found := map[string]string{}
	var errs []error
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		switch {
		case !strings.HasPrefix(name, envPrefix):
		case slices.Contains(known, name):
			found[name] = value
		case slices.Contains(notSettings, name) || ofKubernetes.MatchString(entry):
		default:
			errs = append(errs, unknownVariable(name, known))
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return found, errors.Join(errs...)
}

func unknownVariable(name string, known []string) error {
	if near, ok := spelling.Near(name, known); ok {
		return fmt.Errorf("environment %s: there is no such setting: did you mean %s?", name, near)
	}
	return fmt.Errorf("environment %s: there is no such setting: unset it, or see `loopserve config --default` for the names", name)
}
