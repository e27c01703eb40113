package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	"github.com/gin-gonic/gin"
)

// smallBody is the size up to which a body's bytes are bounded by the number of connections alone.
const smallBody = 64 << 10

// errCrowded is a request's end where there is no memory left for what is read and made before the engine knows it.
var errCrowded = errors.New("the server reads as many large requests as it has memory for: try again, or send a smaller one")

// work bounds what is done for requests before the engine knows them, in bytes and in processors: reading, parsing, templates, tokens,
// forms. Larger bodies share one budget of bytes and have slots of their own, so that nobody's hold up the small ones.
type work struct {
	budget       int64
	small, large chan struct{} // slots: one for each that works

	mu   sync.Mutex
	held int64
}

func newWork(budget int64) *work {
	n := runtime.GOMAXPROCS(0)
	return &work{budget: budget, small: make(chan struct{}, n), large: make(chan struct{}, min(max(n/2, 1), 2))}
}

// hold is a request's share of the work.
type hold struct {
	*work

	whole bool // the answer is made at once, and is larger than the body
	bytes int64
	slot  chan struct{} // nil: it waits for one, or needs none
}

// reach takes memory for so many bytes of the body in all. One that is alone may have more than the budget.
func (h *hold) reach(bytes int64) error {
	if bytes <= smallBody {
		return nil
	}
	if h.whole {
		bytes *= 8
	}
	if bytes <= h.bytes {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	others := h.held - h.bytes
	if others > 0 && others+bytes > h.budget {
		defer func() { h.held, h.bytes = others, 0 }() // lest those that come together all refuse each other
		return fmt.Errorf("%w (%d of %d bytes are taken)", errCrowded, h.held, h.budget)
	}
	h.held, h.bytes = others+bytes, bytes
	return nil
}

// begin waits for a slot, as long as somebody waits for the answer.
func (h *hold) begin(ctx context.Context) error {
	if h.slot != nil {
		return nil
	}
	slots := h.small
	if h.bytes > 0 {
		slots = h.large
	}
	select {
	case slots <- struct{}{}:
		h.slot = slots
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// pause gives the slot back: what follows waits for the engine, or for the client.
func (h *hold) pause() {
	if h != nil && h.slot != nil {
		<-h.slot
		h.slot = nil
	}
}

// end gives everything back.
func (h *hold) end() {
	if h == nil {
		return
	}
	h.pause()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.held -= h.bytes
	h.bytes = 0
}

const keyHold = "hold"

// meter gives the request its share of the work.
func (s *Server) meter(c *gin.Context) {
	h := &hold{work: s.work, whole: c.FullPath() == "/tokenize" || c.FullPath() == "/detokenize"}
	c.Set(keyHold, h)
	defer h.end()
	c.Next()
}

// holdOf is the request's share, nil on the admin listener, whose requests have no bodies.
func holdOf(c *gin.Context) *hold {
	h, _ := c.Value(keyHold).(*hold)
	return h
}

// metered is a body that takes memory as it comes: what is announced and never sent costs nobody anything.
type metered struct {
	io.Reader

	hold *hold
	n    int64
}

// Read implements io.Reader.
func (m *metered) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	m.n += int64(n)
	if over := m.hold.reach(m.n); over != nil {
		return n, over
	}
	return n, err
}
