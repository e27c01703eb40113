package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/loopserve/loopserve/configs"
	"github.com/loopserve/loopserve/internal/app"
	"github.com/loopserve/loopserve/internal/store"
)

func serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:        "serve [model …]",
		SuggestFor: []string{"server", "start"},
		Short:      "Serve bundles and checkpoints over HTTP",
		Long: `Serve answers OpenAI's API for the named models, or those of --models, until SIGINT or SIGTERM; open requests may then finish.
A model is a bundle, a folder of bundles, or a checkpoint: a folder, a GGUF file or hf:ORG/NAME[@REVISION] on the Hugging Face hub, which
is fetched, exported with --weights and cached for the next start (loopserve list, loopserve rm).
The port is open while models load; /readyz is 503 until they have. A bundle that cannot be served is left out, unless --strict.
SIGHUP rereads bundles whose manifest has changed and adds new ones; streams continue.
Each flag is also a key of the file of --config, and an environment variable (--max-rows: LOOPSERVE_MAX_ROWS).`,
		Example: `  loopserve serve
  loopserve serve models/adder
  loopserve serve hf:ByteDance/Ouro-1.4B --weights int4
  loopserve serve ./ouro-1.4b --listen 0.0.0.0:8080 --api-key-file keys.txt
  loopserve serve --models big,small --model-memory 8GiB --preload small --admin-listen 127.0.0.1:8081
  curl 127.0.0.1:8080/v1/completions -d '{"model":"adder","prompt":"123+456+789=","max_tokens":8,"temperature":0,"loops":8}'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				if cmd.Flags().Changed("models") {
					return usagef("models are named both by --models and as %s: name them once", strings.Join(args, " "))
				}
				if err := cmd.Flags().Set("models", strings.Join(args, ",")); err != nil {
					return err
				}
			}
			cfg, _, err := loadConfig(cmd.Flags(), everySetting)
			if err != nil {
				return err
			}
			log := newLogger(cmd.ErrOrStderr(), cfg)
			defer app.EndWithin(cmd.Context(), cfg.DrainDelay+cfg.DrainTimeout, log, os.Exit)()
			l, err := app.Listen(cfg, cfg.Listen, cfg.MaxConnections) // before anything is loaded: it may be in use
			if err != nil {
				return fmt.Errorf("listen is %q: %w", cfg.Listen, err)
			}
			signal.Ignore(syscall.SIGHUP) // until there are models to read again
			stop := func() {}
			if slices.ContainsFunc(cfg.Models, store.IsCheckpoint) { // a start without fetching takes no time, and hands nothing over
				rest, end, err := app.Meanwhile(cfg, versionText(), log, l)
				if err != nil {
					return errors.Join(err, l.Close())
				}
				l, stop = rest, end
			}
			err = bundles(cmd.Context(), cfg, cmd.ErrOrStderr(), func(text string) { log.Info(text) })
			stop()
			if err != nil {
				if interrupted(cmd.Context(), err) { // a stop before models are there is a stop
					err = nil
				}
				return errors.Join(err, l.Close())
			}
			p, err := app.Open(cfg, versionText(), log)
			if err != nil {
				return errors.Join(err, l.Close())
			}
			defer onHangup(cmd.Context(), func(ctx context.Context) {
				if err := p.Rescan(ctx); err != nil {
					log.Error("reload after SIGHUP", "error", err)
				}
			})()
			return p.Run(cmd.Context(), l)
		},
	}
	addConfigFlags(cmd.Flags(), everySetting)
	return cmd
}

// onHangup calls f at each SIGHUP, one after another, until the function that it returns is called.
func onHangup(ctx context.Context, f func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	var calls sync.WaitGroup
	calls.Go(func() {
		for range hangups {
			if ctx.Err() == nil {
				f(ctx)
			}
		}
	})
	return func() {
		signal.Stop(hangups)
		cancel()
		close(hangups)
		calls.Wait()
	}
}

func newLogger(w io.Writer, cfg *configs.Config) *slog.Logger {
	level := map[string]slog.Level{"debug": slog.LevelDebug, "warn": slog.LevelWarn, "error": slog.LevelError}[cfg.LogLevel]
	opt := &slog.HandlerOptions{Level: level}
	if cfg.LogFormat == "json" {
		opt.ReplaceAttr = func(_ []string, a slog.Attr) slog.Attr { // slog would write nanoseconds and not say so
			if a.Value.Kind() == slog.KindDuration {
				return slog.Float64(a.Key+"_ms", milliseconds(a.Value.Duration()))
			}
			return a
		}
		return slog.New(slog.NewJSONHandler(w, opt))
	}
	return slog.New(slog.NewTextHandler(w, opt))
}
