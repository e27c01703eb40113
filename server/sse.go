package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/loopserve/loopserve/server/api"
	"github.com/loopserve/loopserve/server/generate"
)

// stream answers with one event per token (two for a chat's first), in the order in which the choices' tokens come, and
// the closing "[DONE]" that clients wait for. The last event carries the timings: the one with the usage, if that was
// asked for. It begins with the first delta: until that is there an error has a status of its own, and a balancer may ask
// another replica.
func (s *Server) stream(c *gin.Context, g *generate.Sequences, a generate.Answer, d generate.Delta) {
	var err error
	w := newEventWriter(c)
	for open := g.Len(); ; {
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
		if open == 0 {
			break
		}
		if !g.Ready() && w.flush() != nil {
			return // the client is gone
		}
		if d, err = g.Next(); err != nil {
			s.endStream(c, w, err)
			return
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

// eventWriter writes server-sent events. Those that are there at one time, because a client reads slowly or a machine is busy,
// go out together: whoever waits for further ones has to flush before.
type eventWriter struct {
	c *gin.Context
	// below gin's writer, whose Flush does not tell of errors
	rc   *http.ResponseController
	held bytes.Buffer // events that have not gone out
	json *json.Encoder
}

// mostHeld is how many bytes wait for a flush, one event aside.
const mostHeld = 16 << 10

// mostWritten is how many bytes have the time of one write: a reader that takes fewer in it is cut off.
const mostWritten = 4 << 10

// newEventWriter begins an answer of events; its headers go out with the first flush.
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
	w.json = api.NewEncoder(&w.held)
	return w
}

func (w *eventWriter) send(v any) error { return w.event("", v) }

// done sends what ends a stream, and all that is held.
func (w *eventWriter) done() error {
	w.held.WriteString("data: [DONE]\n\n")
	return w.flush()
}

// event adds an event's name, where it has one, one line of data and the empty line that ends it. JSON has no line break
// outside its strings, and none inside them that is not escaped.
func (w *eventWriter) event(name string, data any) error {
	before := w.held.Len()
	if name != "" {
		w.held.WriteString("event: " + name + "\n")
	}
	w.held.WriteString("data: ")
	if err := w.json.Encode(data); err != nil {
		w.held.Truncate(before)
		return err
	}
	w.held.WriteByte('\n')
	if w.held.Len() < mostHeld {
		return nil
	}
	return w.flush()
}

// flush sends the events that are held.
func (w *eventWriter) flush() (err error) {
	for w.held.Len() > 0 && err == nil {
		extendWrite(w.c)
		if _, err = w.c.Writer.Write(w.held.Next(mostWritten)); err == nil {
			err = w.rc.Flush()
		}
	}
	if w.held.Cap() > 4*mostHeld {
		w.held = bytes.Buffer{} // an echo's: no stream keeps it for hours
	}
	return err
}
