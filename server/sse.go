package server

import (
	"context"
	"errors"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/loopserve/loopserve/server/api"
	"github.com/loopserve/loopserve/server/generate"
)

// stream answers with one event per token (two for a chat's first), in the order in which the choices' tokens come, and
// the closing "[DONE]" that clients wait for. The last event carries the timings: the one with the usage, if that was
// asked for.
func (s *Server) stream(c *gin.Context, g *generate.Sequences, a generate.Answer) {
	w := newEventWriter(c)
	for open := g.Len(); open > 0; {
		d, err := g.Next()
		if err != nil {
			s.endStream(c, w, err)
			return
		}
		if d.Finish != "" {
			open--
		}
		events := a.Events(&d)
		for i, e := range events {
			if g.ContinuousUsage {
				e.Usage = g.Usage
			}
			if open == 0 && !g.IncludeUsage && i == len(events)-1 {
				e.Timings = g.Timings()
			}
			if w.send(e) != nil {
				return // the client is gone
			}
		}
	}
	if g.IncludeUsage {
		last := a.Events(nil)[0]
		last.Usage, last.Timings = g.Usage, g.Timings()
		if w.send(last) != nil {
			return
		}
	}
	note(c, "tokens", g.Usage.CompletionTokens)
	_ = w.done() // nothing is left to be cut off
}

// endStream tells the client of an error in a stream that has begun.
func (s *Server) endStream(c *gin.Context, w *eventWriter, err error) {
	if gone(c, err) {
		return
	}
	if w.send(s.broken(c, err).Body()) == nil {
		_ = w.done()
	}
}

// broken is what to tell of an error in an answer that has begun.
func (s *Server) broken(c *gin.Context, err error) *api.Error {
	e := toAPI(err, s.backlog())
	note(c, "error", e.Code)
	note(c, "cause", err.Error())
	return e
}

// gone says whether a request failed because its client left.
func gone(c *gin.Context, err error) bool {
	return errors.Is(err, context.Canceled) && c.Request.Context().Err() != nil
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
	data, err := api.Encode(v)
	if err != nil {
		return err
	}
	return w.event("", data)
}

func (w *eventWriter) done() error { return w.event("", []byte("[DONE]")) }

// event writes an event's name, where it has one, one line of data and the empty line that ends it. JSON has no line break
// outside its strings, and none inside them that is not escaped.
func (w *eventWriter) event(name string, data []byte) error {
	extendWrite(w.c)
	buf := make([]byte, 0, len(name)+len(data)+16)
	if name != "" {
		buf = append(append(append(buf, "event: "...), name...), '\n')
	}
	buf = append(append(append(buf, "data: "...), data...), "\n\n"...)
	if _, err := w.c.Writer.Write(buf); err != nil {
		return err
	}
	return w.rc.Flush()
}
