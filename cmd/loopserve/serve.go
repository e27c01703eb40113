package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/loopserve/loopserve/configs"
	"github.com/loopserve/loopserve/internal/serving"
)

func serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve bundles over HTTP",
		Example: `  loopserve serve --models models
  loopserve serve --models ./ouro-1.4b --listen 0.0.0.0:8080 --api-key-file keys.txt
  curl 127.0.0.1:8080/v1/completions -d '{"model":"adder","prompt":"123+456+789=","max_tokens":8,"temperature":0,"loops":8}'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd.Flags())
			if err != nil {
				return err
			}
			log := newLogger(cmd.ErrOrStderr(), cfg)
			p, err := serving.Load(cfg, versionText(), log)
			if err != nil {
				return err
			}
			l, err := net.Listen("tcp", cfg.Listen)
			if err != nil {
				return errors.Join(fmt.Errorf("listen is %q: %w: is another server running there?", cfg.Listen, err), p.Close())
			}
			return p.Run(cmd.Context(), l)
		},
	}
	addConfigFlags(cmd.Flags())
	return cmd
}

func configCommand() *cobra.Command {
	var defaults bool
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Print the effective configuration: flags over environment over file over defaults",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if defaults {
				_, err := fmt.Fprint(cmd.OutOrStdout(), configs.DefaultYAML())
				return err
			}
			cfg, err := loadConfig(cmd.Flags())
			if err != nil {
				return err
			}
			text, err := cfg.YAML()
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), text)
			return err
		},
	}
	cmd.Flags().BoolVar(&defaults, "default", false, "print the annotated defaults instead")
	addConfigFlags(cmd.Flags())
	return cmd
}

// addConfigFlags makes a flag of every setting. Their values go through configs.Load, which knows the types.
func addConfigFlags(flags *pflag.FlagSet) {
	flags.String("config", "", "YAML file with settings")
	for _, f := range configs.Fields() {
		flags.String(f.Flag, f.Default, f.Usage)
		if f.Bool {
			flags.Lookup(f.Flag).NoOptDefVal = "true"
		}
	}
}

func loadConfig(flags *pflag.FlagSet) (*configs.Config, error) {
	given := map[string]string{}
	for _, f := range configs.Fields() {
		if flag := flags.Lookup(f.Flag); flag != nil && flag.Changed {
			given[f.Name] = flag.Value.String()
		}
	}
	file, err := flags.GetString("config")
	if err != nil {
		return nil, err
	}
	return configs.Load(configs.Sources{File: file, Env: os.LookupEnv, Flags: given})
}

func newLogger(w io.Writer, cfg *configs.Config) *slog.Logger {
	level := map[string]slog.Level{"debug": slog.LevelDebug, "warn": slog.LevelWarn, "error": slog.LevelError}[cfg.LogLevel]
	opt := &slog.HandlerOptions{Level: level}
	if cfg.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, opt))
	}
	return slog.New(slog.NewTextHandler(w, opt))
}
