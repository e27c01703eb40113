package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/loopserve/loopserve/internal/bench"
	"github.com/loopserve/loopserve/internal/bench/benchlocal"
	"github.com/loopserve/loopserve/internal/measure/random"
	"github.com/loopserve/loopserve/loopctl"
)

// benchTarget says what is measured: a URL, a bundle, or a model made for the purpose.
type benchTarget struct {
	url, model, extra, random string
	vocab                     int

	name, where, title string // known once it is open
	local              *benchlocal.Engine
}

func (b *benchTarget) flags(flags *pflag.FlagSet) {
	flags.StringVar(&b.url, "url", "", "OpenAI-compatible server to ask instead of a bundle; its key is in LOOPSERVE_API_KEY")
	flags.StringVar(&b.model, "model", "", "with --url: the model (default: the server's first)")
	flags.StringVar(&b.extra, "extra", "", "with --url: JSON object with fields for each request's body")
	flags.IntVar(&b.vocab, "vocab", 0, "with --url: prompts' token ids are below it (default: what the server says, else 1000)")
	flags.StringVar(&b.random, "random", "", "make a model of random weights: hidden=1024,layers=4,heads=16,ffn=2816,vocab=32000,weights=int4; keys: "+random.Keys)
	addConfigFlags(flags, ofEngine)
}

// open makes the target ready. The function closes it.
func (b *benchTarget) open(cmd *cobra.Command, args []string) (bench.Target, func() error, error) {
	if b.url != "" {
		if len(args) > 0 || b.random != "" {
			return nil, nil, usagef("--url with a bundle or --random: give one of them")
		}
		t, err := openHTTP(cmd.Context(), b.url, b.model, b.extra, b.vocab)
		if err != nil {
			return nil, nil, err
		}
		b.name, b.where, b.title = t.Model, b.url, t.Model+" at "+b.url
		return t, func() error { return nil }, nil
	}
	closer, err := b.load(cmd, args)
	if err != nil {
		return nil, nil, err
	}
	t, stop := b.local.Start(loopctl.ScheduleDepth)
	return t, func() error { return errors.Join(stop(), closer()) }, nil
}

// load opens a bundle in this process, after making it where --random says so.
func (b *benchTarget) load(cmd *cobra.Command, args []string) (closer func() error, err error) {
	cfg, _, err := loadConfig(cmd.Flags(), ofEngine)
	if err != nil {
		return nil, err
	}
	dir, clean := "", func() error { return nil }
	switch {
	case b.random != "" && len(args) > 0:
		return nil, usagef("--random with a bundle: give one of them")
	case b.random != "":
		r, err := random.Parse(b.random)
		if err != nil {
			return nil, &usageError{err}
		}
		temp, err := os.MkdirTemp("", "loopserve-bench-")
		if err != nil {
			return nil, err
		}
		clean = func() error { return os.RemoveAll(temp) }
		fmt.Fprintln(cmd.ErrOrStderr(), "making a random model …")
		if dir, err = r.Make(cmd.Context(), temp); err != nil {
			return nil, errors.Join(err, clean())
		}
	case len(args) == 1:
		dir = args[0]
	default:
		return nil, usagef("nothing to measure: name a bundle, or give --url or --random")
	}
	if b.local, err = benchlocal.Open(cfg, dir); err != nil {
		return nil, errors.Join(err, clean())
	}
	b.name, b.where, b.title = b.local.Manifest.Name, "in-process", b.local.Describe()
	return func() error { return errors.Join(b.local.Close(), clean()) }, nil
}
