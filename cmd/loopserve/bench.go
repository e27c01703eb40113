package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/loopserve/loopserve/internal/measure"
	"github.com/loopserve/loopserve/loopctl"
)

func benchCommand() *cobra.Command {
	var json, csv, benchstat, svg string
	plan := measure.Plan{Least: measure.LeastTime, Most: measure.MostTime}
	var on benchTarget
	cmd := &cobra.Command{
		Use:   "bench [bundle]",
		Short: "Latency by loops: a sweep, and the fit latency = a + b·loops",
		Long: `Bench sweeps loops × concurrency × prompt length × new tokens and prints time to first token (TTFT), time per output token
(TPOT), end-to-end latency (e2e), throughput, and a linear fit of latency by loops. It runs a bundle in this process, without
HTTP; with --url it measures any server with OpenAI's completions; with --random it makes a model of any size first.
docs/benchmarks.md has the definitions.`,
		Example: `  loopserve bench models/adder --loops 1,2,4,8
  loopserve bench --random hidden=1024,layers=4,heads=16,ffn=2816,vocab=32000,weights=int4 --concurrency 1,4,8
  loopserve bench --url http://127.0.0.1:8000 --model qwen --loops 0 --extra '{"cache_prompt":false}'
  loopserve bench models/adder --benchstat new.txt --svg new && benchstat old.txt new.txt`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if err := plan.Check(); err != nil {
				return &usageError{err}
			}
			defer func() { err = errors.Join(err, on.close()) }()
			if err := on.open(cmd, args); err != nil {
				return err
			}
			c, stop := on.start(loopctl.ScheduleDepth)
			defer func() { err = errors.Join(err, stop()) }()
			bar := newBar(cmd.ErrOrStderr(), "measuring")
			plan.Vocab, plan.Progress = on.vocab, func(done, total int, now measure.Shape) {
				bar.step(done, total, fmt.Sprintf("loops %d, %d clients", now.Loops, now.Concurrency))
			}
			r, err := measure.Sweep(cmd.Context(), c, plan)
			bar.end()
			if err != nil {
				return err
			}
			r.Model, r.Target = on.name, on.where
			files := map[string]string{measure.JSON: json, measure.CSV: csv, measure.Benchstat: benchstat}
			if svg != "" {
				files[measure.Latency], files[measure.Throughput] = svg+"-latency.svg", svg+"-throughput.svg"
			}
			return report(cmd, on.title, r, files)
		},
	}
	flags := cmd.Flags()
	flags.IntSliceVar(&plan.Loops, "loops", []int{1, 2, 4, 8}, "loop counts; 0: the server's default, for servers without loops")
	flags.IntSliceVar(&plan.Concurrency, "concurrency", []int{1}, "numbers of concurrent clients")
	flags.IntSliceVar(&plan.PromptTokens, "prompt-tokens", []int{16}, "lengths of prompts")
	flags.IntSliceVar(&plan.MaxTokens, "max-tokens", []int{16}, "lengths of answers: end-of-sequence is ignored")
	flags.IntVar(&plan.Runs, "runs", 5, "minimum measured runs per point; short points get more until their confidence interval is narrow")
	flags.IntVar(&plan.WarmUp, "warmup", 1, "unmeasured runs before the measured ones")
	flags.Uint64Var(&plan.Seed, "seed", 1, "seed of the prompts")
	flags.Func("exit-policy", "exit `policy` of every request, loops being the cap", func(name string) (err error) {
		plan.Exit.Kind, err = policyNamed(name)
		return err
	})
	flags.Float64Var(&plan.Exit.Threshold, "exit-threshold", 0, "threshold of the exit policy; 0: the policy's default")
	flags.Func("draft", "`loops` of draft tokens in every request, below each of --loops, or auto; 0: no drafts (default 0)", func(word string) (err error) {
		plan.Draft, err = draftNamed(word)
		return err
	})
	on.flags(flags)
	flags.StringVar(&json, "json", "", "file for the result as JSON; - is standard output")
	flags.StringVar(&csv, "csv", "", "file with one line per point, as CSV; - is standard output")
	flags.StringVar(&benchstat, "benchstat", "", "file with Go benchmark lines, one per run; - is standard output")
	flags.StringVar(&svg, "svg", "", "prefix for two plots: PREFIX-latency.svg and PREFIX-throughput.svg")
	cmd.AddCommand(benchMixedCommand())
	return cmd
}

// draftNamed reads the loops of drafts.
func draftNamed(word string) (int, error) {
	if word == "auto" {
		return loopctl.DraftAuto, nil
	}
	n, err := strconv.Atoi(word)
	if err != nil || n < 0 {
		return 0, errors.New("must be a number of loops, or auto")
	}
	return n, nil
}

// bar is a progress bar on a terminal, and nothing elsewhere.
type bar struct {
	b        *progressbar.ProgressBar
	terminal bool
}

func newBar(w io.Writer, what string) bar {
	terminal := isTerminal(os.Stderr)
	return bar{progressbar.NewOptions(-1, progressbar.OptionSetWriter(w), progressbar.OptionClearOnFinish(),
		progressbar.OptionSetDescription(what), progressbar.OptionThrottle(200*time.Millisecond), progressbar.OptionSetVisibility(terminal)), terminal}
}

// A bar that cannot be drawn fails nothing.
func (b bar) step(done, total int, what string) {
	b.b.ChangeMax(total)
	b.b.Describe(what)
	_ = b.b.Set(done)
}

func (b bar) end() { _ = b.b.Finish() }

// report writes a result as a table under a title, and in the files for programs, by format.
func report(cmd *cobra.Command, title string, result any, files map[string]string) error {
	table := tableTo(cmd, slices.Collect(maps.Values(files))...)
	fmt.Fprintf(table, "%s\n\n", title)
	err := writeTable(table, result)
	for _, format := range slices.Sorted(maps.Keys(files)) {
		err = errors.Join(err, writeResult(cmd, files[format], format, result))
	}
	return err
}

// tableTo is where the table for people goes: to standard output, or beside it where one of the files for programs is -.
func tableTo(cmd *cobra.Command, files ...string) io.Writer {
	if slices.Contains(files, "-") {
		return cmd.ErrOrStderr()
	}
	return cmd.OutOrStdout()
}

// writeTable writes a result for people: on a terminal in columns, elsewhere as it is, which for some is Markdown.
func writeTable(w io.Writer, result any) error {
	if !isTerminal(w) {
		return measure.Write(w, measure.Table, result)
	}
	var text strings.Builder
	if err := measure.Write(&text, measure.Table, result); err != nil {
		return err
	}
	_, err := io.WriteString(w, aligned(w, text.String()))
	return err
}

// writeResult writes a file; name may be empty for none, and - for standard output.
func writeResult(cmd *cobra.Command, name, format string, result any) error {
	switch name {
	case "":
		return nil
	case "-":
		return measure.Write(cmd.OutOrStdout(), format, result)
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(measure.Write(f, format, result), f.Close())
}

func writeBytes(name string, data []byte) error { return os.WriteFile(name, data, 0o644) }
