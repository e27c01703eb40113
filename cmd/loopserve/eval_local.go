package main

import (
	"context"
	"errors"
	"log/slog"
	"net"

	"github.com/spf13/cobra"

	"github.com/loopserve/loopserve/internal/app"
)

// serveLocally serves the bundles on a loopback port until stop is called, with the command's engine flags.
func serveLocally(cmd *cobra.Command, models string) (stop func() error, url string, err error) {
	cfg, _, err := loadConfig(cmd.Flags(), ofEngine)
	if err != nil {
		return nil, "", err
	}
	cfg.Models, cfg.Listen = []string{models}, "127.0.0.1:0"
	cfg.APIKeys, cfg.APIKeyFile, cfg.AdminListen = nil, "", "" // nobody else comes in there
	p, err := app.Load(cfg, versionText(), slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, "", err
	}
	l, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, "", errors.Join(err, p.Close())
	}
	ctx, cancel := context.WithCancel(cmd.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx, l) }()
	return func() error { cancel(); return <-done }, "http://" + l.Addr().String(), nil
}
