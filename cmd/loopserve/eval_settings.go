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

// thresholds are what each policy is tried at where none is given: from the cautious to the hasty.
var thresholds = map[loopctl.ExitKind][]float64{
	loopctl.ExitDelta:   {0.03, 0.1, 0.15, 0.2, 0.25, 0.3},
	loopctl.ExitGate:    {0.99, 0.9, 0.7, 0.5, 0.3},
	loopctl.ExitKL:      {1e-5, 1e-4, 1e-3, 1e-2, 1e-1},
	loopctl.ExitEntropy: {1e-5, 1e-4, 1e-3, 1e-2, 1e-1},
	loopctl.ExitArgmax:  {4, 3, 2, 1},
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
		at := thresholds[kind]
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
	if thresholds[kind] == nil {
		return 0, usagef("--exit-policy is %q: the policies are delta, gate, kl, entropy and argmax", name)
	}
	return kind, nil
}
