package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/loopserve/loopserve/internal/app"
	"github.com/loopserve/loopserve/internal/measure"
	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/models/bundle"
)

// evaluation is what eval is told.
type evaluation struct {
	url, models, problems, file, svg string
	names                            []string // of models
	loops                            []int
	drafts                           []string
	policies                         []loopctl.ExitKind
	thresholds                       []float64
	metric                           string
	most, min, limit                 int
	maxLoss                          float64
	logScale                         bool
	opt                              measure.Evaluation
}

func evalCommand() *cobra.Command {
	var e evaluation
	cmd := &cobra.Command{
		Use:   "eval",
		Short: "Accuracy and latency by loops, through the HTTP API",
		Long: `Eval asks the problems of a JSONL file ({"prompt", "answer", "group"} on each line) at several loop counts, and under
exit policies at several thresholds. It prints the accuracy (exact match) by group, the mean loops per token, the latency of
single requests, and the min loops that lose at most --max-loss points. Without --url it serves the bundles of --models in
its own process; without --problems it takes eval.jsonl of the model's bundle.
With --draft it compares answers and speed with and without draft tokens instead.`,
		Example: `  loopserve eval --models models --model adder
  loopserve eval --model adder --exit-policy delta --exit-threshold 0.3,0.1,0.03 --max-loss 0.5 --svg adder
  loopserve eval --url http://127.0.0.1:8080 --model adder --problems mine.jsonl --loops 1,4,8 --metric loglikelihood
  loopserve eval --model looped,shallow,deep --problems looped/eval.jsonl --svg compared
  loopserve eval --model adder --loops 12 --draft 1,2,4`,
		Args: cobra.NoArgs,
		RunE: e.run,
	}
	flags := cmd.Flags()
	flags.StringVar(&e.url, "url", "", "server to ask; empty: serve --models in this process. Its key is in LOOPSERVE_API_KEY")
	flags.StringVar(&e.models, "models", "models", "folder of bundles")
	flags.StringSliceVar(&e.names, "model", []string{"adder"}, "model to ask, or several to compare, separated by commas")
	flags.StringVar(&e.problems, "problems", "", "JSONL file (default: eval.jsonl of the model's bundle)")
	flags.IntVar(&e.limit, "limit", 0, "number of problems, evenly spaced; 0: all")
	flags.StringVar(&e.metric, "metric", "exact", "exact (match of the generated answers) or loglikelihood (of the given answers)")
	flags.IntSliceVar(&e.loops, "loops", []int{1, 2, 3, 4, 6, 8, 12, 16}, "loop counts")
	flags.Func("exit-policy", "exit `policies` to ask as well: delta, gate, kl, entropy, argmax", e.readPolicies)
	flags.Float64SliceVar(&e.thresholds, "exit-threshold", nil, "thresholds of the policies (default: several per policy)")
	flags.IntVar(&e.min, "min-loops", 0, "min loops under a policy; 0: the model's")
	flags.IntVar(&e.most, "cap", 0, "max loops under a policy; 0: the largest of --loops")
	flags.Float64Var(&e.maxLoss, "max-loss", 0.5, "points of accuracy that the recommended loops may lose")
	flags.StringSliceVar(&e.drafts, "draft", nil, "compare draft tokens of so many loops, or auto, with plain decoding, at the largest of --loops")
	flags.StringVar(&e.file, "json", "", "file for the result as JSON; - is standard output")
	flags.StringVar(&e.svg, "svg", "", "prefix of plots: PREFIX-accuracy.svg; for policies PREFIX-policies.svg and PREFIX-difficulty.svg; for several models PREFIX-MODEL-… of each, and PREFIX-depth.svg")
	flags.BoolVar(&e.logScale, "log", false, "draw loops on a logarithmic axis")
	flags.IntVar(&e.opt.Concurrency, "concurrency", 16, "requests at the same time while measuring accuracy")
	flags.IntVar(&e.opt.Timed, "timed", 50, "single requests to measure latency; 0: none")
	flags.IntVar(&e.opt.MaxTokens, "max-tokens", 0, "maximum tokens of an answer; 0: the longest answer's bytes + 4")
	addConfigFlags(flags, ofEngine)
	return cmd
}

func (e *evaluation) run(cmd *cobra.Command, _ []string) (err error) {
	e.most = cmp.Or(e.most, slices.Max(e.loops))
	notPositive := func(n int) bool { return n < 1 }
	switch {
	case slices.ContainsFunc(e.loops, notPositive):
		return usagef("--loops is %v: must be integers from 1", e.loops)
	case slices.ContainsFunc(e.drafts, func(word string) bool { n, err := draftNamed(word); return err != nil || n == 0 }):
		return usagef("--draft is %v: must be integers from 1, or auto", e.drafts)
	case slices.ContainsFunc(e.thresholds, func(v float64) bool { return !(v > 0) }):
		return usagef("--exit-threshold is %v: must be positive numbers, like 0.3,0.1", e.thresholds)
	case e.opt.Concurrency < 1 || e.opt.Timed < 0:
		return usagef("--concurrency is %d and --timed is %d: must be at least 1, and at least 0", e.opt.Concurrency, e.opt.Timed)
	case e.metric != "exact" && e.metric != "loglikelihood":
		return usagef("--metric is %q: must be exact or loglikelihood", e.metric)
	case e.drafts != nil && len(e.names) > 1:
		return usagef("--draft compares one model with itself: give one --model")
	case e.drafts != nil && e.policies != nil:
		return usagef("--draft needs fixed loops: remove --exit-policy")
	case e.policies == nil && (e.thresholds != nil || e.min != 0):
		return usagef("--exit-threshold and --min-loops need --exit-policy")
	}
	e.opt.Likelihood = e.metric == "loglikelihood"
	if err := e.read(); err != nil {
		return err
	}
	server, stop, err := asked(cmd, e.url, &e.models)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	fmt.Fprintf(tableTo(cmd, e.file), "%s, %d problems of %s\n\n", strings.Join(e.names, ","), len(e.opt.Problems), e.problems)
	var curves []*measure.Curve
	for _, server.Model = range e.names {
		server.Drafts = e.drafts != nil || server.Loops(cmd.Context())
		c, err := e.curve(cmd, server)
		if err != nil {
			return err
		}
		curves = append(curves, c)
	}
	return e.tell(cmd, curves)
}

