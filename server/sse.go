package server

import (
	"context"
	"errors"
	"net/http"

	"github.com/gin-gonic/gin"
)

// chunk is one event's JSON before usage and timings are put on it.
type chunk interface {
	attach(u *usage, t *timings)
}

// stream answers with one event per token (two for a chat's first), in the order in which the choices' tokens come, and
// the closing "[DONE]" that clients wait for. The last chunk carries the timings: the one with the usage, if that was
// asked for.
func (s *Server) stream(c *gin.Context, g *generation, make func(*generation, *delta) []chunk) {
	w := newEventWriter(c)
	p := g.params
	for open := len(g.streams); open > 0; {
		d, err := g.next()
		if err != nil {
			s.endStream(c, w, err)
			return
		}
		if d.finish != "" {
			open--
		}
		var u *usage
		if p.ContinuousUsage {
			u = g.usage()
		}
		var t *timings
		if open == 0 && !p.IncludeUsage {
			t = g.timed()
		}
		parts := make(g, &d)
		for i, part := range parts {
			if i < len(parts)-1 {
				part.attach(u, nil)
			} else {
				part.attach(u, t)
			}
			if w.send(part) != nil {
				return // the client is gone
			}
		}
	}
	if p.IncludeUsage {
		last := make(g, nil)[0]
		last.attach(g.usage(), g.timed())
		if w.send(last) != nil {
			return
		}
	}
	note(c, "tokens", g.tally.tokens)
	_ = w.done() // nothing is left to be cut off
}

// endStream tells the client of an error in a stream that has begun.
func (s *Server) endStream(c *gin.Context, w *eventWriter, err error) {
	if errors.Is(err, context.Canceled) && c.Request.Context().Err() != nil {
		return
	}
	e := toAPI(err, s.backlog())
	note(c, "error", e.Code)
	note(c, "cause", err.Error())
	if w.send(e.Body()) == nil {
		_ = w.done()
	}
}

// endFailed answers a request that failed before its answer began.
func (s *Server) endFailed(c *gin.Context, err error) {
	if errors.Is(err, context.Canceled) && c.Request.Context().Err() != nil {
		c.Abort() // nobody is there
		return
	}
	s.fail(c, err)
}

// eventWriter writes server-sent events, each flushed and each with a deadline of its own.
type eventWriter struct {
	c *gin.Context
	// below gin's writer, whose Flush does not tell of errors
	rc *http.ResponseController
}

func newEventWriter(c *gin.Context) *eventWriter {
	h := c.Writer.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Accel-Buffering", "no") // nginx would collect the events
	setProcessing(c)
	c.Writer.WriteHeader(http.StatusOK)
	c.Writer.WriteHeaderNow()
	w := &eventWriter{c: c, rc: http.NewResponseController(c.Writer)}
	if inner, ok := c.Writer.(interface{ Unwrap() http.ResponseWriter }); ok {
		w.rc = http.NewResponseController(inner.Unwrap())
	}
	extendWrite(c)
	_ = w.rc.Flush() // the client sees the headers at once; if it cannot, the first event will tell
	return w
}

func (w *eventWriter) send(v any) error {
	data, err := encode(v)
	if err != nil {
		return err
	}
	return w.event(data)
}

func (w *eventWriter) done() error { return w.event([]byte("[DONE]")) }

// event writes one line of data and the empty line that ends it. JSON has no line break outside its strings, and none
// inside them that is not escaped.
func (w *eventWriter) event(data []byte) error {
	extendWrite(w.c)
	buf := make([]byte, 0, len(data)+8)
	buf = append(append(append(buf, "data: "...), data...), "\n\n"...)
	if _, err := w.c.Writer.Write(buf); err != nil {
		return err
	}
	return w.rc.Flush()
}
