package app

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
)

// pipe is a listener without a network: nobody but this process can connect. Its connections keep deadlines at once, by which
// net/http ends its reads in the background; those of gRPC's bufconn do not, and answers were cut off.
type pipe struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipe() *pipe { return &pipe{conns: make(chan net.Conn), closed: make(chan struct{})} }

// Accept implements net.Listener.
func (p *pipe) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (p *pipe) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// Addr implements net.Listener.
func (p *pipe) Addr() net.Addr { return &net.UnixAddr{Net: "pipe", Name: "in-process"} }

// DialContext is a http.Transport's.
func (p *pipe) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, errors.Join(context.Cause(ctx), client.Close(), server.Close())
	}
}

// Inside runs the process without any port. The client reaches it as http://localhost; stop ends it and frees everything.
func (a *App) Inside(ctx context.Context) (client *http.Client, stop func() error) {
	l := newPipe()
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx, l) }()
	transport := &http.Transport{DialContext: l.DialContext}
	return &http.Client{Transport: transport}, sync.OnceValue(func() error {
		cancel()
		transport.CloseIdleConnections()
		return <-done
	})
}
