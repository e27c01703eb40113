package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func healthCommand() *cobra.Command {
	var url string
	var live bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Probe a server: exit code 0 if it is ready, else 1",
		Long: `Health asks /readyz of the server that listens where the configuration says (listen of --config, or LOOPSERVE_LISTEN),
or at --url, and exits with 0 if the answer is 200. With --live it asks /livez, which is 200 while models load, too.
The certificate is not checked, because the probe asks its own machine.`,
		Example: `  loopserve health
  loopserve health --url http://10.0.0.7:8080 --live`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			address := ""
			if url == "" {
				cfg, _, err := loadConfig(cmd.Flags(), onlyListen)
				if err != nil {
					return err
				}
				url, address = probeURL(cfg.Listen, cfg.TLSCert != "")
			}
			path := map[bool]string{false: "/readyz", true: "/livez"}[live]
			return probe(cmd.Context(), cmd.OutOrStdout(), strings.TrimSuffix(url, "/")+path, address, timeout)
		},
	}
	addConfigFlags(cmd.Flags(), onlyListen)
	cmd.Flags().StringVar(&url, "url", "", "the server's address; empty: from listen")
	cmd.Flags().BoolVar(&live, "live", false, "probe liveness instead of readiness")
	cmd.Flags().DurationVar(&timeout, "timeout", 3*time.Second, "maximum time to wait")
	return cmd
}

// probeURL is where a server that listens on an address is reached from its own machine; dial is a socket's path, or "".
func probeURL(listen string, secure bool) (url, dial string) {
	scheme := map[bool]string{false: "http://", true: "https://"}[secure]
	if path, ok := strings.CutPrefix(listen, "unix:"); ok {
		return scheme + "localhost", path
	}
	host, port, err := net.SplitHostPort(listen)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		listen = net.JoinHostPort("localhost", port)
	}
	return scheme + listen, ""
}

func probe(ctx context.Context, w io.Writer, url, socket string, timeout time.Duration) error {
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // its own machine, by an address that no certificate has
	if socket != "" {
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return usagef("--url: %w", err)
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return fmt.Errorf("%s: %w", url, err)
	}
	fmt.Fprintln(w, strings.TrimSpace(string(body)))
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", url, resp.Status)
	}
	return nil
}

func onlyListen(name string) bool { return name == "listen" }
