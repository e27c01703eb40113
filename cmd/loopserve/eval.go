package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/loopserve/loopserve/internal/app"
	"github.com/loopserve/loopserve/internal/client"
	"github.com/loopserve/loopserve/internal/measure"
	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/models/bundle"
)

// evaluation is what eval is told.
type evaluation struct {
	url, model, models, problems string
	loops, policies, thresholds  string
	drafts, metric, file, svg    string
	most, min, limit             int
	maxLoss                      float64
	logScale                     bool
	opt                          measure.Evaluation
}

func evalCommand() *cobra.Command {
	var e evaluation
	cmd := &cobra.Command{
		Use:   "eval",
		Short: "Accuracy and latency against loops, through the HTTP API",
		Long: `Eval asks the problems of a JSONL file ({"prompt", "answer", "group"} on each line) at several loop counts, and under
exit policies at several thresholds. It prints exact answers, by group, with the loops that a token took on average and
latencies of requests alone; and the least depth that loses no more than --max-loss points. Without --url it serves the
bundles of --models itself, to itself; without --problems it takes eval.jsonl of the model's bundle.
With --draft it compares instead: answers with drafts against answers without, and their speed.`,
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
	flags.StringVar(&e.model, "model", "adder", "model to ask, or several to compare, with commas between")
	flags.StringVar(&e.problems, "problems", "", "JSONL file (default: eval.jsonl of the model's bundle)")
	flags.IntVar(&e.limit, "limit", 0, "ask so many of the problems, at even distances; 0: all")
	flags.StringVar(&e.metric, "metric", "exact", "exact (generated answers that are the same) or loglikelihood (of the answers that the problems have)")
	flags.StringVar(&e.loops, "loops", "1,2,3,4,6,8,12,16", "loop counts")
	flags.StringVar(&e.policies, "exit-policy", "", "exit policies to ask as well: delta, gate, kl, entropy, argmax")
	flags.StringVar(&e.thresholds, "exit-threshold", "", "thresholds of the policies (default: a few of each policy's own)")
	flags.IntVar(&e.min, "min-loops", 0, "least loops under a policy; 0: the model's")
	flags.IntVar(&e.most, "cap", 0, "most loops under a policy; 0: the largest of --loops")
	flags.Float64Var(&e.maxLoss, "max-loss", 0.5, "points of accuracy that the recommended depth may lose")
	flags.StringVar(&e.drafts, "draft", "", "compare drafts of so many loops with plain decoding, at the largest of --loops")
	flags.StringVar(&e.file, "json", "", "file for the result as JSON; - is standard output")
	flags.StringVar(&e.svg, "svg", "", "prefix of plots: PREFIX-accuracy.svg; for policies PREFIX-policies.svg and PREFIX-difficulty.svg; for several models PREFIX-MODEL-… of each, and PREFIX-depth.svg")
	flags.BoolVar(&e.logScale, "log", false, "draw loops on a logarithmic axis")
	flags.IntVar(&e.opt.Concurrency, "concurrency", 16, "requests at the same time while counting answers")
	flags.IntVar(&e.opt.Timed, "timed", 50, "requests asked one after another for latencies; negative: none")
	flags.IntVar(&e.opt.MaxTokens, "max-tokens", 0, "tokens of an answer, at most; 0: the longest answer's bytes + 4")
	addConfigFlags(flags, ofEngine)
	return cmd
}

func (e *evaluation) run(cmd *cobra.Command, _ []string) (err error) {
	loops, err := numbers("loops", e.loops, 1)
	if err != nil {
		return err
	}
	e.most = cmp.Or(e.most, slices.Max(loops))
	names := strings.Split(e.model, ",")
	switch {
	case e.metric != "exact" && e.metric != "loglikelihood":
		return usagef("--metric is %q: must be exact or loglikelihood", e.metric)
	case e.drafts != "" && len(names) > 1:
		return usagef("--draft compares one model with itself: give one --model")
	}
	if _, err := e.depths(loops, e.most); err != nil {
		return err
	}
	e.opt.Likelihood = e.metric == "loglikelihood"
	if err := e.read(); err != nil {
		return err
	}
	server := &measure.HTTP{Client: client.Client{URL: e.url, Key: os.Getenv("LOOPSERVE_API_KEY"), HTTP: measure.ManyConnections}}
	if e.url == "" {
		cfg, _, err := loadConfig(cmd.Flags(), ofEngine)
		if err != nil {
			return err
		}
		cfg.Models = []string{e.models}
		c, stop, err := inside(cmd, cfg)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stop()) }()
		server.Client = c
	}
	fmt.Fprintf(tableTo(cmd, e.file), "%s, %d problems of %s\n\n", e.model, len(e.opt.Problems), e.problems)
	if e.drafts != "" {
		server.Model = e.model
		return e.compare(cmd, server)
	}
	var curves []*measure.Curve
	for _, name := range names {
		server.Model = strings.TrimSpace(name)
		c, err := e.curve(cmd, server, loops, len(names) > 1)
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
		first, _, _ := strings.Cut(e.model, ",")
		e.problems = filepath.Join(e.models, first, "eval.jsonl")
	}
	f, err := os.Open(e.problems)
	if err != nil {
		return fmt.Errorf("problems: %w: give --problems", err)
	}
	defer f.Close()
	list, err := measure.ReadProblems(f)
	if err != nil {
		return fmt.Errorf("%s: %w", e.problems, err)
	}
	e.opt.Problems = measure.Some(list, e.limit)
	return nil
}