// read reads the problems.
func (e *evaluation) read() error {
	if e.problems == "" {
		e.problems = filepath.Join(e.models, e.names[0], "eval.jsonl")
	}
	data, err := os.ReadFile(e.problems)
	if err != nil {
		return fmt.Errorf("problems: %w: give --problems", err)
	}
	list, err := measure.ReadProblems(data)
	if err != nil {
		return fmt.Errorf("%s: %w", e.problems, err)
	}
	e.opt.Problems = measure.Some(list, e.limit)
	return nil
}

func (e *evaluation) readPolicies(names string) error {
	for name := range strings.SplitSeq(names, ",") {
		kind, err := policyNamed(strings.TrimSpace(name))
		if err != nil {
			return err
		}
		e.policies = append(e.policies, kind)
	}
	return nil
}

func policyNamed(name string) (loopctl.ExitKind, error) {
	kind, ok := loopctl.ParseExitKind(name)
	if !ok || kind == loopctl.ExitNone {
		return 0, errors.New("the policies are delta, gate, kl, entropy and argmax")
	}
	return kind, nil
}

// curve asks one model. One of several is asked only for the loops that it takes: a baseline that does not loop takes 1.
func (e *evaluation) curve(cmd *cobra.Command, server *measure.HTTP) (*measure.Curve, error) {
	most, loops := e.most, e.loops
	if len(e.names) > 1 {
		low, high, err := server.Range(cmd.Context())
		if err != nil {
			return nil, err
		}
		most = min(most, high)
		loops = slices.DeleteFunc(slices.Clone(loops), func(n int) bool { return n < low || n > high })
		if len(loops) == 0 {
			loops = []int{high}
		}
	}
	if e.drafts != nil {
		loops = []int{most}
	}
	e.opt.Depths = measure.Depths(loops, most, e.policies, e.thresholds, e.min)
	for _, word := range e.drafts {
		n, _ := draftNamed(word) // run has looked
		e.opt.Depths = append(e.opt.Depths, measure.Depth{Loops: most, Draft: n})
	}
	bar := newBar(cmd.ErrOrStderr(), "asking")
	e.opt.Progress = func(done, total int) { bar.step(done, total, "asking "+server.Model) }
	c, err := measure.Score(cmd.Context(), server, e.opt)
	bar.end()
	if err != nil {
		return nil, err
	}
	c.Model = server.Model
	if e.drafts == nil {
		c.Recommended = measure.Advise(c.Points, e.maxLoss)
	}
	if e.url != "" {
		return c, nil
	}
	return c, e.layers(c)
}

// layers reads a model's from its bundle.
func (e *evaluation) layers(c *measure.Curve) error {
	dirs, err := app.FindBundles([]string{e.models})
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		b, err := bundle.Open(dir, bundle.Options{SkipHash: true})
		if err != nil {
			return err
		}
		if m := &b.Manifest; m.Name == c.Model {
			c.Before, c.Looped, c.After = m.Prelude.Layers, m.Block.Layers, m.Coda.Layers
		}
	}
	return nil
}

// tell prints and writes what was found. It fails where a draft changed an answer.
func (e *evaluation) tell(cmd *cobra.Command, curves []*measure.Curve) error {
	table, several := tableTo(cmd, e.file), len(curves) > 1
	var result any = curves[0]
	plots := map[string][]byte{}
	if several {
		result = map[string]any{"object": "list", "data": curves}
		plots["-depth.svg"] = measure.DepthPlot(curves)
	}
	for _, c := range curves {
		name := ""
		if several {
			fmt.Fprintf(table, "%s\n\n", c.Title())
			name = "-" + c.Model
		}
		if err := writeTable(table, c); err != nil {
			return err
		}
		plots[name+"-accuracy.svg"] = c.AccuracyPlot(e.logScale)
		if e.policies != nil {
			plots[name+"-policies.svg"], plots[name+"-difficulty.svg"] = c.PolicyPlot(), c.DifficultyPlot()
		}
	}
	err := writeResult(cmd, e.file, measure.JSON, result)
	for name, plot := range plots {
		if e.svg != "" {
			err = errors.Join(err, writeBytes(e.svg+name, plot))
		}
	}
	if slices.ContainsFunc(curves[0].Drafts, func(d measure.DraftOutcome) bool { return d.Different > 0 }) {
		err = errors.Join(err, errSaid)
	}
	return err
}
