package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/loopserve/loopserve/internal/evaluate"
	"github.com/loopserve/loopserve/loopctl"
)

func (e *evaluation) read() ([]evaluate.Problem, error) {
	if e.problems == "" {
		first, _, _ := strings.Cut(e.model, ",")
		e.problems = filepath.Join(e.models, first, "eval.jsonl")
	}
	f, err := os.Open(e.problems)
	if err != nil {
		return nil, fmt.Errorf("problems: %w: give --problems", err)
	}
	defer f.Close()
	list, err := evaluate.ReadProblems(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.problems, err)
	}
	return evaluate.Some(list, e.limit), nil
}

// settings are the fixed depths, then each policy at each threshold, with most as the cap. A model of one loop has no
// policies.
func (e *evaluation) settings(loops []int, most int) ([]evaluate.Setting, error) {
	var out []evaluate.Setting
	for _, n := range loops {
		out = append(out, evaluate.Setting{Loops: n})
	}
	if e.policies == "" {
		if e.thresholds != "" || e.min != 0 {
			return nil, usagef("--exit-threshold and --min-loops need --exit-policy")
		}
		return out, nil
	}
	if most == 1 {
		return out, nil
	}
	for _, name := range strings.Split(e.policies, ",") {
		kind, err := policyNamed(strings.TrimSpace(name))
		if err != nil {
			return nil, err
		}
		at := evaluate.Thresholds[kind]
		if e.thresholds != "" {
			at = nil
			for _, s := range strings.Split(e.thresholds, ",") {
				v, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
				if err != nil || !(v > 0) {
					return nil, usagef("--exit-threshold is %q: must be positive numbers, like 0.3,0.1", e.thresholds)
				}
				at = append(at, v)
			}
		}
		for _, v := range at {
			out = append(out, evaluate.Setting{Loops: most, Exit: loopctl.ExitPolicy{Kind: kind, Threshold: v, MinLoops: e.min}})
		}
	}
	return out, nil
}

func policyNamed(name string) (loopctl.ExitKind, error) {
	kind, _ := loopctl.ParseExitKind(name)
	if evaluate.Thresholds[kind] == nil {
		return 0, usagef("--exit-policy is %q: the policies are delta, gate, kl, entropy and argmax", name)
	}
	return kind, nil
}
