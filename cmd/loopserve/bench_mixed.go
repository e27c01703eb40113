package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/loopserve/loopserve/internal/measure"
	"github.com/loopserve/loopserve/loopctl"
)

func benchMixedCommand() *cobra.Command {
	var classes, schedulings, file string
	var mix measure.Mix
	var on benchTarget
	cmd := &cobra.Command{
		Use:   "mixed [bundle]",
		Short: "Mixed loads of several loop counts on one engine, by scheduling",
		Long: `Mixed runs clients with different loops at the same time and reports the time per token of each class, beside its time
when all clients use its loops. It does so for each scheduling in turn: with depth, rows at all depths share calls; with lockstep
(static batching by depth) a batch waits for its row of the most loops. With --url there is one scheduling, the server's.`,
		Example: `  loopserve bench mixed --random hidden=1024,weights=int4 --classes 8x2,8x16
  loopserve bench mixed models/adder --classes 12x1,4x8 --scheduling depth,lockstep --json mixed.json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if mix.Classes, err = readClasses(classes); err != nil {
				return err
			}
			if err := mix.Check(); err != nil {
				return &usageError{err}
			}
			ways, err := on.schedulings(schedulings)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, on.close()) }()
			if err := on.open(cmd, args); err != nil {
				return err
			}
			mix.Vocab = on.vocab
			bar := newBar(cmd.ErrOrStderr(), "measuring")
			mix.Progress = bar.step
			r, err := measure.Mixed(cmd.Context(), ways, mix)
			bar.end()
			if err != nil {
				return err
			}
			r.Model, r.Target = on.name, on.where
			return report(cmd, on.title, r, map[string]string{measure.JSON: file})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&classes, "classes", "8x2,8x16", "clients x loops of each class")
	flags.StringVar(&schedulings, "scheduling", "depth,lockstep", "schedulings to compare; throughput is relative to the last one")
	flags.IntVar(&mix.PromptTokens, "prompt-tokens", 8, "length of prompts")
	flags.IntVar(&mix.MaxTokens, "max-tokens", 48, "length of answers: end-of-sequence is ignored")
	flags.IntVar(&mix.Requests, "requests", 2, "minimum requests per client in each phase")
	flags.IntVar(&mix.Rounds, "rounds", 2, "runs of every phase")
	flags.Uint64Var(&mix.Seed, "seed", 1, "seed of the prompts and of the order")
	flags.StringVar(&file, "json", "", "file for the result as JSON; - is standard output")
	on.flags(flags)
	return cmd
}

// readClasses reads 8x2,8x16: clients x loops.
func readClasses(text string) (out []measure.Class, err error) {
	for s := range strings.SplitSeq(text, ",") {
		var c measure.Class
		_, err := fmt.Sscanf(s, "%dx%d", &c.Clients, &c.Loops)
		switch {
		case err != nil || c.Clients < 1 || c.Loops < 1 || fmt.Sprintf("%dx%d", c.Clients, c.Loops) != strings.TrimSpace(s):
			return nil, usagef("--classes is %q: must be clients x loops, like 8x2,8x16", text)
		case slices.ContainsFunc(out, func(o measure.Class) bool { return o.Loops == c.Loops }):
			return nil, usagef("--classes is %q: %d loops appear twice", text, c.Loops)
		}
		out = append(out, c)
	}
	return out, nil
}

// schedulings are the ways to schedule that the target, once it is open, is measured with: a server at a URL has its own.
func (b *benchTarget) schedulings(names string) (out []measure.Scheduling, err error) {
	if b.url != "" {
		return []measure.Scheduling{{Name: "the server's", Start: func() (measure.Client, func() error) { return b.start(0) }}}, nil
	}
	kinds := map[string]loopctl.Scheduling{"depth": loopctl.ScheduleDepth, "lockstep": loopctl.ScheduleLockstep}
	for name := range strings.SplitSeq(names, ",") {
		kind, ok := kinds[strings.TrimSpace(name)]
		if !ok {
			return nil, usagef("--scheduling is %q: use depth, lockstep or both, separated by commas", names)
		}
		out = append(out, measure.Scheduling{Name: kind.String(), Start: func() (measure.Client, func() error) { return b.start(kind) }})
	}
	return out, nil
}
