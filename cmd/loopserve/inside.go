package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/loopserve/loopserve/configs"
	"github.com/loopserve/loopserve/internal/app"
	"github.com/loopserve/loopserve/internal/measure"
)

// inside serves the configuration's models in this process, which no port leads to, and nobody but the command: no keys are
// asked for. stop ends it.
func inside(cmd *cobra.Command, cfg *configs.Config) (c measure.HTTP, stop func() error, err error) {
	if cfg.Verify == "lazy" { // for one command's life: hashing would take time from what it measures
		cfg.Verify = "off"
	}
	cfg.Listen, cfg.AdminListen, cfg.APIKeys, cfg.APIKeyFile, cfg.ServedModelName = "127.0.0.1:0", "", nil, "", nil
	if err := bundles(cmd.Context(), cfg, cmd.ErrOrStderr(), sayTo(cmd.ErrOrStderr())); err != nil {
		return c, nil, err
	}
	a, err := app.Load(cfg, versionText(), newLogger(cmd.ErrOrStderr(), &configs.Config{LogLevel: "error"}))
	if err != nil {
		return c, nil, err
	}
	inProcess, stop := a.Inside(context.WithoutCancel(cmd.Context())) // an interrupt ends the request, then stop the models
	return measure.HTTP{URL: "http://localhost", Client: inProcess}, stop, nil
}
