package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/loopserve/loopserve/internal/evaluate"
	"github.com/loopserve/loopserve/loopctl"
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
  loopserve eval --model adder --loops 12 --draft 1,2,4`,
		Args: cobra.NoArgs,
		RunE: e.run,
	}
	flags := cmd.Flags()
	flags.StringVar(&e.url, "url", "", "server to ask; empty: serve --models in this process. Its key is in LOOPSERVE_API_KEY")
	flags.StringVar(&e.models, "models", "models", "folder of bundles")
	flags.StringVar(&e.model, "model", "adder", "model to ask")
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
	flags.StringVar(&e.svg, "svg", "", "prefix of plots: PREFIX-accuracy.svg, and for policies PREFIX-policies.svg and PREFIX-difficulty.svg")
	flags.BoolVar(&e.logScale, "log", false, "loops on a logarithmic axis")
	flags.IntVar(&e.opt.Concurrency, "concurrency", 16, "requests at one time while counting answers")
	flags.IntVar(&e.opt.Timed, "timed", 50, "requests asked one after another for latencies; negative: none")
	flags.IntVar(&e.opt.MaxTokens, "max-tokens", 0, "of an answer; 0: the longest answer's bytes + 4")
	addEngineFlags(flags)
	return cmd
}

func (e *evaluation) run(cmd *cobra.Command, _ []string) (err error) {
	loops, err := numbers("loops", e.loops, 1)
	if err != nil {
		return err
	}
	if e.most == 0 {
		for _, n := range loops {
			e.most = max(e.most, n)
		}
	}
	if e.opt.Settings, err = e.settings(loops); err != nil {
		return err
	}
	if e.metric != "exact" && e.metric != "loglikelihood" {
		return fmt.Errorf("--metric is %q: must be exact or loglikelihood", e.metric)
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
	asker := &evaluate.HTTP{URL: url, Key: os.Getenv("LOOPSERVE_API_KEY"), Model: e.model}
	bar := newBar(cmd.ErrOrStderr(), "asking")
	e.opt.Progress = func(done, total int) { bar.step(done, total, "asking") }
	fmt.Fprintf(cmd.OutOrStdout(), "%s, %d problems of %s\n\n", e.model, len(list), e.problems)
	if e.drafts != "" {
		return e.compare(cmd, asker, list, bar)
	}
	points, err := evaluate.Run(cmd.Context(), asker, e.opt, list)
	bar.end()
	if err != nil {
		return err
	}
	return e.tell(cmd.OutOrStdout(), points)
}

// tell prints and writes what was found.
func (e *evaluation) tell(w io.Writer, points []evaluate.Point) error {
	if err := evaluate.WriteTable(w, points); err != nil {
		return err
	}
	if advice, ok := evaluate.Recommend(points, e.maxLoss); ok {
		fmt.Fprintf(w, "\n%s\n", advice)
	}
	if err := writeTo(w, e.file, evaluate.NewReport(e.model, points, e.maxLoss).WriteJSON); err != nil {
		return err
	}
	if e.svg == "" {
		return nil
	}
	err := writeBytes(e.svg+"-accuracy.svg", evaluate.AccuracyPlot(e.model, points, e.logScale))
	if e.policies != "" {
		err = errors.Join(err, writeBytes(e.svg+"-policies.svg", evaluate.PolicyPlot(e.model, points)),
			writeBytes(e.svg+"-difficulty.svg", evaluate.DifficultyPlot(e.model, points)))
	}
	return err
}

// compare proves that drafts change nothing; it fails where they do.
func (e *evaluation) compare(cmd *cobra.Command, asker *evaluate.HTTP, list []evaluate.Problem, bar bar) error {
	drafts, err := numbers("draft", e.drafts, 1)
	if err != nil {
		return err
	}
	found, err := evaluate.CompareDrafts(cmd.Context(), asker, e.most, drafts, e.opt, list)
	bar.end()
	if err != nil {
		return err
	}
	report := evaluate.NewReport(e.model, nil, e.maxLoss)
	report.Problems, report.Drafts = len(list), found
	if err := errors.Join(evaluate.WriteDrafts(cmd.OutOrStdout(), found), writeTo(cmd.OutOrStdout(), e.file, report.WriteJSON)); err != nil {
		return err
	}
	for _, d := range found {
		if d.Different > 0 {
			return errSaid
		}
	}
	return nil
}

func (e *evaluation) read() ([]evaluate.Problem, error) {
	if e.problems == "" {
		e.problems = filepath.Join(e.models, e.model, "eval.jsonl")
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

// settings are the fixed depths, then each policy at each threshold.
func (e *evaluation) settings(loops []int) ([]evaluate.Setting, error) {
	var out []evaluate.Setting
	for _, n := range loops {
		out = append(out, evaluate.Setting{Loops: n})
	}
	if e.policies == "" {
		if e.thresholds != "" || e.min != 0 {
			return nil, errors.New("--exit-threshold and --min-loops need --exit-policy")
		}
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
					return nil, fmt.Errorf("--exit-threshold is %q: must be positive numbers, like 0.3,0.1", e.thresholds)
				}
				at = append(at, v)
			}
		}
		for _, v := range at {
			out = append(out, evaluate.Setting{Loops: e.most, Exit: loopctl.ExitPolicy{Kind: kind, Threshold: v, MinLoops: e.min}})
		}
	}
	return out, nil
}

func policyNamed(name string) (loopctl.ExitKind, error) {
	for kind := range thresholds {
		if kind.String() == name {
			return kind, nil
		}
	}
	return 0, fmt.Errorf("--exit-policy is %q: the policies are delta, gate, kl, entropy and argmax", name)
}
