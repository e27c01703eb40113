package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/loopserve/loopserve/configs"
	"github.com/loopserve/loopserve/internal/evaluate"
	"github.com/loopserve/loopserve/internal/serving"
)

func evalCommand() *cobra.Command {
	var url, problems, loops, models string
	opt := evaluate.Options{Key: os.Getenv("LOOPSERVE_API_KEY")}
	cmd := &cobra.Command{
		Use:   "eval",
		Short: "Accuracy and latency against loops, through the HTTP API",
		Long: `Eval asks the problems of a JSONL file ({"prompt", "answer", "group"} on each line) at several loop counts and
prints a table: exact answers, by group, and milliseconds per token of a request alone. Without --url it serves the
bundles of --models itself, on a port of its own; without --problems it takes eval.jsonl of the model's bundle.`,
		Example: `  loopserve eval --models models --model adder
  loopserve eval --url http://127.0.0.1:8080 --model adder --problems mine.jsonl --loops 1,4,8`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			for _, s := range strings.Split(loops, ",") {
				n, err := strconv.Atoi(strings.TrimSpace(s))
				if err != nil || n < 1 {
					return fmt.Errorf("--loops is %q: must be whole numbers from 1, like 1,2,4,8", loops)
				}
				opt.Loops = append(opt.Loops, n)
			}
			if problems == "" {
				problems = filepath.Join(models, opt.Model, "eval.jsonl")
			}
			f, err := os.Open(problems)
			if err != nil {
				return fmt.Errorf("problems: %w: give --problems", err)
			}
			defer f.Close()
			list, err := evaluate.ReadProblems(f)
			if err != nil {
				return fmt.Errorf("%s: %w", problems, err)
			}
			opt.URL = url
			if url == "" {
				stop, own, err := serveLocally(cmd.Context(), models)
				if err != nil {
					return err
				}
				defer func() { err = errors.Join(err, stop()) }()
				opt.URL = own
			}
			bar := progressbar.NewOptions(-1, progressbar.OptionSetWriter(cmd.ErrOrStderr()), progressbar.OptionClearOnFinish(),
				progressbar.OptionSetDescription("asking"), progressbar.OptionThrottle(200*time.Millisecond), progressbar.OptionSetVisibility(isTerminal(os.Stderr)))
			opt.Progress = func(done, total int) { bar.ChangeMax(total); _ = bar.Set(done) } // a bar that cannot be drawn is no failure
			points, err := evaluate.Run(cmd.Context(), opt, list)
			_ = bar.Finish()
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s, %d problems of %s\n\n", opt.Model, len(list), problems)
			return evaluate.WriteTable(cmd.OutOrStdout(), points)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&url, "url", "", "server to ask; empty: serve --models in this process")
	flags.StringVar(&models, "models", "models", "folder of bundles")
	flags.StringVar(&opt.Model, "model", "adder", "model to ask")
	flags.StringVar(&problems, "problems", "", "JSONL file (default: eval.jsonl of the model's bundle)")
	flags.StringVar(&loops, "loops", "1,2,3,4,6,8,12,16", "loop counts")
	flags.IntVar(&opt.Concurrency, "concurrency", 16, "requests at one time while counting answers")
	flags.IntVar(&opt.Timed, "timed", 50, "requests asked one after another for the latency column")
	flags.IntVar(&opt.MaxTokens, "max-tokens", 0, "of an answer; 0: the longest answer's bytes + 4")
	return cmd
}

// serveLocally serves the bundles on a loopback port until stop is called.
func serveLocally(ctx context.Context, models string) (stop func() error, url string, err error) {
	cfg, err := configs.Load(configs.Sources{Flags: map[string]string{"models": models, "listen": "127.0.0.1:0"}})
	if err != nil {
		return nil, "", err
	}
	p, err := serving.Load(cfg, versionText(), slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, "", err
	}
	l, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, "", errors.Join(err, p.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx, l) }()
	return func() error { cancel(); return <-done }, "http://" + l.Addr().String(), nil
}