// depths are the fixed ones, then each policy at each threshold, with most as the cap. A model of one loop has no
// policies.
func (e *evaluation) depths(loops []int, most int) ([]measure.Depth, error) {
	var out []measure.Depth
	for _, n := range loops {
		out = append(out, measure.Depth{Loops: n})
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
	for name := range strings.SplitSeq(e.policies, ",") {
		kind, err := policyNamed(strings.TrimSpace(name))
		if err != nil {
			return nil, err
		}
		thresholds := measure.Thresholds(kind, most)
		if e.thresholds != "" {
			thresholds = nil
			for s := range strings.SplitSeq(e.thresholds, ",") {
				v, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
				if err != nil || !(v > 0) {
					return nil, usagef("--exit-threshold is %q: must be positive numbers, like 0.3,0.1", e.thresholds)
				}
				thresholds = append(thresholds, v)
			}
		}
		for _, v := range thresholds {
			out = append(out, measure.Depth{Loops: most, Exit: loopctl.ExitPolicy{Kind: kind, Threshold: v, MinLoops: e.min}})
		}
	}
	return out, nil
}

func policyNamed(name string) (loopctl.ExitKind, error) {
	kind, ok := loopctl.ParseExitKind(name)
	if !ok || kind == loopctl.ExitNone {
		return 0, usagef("--exit-policy is %q: the policies are delta, gate, kl, entropy and argmax", name)
	}
	return kind, nil
}

// curve asks one model. One of several is asked only for the loops that it takes: a baseline that does not loop takes 1.
func (e *evaluation) curve(cmd *cobra.Command, server *measure.HTTP, loops []int, several bool) (*measure.Curve, error) {
	most := e.most
	if several {
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
	var err error
	if e.opt.Depths, err = e.depths(loops, most); err != nil {
		return nil, err
	}
	bar := e.bar(cmd, server.Model)
	c, err := measure.Score(cmd.Context(), server, e.opt)
	bar.end()
	if err != nil {
		return nil, err
	}
	c.Model, c.Recommended = server.Model, measure.Advise(c.Points, e.maxLoss)
	if e.url != "" {
		return c, nil
	}
	return c, e.layers(c)
}

func (e *evaluation) bar(cmd *cobra.Command, model string) bar {
	b := newBar(cmd.ErrOrStderr(), "asking")
	e.opt.Progress = func(done, total int) { b.step(done, total, "asking "+model) }
	return b
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

// tell prints and writes what was found.
func (e *evaluation) tell(cmd *cobra.Command, curves []*measure.Curve) error {
	table, several := tableTo(cmd, e.file), len(curves) > 1
	for _, c := range curves {
		prefix := e.svg
		if several {
			fmt.Fprintf(table, "%s\n\n", c.Title())
			prefix += "-" + c.Model
		}
		if err := c.WriteTable(table); err != nil {
			return err
		}
		if c.Recommended != nil {
			fmt.Fprintf(table, "\n%s\n\n", c.Recommended)
		}
		if e.svg == "" {
			continue
		}
		err := writeBytes(prefix+"-accuracy.svg", c.AccuracyPlot(e.logScale))
		if e.policies != "" {
			err = errors.Join(err, writeBytes(prefix+"-policies.svg", c.PolicyPlot()), writeBytes(prefix+"-difficulty.svg", c.DifficultyPlot()))
		}
		if err != nil {
			return err
		}
	}
	if !several {
		return writeJSON(cmd, e.file, curves[0])
	}
	if e.svg != "" {
		if err := writeBytes(e.svg+"-depth.svg", measure.DepthPlot(curves)); err != nil {
			return err
		}
	}
	return writeJSON(cmd, e.file, map[string]any{"object": "list", "data": curves})
}

// compare proves that drafts change nothing; it fails where they do.
func (e *evaluation) compare(cmd *cobra.Command, server *measure.HTTP) error {
	drafts, err := numbers("draft", e.drafts, 1)
	if err != nil {
		return err
	}
	bar := e.bar(cmd, server.Model)
	found, err := measure.CompareDrafts(cmd.Context(), server, e.most, drafts, e.opt)
	bar.end()
	if err != nil {
		return err
	}
	result := measure.NewCurve(len(e.opt.Problems))
	result.Model, result.Drafts = e.model, found
	if err := errors.Join(measure.WriteDrafts(tableTo(cmd, e.file), found), writeJSON(cmd, e.file, result)); err != nil {
		return err
	}
	for _, d := range found {
		if d.Different > 0 {
			return errSaid
		}
	}
	return nil
}
