package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/netutil"

	"github.com/loopserve/loopserve/configs"
	"github.com/loopserve/loopserve/server"
	"github.com/loopserve/loopserve/server/metrics"
)

// Listen opens an address: host:port, or unix:/path. It takes at most so many connections, and speaks TLS where the
// configuration has a certificate.
func Listen(cfg *configs.Config, address string, connections int) (net.Listener, error) {
	network, at := "tcp", address
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, at = "unix", path
		if conn, err := net.Dial(network, path); err == nil {
			conn.Close()
		} else if errors.Is(err, syscall.ECONNREFUSED) {
			if info, err := os.Lstat(path); err == nil && info.Mode().Type() != os.ModeSocket {
				return nil, &ConfigError{fmt.Errorf("%s exists and is no socket: give the socket another path", address)}
			}
			_ = os.Remove(path) // left behind by a process that was killed; if it cannot go, Listen says so
		}
	}
	l, err := net.Listen(network, at)
	if err != nil {
		return nil, fmt.Errorf("%w: is another server running there?", err)
	}
	if network == "unix" { // for the owner, and a proxy of the same group
		if err := os.Chmod(at, 0o660); err != nil {
			return nil, errors.Join(err, l.Close())
		}
	}
	l = netutil.LimitListener(l, connections)
	if cfg.TLSCert == "" {
		return l, nil
	}
	c := &certificate{cert: cfg.TLSCert, key: cfg.TLSKey}
	if _, err := c.get(nil); err != nil {
		return nil, errors.Join(&ConfigError{fmt.Errorf("tls_cert and tls_key: %w", err)}, l.Close())
	}
	// Without HTTP/2: one connection would carry as many requests as max_connections.
	return tls.NewListener(l, &tls.Config{GetCertificate: c.get, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}), nil
}

// Meanwhile answers on l as a server whose models are loading, until stop is called: rest has the connections that come then, and
// closes l. For what takes its time before Open can know which models there are. A *ConfigError is about keys and addresses.
func Meanwhile(cfg *configs.Config, version string, log *slog.Logger, l net.Listener) (rest net.Listener, stop func(), err error) {
	keys, err := access(cfg)
	if err != nil {
		return nil, nil, err
	}
	early, late := newPipe(), newPipe()
	go func() {
		for {
			conn, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil { // such as too many open files
				time.Sleep(100 * time.Millisecond)
				continue
			}
			select {
			case early.conns <- conn:
			case <-early.closed:
				select {
				case late.conns <- conn:
				case <-late.closed:
					conn.Close()
				}
			}
		}
	}()
	s := server.New(serverConfig(cfg, keys, version), log, metrics.New())
	served := make(chan error, 1)
	go func() { served <- s.Serve(early) }()
	stop = func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := errors.Join(s.Shutdown(ctx), <-served); err != nil {
			log.Warn("requests were cut short before any model was loaded", "reason", err)
		}
	}
	return &handedOver{pipe: late, from: l}, stop, nil
}

// handedOver is a listener whose connections another one accepts.
type handedOver struct {
	*pipe

	from net.Listener
}

// Addr implements net.Listener.
func (h *handedOver) Addr() net.Addr { return h.from.Addr() }

// Close implements net.Listener.
func (h *handedOver) Close() error { return errors.Join(h.pipe.Close(), h.from.Close()) }

// where is the address of a listener, for the log.
func (a *App) where(l net.Listener) string {
	switch {
	case l.Addr().Network() != "tcp":
		return l.Addr().Network() + ":" + l.Addr().String()
	case a.cfg.TLSCert != "":
		return "https://" + l.Addr().String()
	}
	return "http://" + l.Addr().String()
}

// certificate is a pair of files that is read again when the first has changed. While it is not whole, the one before holds.
type certificate struct {
	cert, key string

	mu   sync.Mutex
	pair *tls.Certificate
	of   time.Time
}

// get is a tls.Config's GetCertificate.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	info, err := os.Stat(c.cert)
	if err == nil && (c.pair == nil || !info.ModTime().Equal(c.of)) {
		var pair tls.Certificate
		if pair, err = tls.LoadX509KeyPair(c.cert, c.key); err == nil {
			c.pair, c.of = &pair, info.ModTime()
		}
	}
	if c.pair != nil {
		return c.pair, nil
	}
	return nil, err
}
