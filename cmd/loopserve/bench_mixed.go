package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/loopserve/loopserve/internal/bench"
	"github.com/loopserve/loopserve/loopctl"
)

func benchMixedCommand() *cobra.Command {
	var classes, schedulings, file string
	var mix bench.Mix
	var on benchTarget
	cmd := &cobra.Command{
		Use:   "mixed [bundle]",
		Short: "Clients of several depths on one engine, with each way of scheduling beside the other",
		Long: `Mixed runs clients that ask for different depths at one time and reports the time per token of each class, beside
what the class takes when all clients are of its depth. It does so for each scheduling in turn: depth lets rows of all
depths share calls, lockstep lets a batch wait for its deepest row. Against --url there is one scheduling, the server's.`,
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
			list, closer, err := on.schedulings(cmd, args, schedulings)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, closer()) }()
			bar := newBar(cmd.ErrOrStderr(), "measuring")
			mix.Progress = bar.step
			r, err := bench.RunMix(cmd.Context(), list, mix)
			bar.end()
			if err != nil {
				return err
			}
			r.Model, r.Target = on.name, on.where
			table := tableTo(cmd, file)
			fmt.Fprintf(table, "%s\n\n", on.title)
			return errors.Join(r.WriteTable(table), writeTo(cmd.OutOrStdout(), file, r.WriteJSON))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&classes, "classes", "8x2,8x16", "clients x loops of each class")
	flags.StringVar(&schedulings, "scheduling", "depth,lockstep", "ways to schedule, in turn; the last one is what throughput is compared with")
	flags.IntVar(&mix.PromptTokens, "prompt-tokens", 8, "length of prompts")
	flags.IntVar(&mix.MaxTokens, "max-tokens", 48, "length of answers: end-of-sequence is ignored")
	flags.IntVar(&mix.Requests, "requests", 2, "that each client completes at least, in each phase")
	flags.IntVar(&mix.Rounds, "rounds", 2, "turns of everything")
	flags.Uint64Var(&mix.Seed, "seed", 1, "of prompts and of the order")
	flags.StringVar(&file, "json", "", "file for the result as JSON; - is standard output")
	on.flags(flags)
	return cmd
}

// readClasses reads 8x2,8x16: clients x loops.
func readClasses(text string) ([]bench.Class, error) {
	var out []bench.Class
	for _, s := range strings.Split(text, ",") {
		clients, loops, ok := strings.Cut(strings.TrimSpace(s), "x")
		n, err1 := strconv.Atoi(clients)
		l, err2 := strconv.Atoi(loops)
		if !ok || errors.Join(err1, err2) != nil || n < 1 || l < 1 {
			return nil, usagef("--classes is %q: must be clients x loops, like 8x2,8x16", text)
		}
		for _, c := range out {
			if c.Loops == l {
				return nil, usagef("--classes is %q: %d loops stand there twice", text, l)
			}
		}
		out = append(out, bench.Class{Loops: l, Clients: n})
	}
	return out, nil
}

// schedulings opens the target once for each way to schedule, when asked for.
func (b *benchTarget) schedulings(cmd *cobra.Command, args []string, names string) ([]bench.Scheduling, func() error, error) {
	if b.url != "" {
		t, closer, err := b.open(cmd, args)
		if err != nil {
			return nil, nil, err
		}
		return []bench.Scheduling{{Name: "the server's", Open: func() (bench.Target, func() error, error) {
			return t, func() error { return nil }, nil
		}}}, closer, nil
	}
	var kinds []loopctl.Scheduling
	for _, name := range strings.Split(names, ",") {
		switch strings.TrimSpace(name) {
		case loopctl.ScheduleDepth.String():
			kinds = append(kinds, loopctl.ScheduleDepth)
		case loopctl.ScheduleLockstep.String():
			kinds = append(kinds, loopctl.ScheduleLockstep)
		default:
			return nil, nil, usagef("--scheduling is %q: must be of depth and lockstep, with commas between", names)
		}
	}
	closer, err := b.load(cmd, args)
	if err != nil {
		return nil, nil, err
	}
	var out []bench.Scheduling
	for _, k := range kinds {
		out = append(out, bench.Scheduling{Name: k.String(), Open: func() (bench.Target, func() error, error) {
			t, stop := b.local.Start(k)
			return t, stop, nil
		}})
	}
	return out, closer, nil
}
