package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/loopserve/loopserve/configs"
	"github.com/loopserve/loopserve/internal/app"
	"github.com/loopserve/loopserve/internal/measure"
	"github.com/loopserve/loopserve/internal/measure/random"
	"github.com/loopserve/loopserve/loopctl"
)

// benchTarget says what is measured: a URL, a bundle, or a model made for the purpose.
type benchTarget struct {
	url, model, extra, random string
	vocab                     int // that prompts are drawn from; known once it is open, as what follows

	name, where, title string
	http               *measure.HTTP // one of the two
	engine             *app.Engine
	free               []func() error
}

func (b *benchTarget) flags(flags *pflag.FlagSet) {
	flags.StringVar(&b.url, "url", "", "OpenAI-compatible server to ask instead of a bundle; its key is in LOOPSERVE_API_KEY")
	flags.StringVar(&b.model, "model", "", "with --url: the model (default: the server's first)")
	flags.StringVar(&b.extra, "extra", "", "with --url: JSON object with fields for each request's body")
	flags.IntVar(&b.vocab, "vocab", 0, "with --url: upper bound of the prompts' token ids (default: what the server says, else 1000)")
	flags.StringVar(&b.random, "random", "", "make a model of random weights: hidden=1024,layers=4,heads=16,ffn=2816,vocab=32000,weights=int4; keys: "+random.Keys)
	addConfigFlags(flags, ofEngine)
}

// close frees what open opened, also where it failed.
func (b *benchTarget) close() (err error) {
	for _, free := range slices.Backward(b.free) {
		err = errors.Join(err, free())
	}
	return err
}

// open makes the target ready.
func (b *benchTarget) open(cmd *cobra.Command, args []string) error {
	switch {
	case b.url != "" && (len(args) > 0 || b.random != ""):
		return usagef("--url with a bundle or --random: give one of them")
	case b.random != "" && len(args) > 0:
		return usagef("--random with a bundle: give one of them")
	case b.url != "":
		return b.openURL(cmd)
	case b.random != "":
		dir, err := b.makeRandom(cmd)
		if err != nil {
			return err
		}
		return b.openBundle(cmd, dir)
	case len(args) == 1:
		return b.openBundle(cmd, args[0])
	}
	return usagef("nothing to measure: name a bundle, or give --url or --random")
}

// askedOften is a server that is asked by many clients at one time.
func askedOften(url string) *measure.HTTP {
	return &measure.HTTP{URL: url, Key: os.Getenv("LOOPSERVE_API_KEY"), Client: measure.ManyConnections}
}

// asked is the server at url, or where that is empty one in this process, of which models is then the folder. stop must be called.
func asked(cmd *cobra.Command, url string, models *string) (server *measure.HTTP, stop func() error, err error) {
	if url != "" {
		return askedOften(url), func() error { return nil }, nil
	}
	cfg, _, err := loadConfig(cmd.Flags(), ofEngine)
	if err != nil {
		return nil, nil, err
	}
	cfg.Models = []string{*models}
	c, stop, err := inside(cmd, cfg)
	if err != nil {
		return nil, nil, err
	}
	*models = cfg.Models[0]
	return &c, stop, nil
}

func (b *benchTarget) openURL(cmd *cobra.Command) error {
	b.http = askedOften(b.url)
	b.http.Model, b.http.Vocab = b.model, b.vocab
	if b.extra != "" {
		if err := json.Unmarshal([]byte(b.extra), &b.http.Extra); err != nil {
			return usagef("--extra is %q: must be a JSON object, like {\"cache_prompt\":false}: %w", b.extra, err)
		}
	}
	if err := b.http.Discover(cmd.Context()); err != nil {
		return err
	}
	b.http.Drafts = cmd.Flags().Changed("draft") || b.http.Loops(cmd.Context())
	b.vocab, b.name, b.where = b.http.Vocab, b.http.Model, b.url
	b.title = b.name + " at " + b.url
	return nil
}

// makeRandom makes a bundle of random weights.
func (b *benchTarget) makeRandom(cmd *cobra.Command) (dir string, err error) {
	m, err := random.Parse(b.random)
	if err != nil {
		return "", &usageError{err}
	}
	temp, err := os.MkdirTemp("", "loopserve-bench-")
	if err != nil {
		return "", err
	}
	b.free = append(b.free, func() error { return os.RemoveAll(temp) })
	fmt.Fprintln(cmd.ErrOrStderr(), "making a random model …")
	return m.Make(cmd.Context(), temp)
}

func (b *benchTarget) openBundle(cmd *cobra.Command, dir string) error {
	cfg, _, err := loadConfig(cmd.Flags(), ofEngine)
	if err != nil {
		return err
	}
	return b.openConfigured(cmd, dir, cfg)
}

// openFromEnvironment opens a bundle with the settings of the environment: flags of the same names say to inspect what it shows.
func (b *benchTarget) openFromEnvironment(cmd *cobra.Command, dir string) error {
	settings := pflag.NewFlagSet("", pflag.ContinueOnError)
	addConfigFlags(settings, ofEngine)
	cfg, _, err := loadConfig(settings, ofEngine)
	if err != nil {
		return err
	}
	return b.openConfigured(cmd, dir, cfg)
}

func (b *benchTarget) openConfigured(cmd *cobra.Command, dir string, cfg *configs.Config) (err error) {
	cfg.Models = []string{dir}
	if err := bundles(cmd.Context(), cfg, cmd.ErrOrStderr(), sayTo(cmd.ErrOrStderr())); err != nil {
		return err
	}
	if b.engine, err = app.OpenEngine(cfg, cfg.Models[0]); err != nil {
		return err
	}
	b.free = append(b.free, b.engine.Close)
	m := b.engine.Manifest
	b.vocab, b.name, b.where, b.title = m.VocabSize, m.Name, "in-process", b.engine.Describe()
	return nil
}

// start is a fresh client of the target; in this process one at a time. stop ends it.
func (b *benchTarget) start(s loopctl.Scheduling) (c measure.Client, stop func() error) {
	if b.http != nil {
		return b.http, func() error { return nil }
	}
	return b.engine.Start(s)
}
