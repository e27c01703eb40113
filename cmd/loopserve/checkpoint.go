package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/loopserve/loopserve/configs"
	"github.com/loopserve/loopserve/internal/hub"
	"github.com/loopserve/loopserve/internal/store"
	"github.com/loopserve/loopserve/models/export"
	"github.com/loopserve/loopserve/tokenizer"
)

// ofCheckpoints are the settings that say what becomes of checkpoints among the models.
func ofCheckpoints(name string) bool {
	return slices.Contains([]string{"cache", "weights", "embedding", "head", "dtype", "ignore_config"}, name)
}

// bundles puts the bundles of checkpoints among the models of a configuration in their places, made now if need be.
func bundles(ctx context.Context, cfg *configs.Config, w io.Writer, say func(string)) error {
	if !slices.ContainsFunc(cfg.Models, store.IsCheckpoint) {
		for name, value := range map[string]string{
			"weights": cfg.Weights, "embedding": cfg.Embedding, "head": cfg.Head, "dtype": cfg.DType, "ignore_config": strings.Join(cfg.IgnoreConfig, ","),
		} {
			if value != "" {
				return usagef("%s is %q: it applies to checkpoints, but models (%s) has only bundles, which are exported already", name, value, strings.Join(cfg.Models, ", "))
			}
		}
		return nil
	}
	h, done, err := newHub(w, say)
	if err != nil {
		return err
	}
	defer done()
	s := store.Store{Dir: store.Folder(cfg.Cache, os.Getenv), Hub: h, Say: say}
	opt := export.Options{
		DType: cfg.DType, Weights: cfg.Weights, Embedding: cfg.Embedding, Head: cfg.Head, IgnoreConfig: cfg.IgnoreConfig,
		Exporter: exporter(), Check: servable,
	}
	models := slices.Clone(cfg.Models)
	for i, name := range models {
		if !store.IsCheckpoint(name) {
			continue
		}
		bar := newBar(w, "exporting")
		opt.Progress = exportProgress(bar, say)
		models[i], err = s.Bundle(ctx, name, opt)
		bar.end()
		if err != nil {
			return err
		}
	}
	cfg.Models = models
	return nil
}

func exporter() string { return "loopserve " + versionText() }

// servable refuses a checkpoint that no server could read texts with.
func servable(checkpoint fs.FS) error {
	_, err := tokenizer.Open(checkpoint, tokenizer.Native)
	return err
}

// newHub is the hub of the environment, with a progress bar on w. done ends the bar.
func newHub(w io.Writer, say func(string)) (h *hub.Hub, done func(), err error) {
	h, err = hub.FromEnvironment(os.Getenv)
	if err != nil {
		return nil, nil, &usageError{err}
	}
	bar := newBar(w, "downloading")
	tell := meter(bar, say)
	h.Say = say
	h.Progress = func(p hub.Progress) {
		if p.Done == p.Total { // there may be more to come, and a bar that has ended cannot go on
			return
		}
		tell("downloading "+p.File, p.Done, p.Total, fmt.Sprintf("%.1f of %.1f MB", float64(p.Done)/1e6, float64(p.Total)/1e6))
	}
	return h, bar.end, nil
}

// fetched brings a checkpoint of the hub here, or what is wanted of it; a folder is here already. origin is its name with the commit.
func fetched(ctx context.Context, w io.Writer, name string, want hub.Want) (at, origin string, err error) {
	h, done, err := newHub(w, sayTo(w))
	if err != nil {
		return "", "", err
	}
	defer done()
	return store.Checkpoint(ctx, h, name, want)
}

// ofTokenizer wants the files that a tokenizer is read from.
func ofTokenizer(_ string, names []string) ([]string, error) {
	if names == nil {
		return []string{"tokenizer.json", "tokenizer_config.json"}, nil
	}
	out := slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return !slices.Contains(tokenizer.Files, name)
	})
	if !slices.Contains(out, "tokenizer.json") {
		return nil, errors.New("it has no tokenizer.json")
	}
	return out, nil
}

func sayTo(w io.Writer) func(string) { return func(text string) { fmt.Fprintln(w, text) } }

// meter shows how far something is: a bar on a terminal, elsewhere a line every five seconds. What is short says nothing.
func meter(b bar, say func(string)) func(what string, done, total int64, detail string) {
	const every = 5 * time.Second
	next := time.Now().Add(every)
	return func(what string, done, total int64, detail string) {
		b.step(int(done), int(total), what+", "+detail)
		if now := time.Now(); !b.terminal && now.After(next) {
			say(fmt.Sprintf("%s: %3.0f %%, %s", what, 100*float64(done)/float64(max(total, 1)), detail))
			next = now.Add(every)
		}
	}
}

// exportProgress shows how far an export is.
func exportProgress(b bar, say func(string)) func(export.Progress) {
	tell := meter(b, say)
	return func(p export.Progress) {
		detail := fmt.Sprintf("%d MB", p.Written/1e6)
		if p.Tensor != "" {
			detail += ", " + p.Tensor
		}
		tell(p.Doing, p.Done, p.Total, detail)
	}
}
