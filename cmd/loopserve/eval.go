package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/loopserve/loopserve/internal/app"
	"github.com/loopserve/loopserve/internal/evaluate"
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
	opt                          evaluate.Options
}

func evalCommand() *cobra.Command {
	var e evaluation
	cmd := &cobra.Command{
		Use:   "eval",
		Short: "Accuracy and latency against loops, through the HTTP API",
		Long: `Eval asks the problems of a JSONL file ({"prompt", "answer", "group"} on each line) at several loop counts, and under
exit policies at several thresholds. It prints exact answers, by group, with the loops that a token took on average and
latencies of requests alone; and the least depth that loses no more than --max-loss points. Without --url it serves the
bundles of --models itself, on a port of its own; without --problems it takes eval.jsonl of the model's bundle.
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
	flags.BoolVar(&e.logScale, "log", false, "loops on a logarithmic axis")
	flags.IntVar(&e.opt.Concurrency, "concurrency", 16, "requests at one time while counting answers")
	flags.IntVar(&e.opt.Timed, "timed", 50, "requests asked one after another for latencies; negative: none")
	flags.IntVar(&e.opt.MaxTokens, "max-tokens", 0, "of an answer; 0: the longest answer's bytes + 4")
	addConfigFlags(flags, ofEngine)
	return cmd
}

func (e *evaluation) run(cmd *cobra.Command, _ []string) (err error) {
	loops, err := numbers("loops", e.loops, 1)
	if err != nil {
		return err
	}
	if e.most == 0 {
		e.most = slices.Max(loops)
	}
	names := strings.Split(e.model, ",")
	switch {
	case e.metric != "exact" && e.metric != "loglikelihood":
		return usagef("--metric is %q: must be exact or loglikelihood", e.metric)
	case e.drafts != "" && len(names) > 1:
		return usagef("--draft compares one model with itself: give one --model")
	}
	if _, err := e.settings(loops, e.most); err != nil {
		return err
	}
	e.opt.Likelihood = e.metric == "loglikelihood"
	list, err := e.read()
	if err != nil {
		return err
	}
	url := e.url
	if url == "" {
		stop, own, err := serveLocally(cmd, e.models)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stop()) }()
		url = own
	}
	fmt.Fprintf(tableTo(cmd, e.file), "%s, %d problems of %s\n\n", e.model, len(list), e.problems)
	asker := &evaluate.HTTP{URL: url, Key: os.Getenv("LOOPSERVE_API_KEY")}
	if e.drafts != "" {
		asker.Model = e.model
		return e.compare(cmd, asker, list)
	}
	var curves []evaluate.Curve
	for _, name := range names {
		asker.Model = strings.TrimSpace(name)
		c, err := e.curve(cmd, asker, loops, list, len(names) > 1)
		if err != nil {
			return err
		}
		curves = append(curves, c)
	}
	return e.tell(cmd, curves)
}

// curve asks one model. One of several is asked only for the loops that it takes: a baseline that does not loop takes 1.
func (e *evaluation) curve(cmd *cobra.Command, asker *evaluate.HTTP, loops []int, list []evaluate.Problem, several bool) (c evaluate.Curve, err error) {
	most := e.most
	if several {
		low, high, err := asker.Range(cmd.Context())
		if err != nil {
			return c, err
		}
		most = min(most, high)
		loops = slices.DeleteFunc(slices.Clone(loops), func(n int) bool { return n < low || n > high })
		if len(loops) == 0 {
			loops = []int{high}
		}
	}
	if e.opt.Settings, err = e.settings(loops, most); err != nil {
		return c, err
	}
	bar := newBar(cmd.ErrOrStderr(), "asking")
	e.opt.Progress = func(done, total int) { bar.step(done, total, "asking "+asker.Model) }
	c.Model = asker.Model
	c.Points, err = evaluate.Run(cmd.Context(), asker, e.opt, list)
	bar.end()
	if err == nil && e.url == "" {
		err = e.layers(&c)
	}
	return c, err
}

// layers reads a model's from its bundle.
func (e *evaluation) layers(c *evaluate.Curve) error {
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
