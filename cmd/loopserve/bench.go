package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/loopserve/loopserve/internal/measure"
	"github.com/loopserve/loopserve/loopctl"
)

func benchCommand() *cobra.Command {
	var loops, concurrency, prompts, tokens, policy string
	plan := measure.Plan{Least: measure.LeastTime, Most: measure.MostTime}
	var to benchOutputs
	var on benchTarget
	cmd := &cobra.Command{
		Use:   "bench [bundle]",
		Short: "Latency against loops: a sweep, and the line latency = a + b·loops",
		Long: `Bench sweeps loops × concurrency × prompt length × new tokens and prints times to the first token (TTFT), per token
(TPOT), end to end (e2e), throughput, and the straight line through latency against loops. It runs a bundle in this
process, without HTTP; or with --url asks any server that speaks OpenAI's completions; or with --random makes a model
of any size first. docs/benchmarks.md has the definitions.`,
		Example: `  loopserve bench models/adder --loops 1,2,4,8
  loopserve bench --random hidden=1024,layers=4,heads=16,ffn=2816,vocab=32000,weights=int4 --concurrency 1,4,8
  loopserve bench --url http://127.0.0.1:8000 --model qwen --loops 0 --extra '{"cache_prompt":false}'
  loopserve bench models/adder --benchstat new.txt --svg new && benchstat old.txt new.txt`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			for _, l := range []struct {
				to         *[]int
				flag, text string
				least      int
			}{
				{&plan.Loops, "loops", loops, 0},
				{&plan.Concurrency, "concurrency", concurrency, 1},
				{&plan.PromptTokens, "prompt-tokens", prompts, 1},
				{&plan.MaxTokens, "max-tokens", tokens, 1},
			} {
				if *l.to, err = numbers(l.flag, l.text, l.least); err != nil {
					return err
				}
			}
			if policy != "" {
				if plan.Exit.Kind, err = policyNamed(policy); err != nil {
					return err
				}
			}
			if err := plan.Check(); err != nil {
				return &usageError{err}
			}
			closer, err := on.open(cmd, args)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, closer()) }()
			c, stop := on.start(loopctl.ScheduleDepth)
			defer func() { err = errors.Join(err, stop()) }()
			plan.Vocab = on.vocab
			bar := newBar(cmd.ErrOrStderr(), "measuring")
			plan.Progress = func(done, total int, now measure.Shape) {
				bar.step(done, total, fmt.Sprintf("loops %d, %d clients", now.Loops, now.Concurrency))
			}
			r, err := measure.Sweep(cmd.Context(), c, plan)
			bar.end()
			if err != nil {
				return err
			}
			r.Model, r.Target = on.name, on.where
			table := tableTo(cmd, to.json, to.csv, to.benchstat)
			fmt.Fprintf(table, "%s\n\n", on.title)
			return errors.Join(r.WriteTable(table), to.write(cmd.OutOrStdout(), r))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&loops, "loops", "1,2,4,8", "loop counts; 0: the server's default, for servers without loops")
	flags.StringVar(&concurrency, "concurrency", "1", "numbers of clients that send at the same time")
	flags.StringVar(&prompts, "prompt-tokens", "16", "lengths of prompts")
	flags.StringVar(&tokens, "max-tokens", "16", "lengths of answers: end-of-sequence is ignored")
	flags.IntVar(&plan.Runs, "runs", 5, "measured runs of each point, at least: short points get more until their interval is narrow")
	flags.IntVar(&plan.WarmUp, "warmup", 1, "unmeasured runs before the measured ones")
	flags.Uint64Var(&plan.Seed, "seed", 1, "seed of the prompts")
	flags.StringVar(&policy, "exit-policy", "", "exit policy of every request, loops being the cap")
	flags.Float64Var(&plan.Exit.Threshold, "exit-threshold", 0, "threshold of the exit policy; 0: the policy's default")
	flags.IntVar(&plan.Draft, "draft", 0, "loops of drafts in every request, below each of --loops; 0: none")
	on.flags(flags)
	to.flags(flags)
	cmd.AddCommand(benchMixedCommand())
	return cmd
}

// numbers reads 1,2,4,8.
func numbers(flag, text string, least int) ([]int, error) {
	var out []int
	for _, s := range strings.Split(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || n < least {
			return nil, usagef("--%s is %q: must be integers from %d, like 1,2,4,8", flag, text, least)
		}
		out = append(out, n)
	}
	return out, nil
}

// bar is a progress bar on a terminal, and nothing elsewhere.
type bar struct{ b *progressbar.ProgressBar }

func newBar(w io.Writer, what string) bar {
	return bar{progressbar.NewOptions(-1, progressbar.OptionSetWriter(w), progressbar.OptionClearOnFinish(),
		progressbar.OptionSetDescription(what), progressbar.OptionThrottle(200*time.Millisecond), progressbar.OptionSetVisibility(isTerminal(os.Stderr)))}
}

// A bar that cannot be drawn fails nothing.
func (b bar) step(done, total int, what string) {
	b.b.ChangeMax(total)
	b.b.Describe(what)
	_ = b.b.Set(done)
}

func (b bar) end() { _ = b.b.Finish() }

// benchOutputs are the files that a sweep may write.
type benchOutputs struct{ json, csv, benchstat, svg string }

func (o *benchOutputs) flags(flags *pflag.FlagSet) {
	flags.StringVar(&o.json, "json", "", "file for the result as JSON; - is standard output")
	flags.StringVar(&o.csv, "csv", "", "file for a line per point; - is standard output")
	flags.StringVar(&o.benchstat, "benchstat", "", "file for Go-benchmark lines, one per run; - is standard output")
	flags.StringVar(&o.svg, "svg", "", "prefix of two plots: PREFIX-latency.svg and PREFIX-throughput.svg")
}

func (o *benchOutputs) write(stdout io.Writer, r *measure.SweepResult) error {
	for _, f := range []struct {
		name  string
		write func(io.Writer) error
	}{{o.json, func(w io.Writer) error { return measure.WriteJSON(w, r) }}, {o.csv, r.WriteCSV}, {o.benchstat, r.WriteBenchstat}} {
		if err := writeTo(stdout, f.name, f.write); err != nil {
			return err
		}
	}
	if o.svg == "" {
		return nil
	}
	return errors.Join(writeBytes(o.svg+"-latency.svg", r.LatencyPlot()), writeBytes(o.svg+"-throughput.svg", r.ThroughputPlot()))
}

// tableTo is where the table for people goes: to standard output, or beside it where one of the files for programs is -.
func tableTo(cmd *cobra.Command, files ...string) io.Writer {
	if slices.Contains(files, "-") {
		return cmd.ErrOrStderr()
	}
	return cmd.OutOrStdout()
}

// writeTo writes a file; name may be empty for none, and - for standard output.
func writeTo(stdout io.Writer, name string, write func(io.Writer) error) error {
	switch name {
	case "":
		return nil
	case "-":
		return write(stdout)
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

func writeJSON(cmd *cobra.Command, name string, result any) error {
	return writeTo(cmd.OutOrStdout(), name, func(w io.Writer) error { return measure.WriteJSON(w, result) })
}

func writeBytes(name string, data []byte) error { return os.WriteFile(name, data, 0o644) }
