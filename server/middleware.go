package server

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/loopserve/loopserve/server/api"
)

// What a request carries from middleware to handlers and into the access log.
const (
	keyRequestID = "request_id"
	keyArrived   = "arrived"
	keyNotes     = "notes"
	keyWrite     = "write_timeout"
	keyTenant    = "tenant" // digest of the API key
)

const statusClientGone = 499 // nginx's number; in logs and metrics only, there is nobody to send it to

// identify gives the request its id (the client's, made harmless, or a new one) and its arrival time.
func (s *Server) identify(c *gin.Context) {
	id := cleanID(c.GetHeader("X-Request-Id"))
	if id == "" {
		id = "req-" + strings.ToLower(rand.Text())
	}
	c.Set(keyRequestID, id)
	c.Set(keyArrived, time.Now())
	c.Set(keyWrite, s.cfg.WriteTimeout)
	c.Writer.Header().Set("X-Request-Id", id)
	c.Writer.Header().Set("Request-Id", id) // Anthropic's name
	c.Writer.Header().Set("X-Content-Type-Options", "nosniff")
}

// cleanID keeps what is safe in a header and in a log line, up to 128 characters.
func cleanID(id string) string {
	out := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("-_.:/+=@", r):
			return r
		}
		return -1
	}, id)
	return out[:min(len(out), 128)]
}

// trace tells of the request, also when recover ends the connection.
func (s *Server) trace(c *gin.Context) {
	traced, end := s.cfg.Trace(c.Request)
	c.Request = traced
	status := 0
	defer func() { end(status, c.Writer.Header()) }()
	c.Next()
	status = c.Writer.Status()
}

// account logs each request once, when it is done, and counts it.
func (s *Server) account(c *gin.Context) {
	defer s.report(c) // also when recover ends the connection
	c.Next()
}

func (s *Server) report(c *gin.Context) {
	took := time.Since(c.GetTime(keyArrived))
	status := c.Writer.Status()
	if errors.Is(c.Request.Context().Err(), context.Canceled) {
		status = statusClientGone
	}
	route := c.FullPath()
	if route == "" {
		route = "none"
	}
	s.metrics.HTTP(route, c.Request.Method, status, took)
	level := slog.LevelInfo
	switch {
	case route == "/metrics" || slices.Contains(probes, route):
		level = slog.LevelDebug
	case status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout: // load, or an end that somebody asked for
		level = slog.LevelWarn
	case status >= 500:
		level = slog.LevelError
	}
	attrs := []slog.Attr{
		slog.String("id", c.GetString(keyRequestID)), slog.String("method", c.Request.Method),
		slog.String("path", c.Request.URL.Path), slog.Int("status", status),
		slog.Duration("took", took), slog.Int("bytes", max(c.Writer.Size(), 0)),
	}
	if notes, ok := c.Get(keyNotes); ok {
		attrs = append(attrs, notes.([]slog.Attr)...)
	}
	s.log.LogAttrs(context.WithoutCancel(c.Request.Context()), level, "request", attrs...)
}

// note adds a value to the request's line in the access log.
func note(c *gin.Context, key string, value any) {
	notes, _ := c.Get(keyNotes)
	list, _ := notes.([]slog.Attr)
	c.Set(keyNotes, append(list, slog.Any(key, value)))
}

// recover turns a panic of a handler into a 500, or ends the connection if the answer has begun. The stack is for the
// log alone.
func (s *Server) recover(c *gin.Context) {
	defer func() {
		p := recover()
		switch p {
		case nil:
			return
		case http.ErrAbortHandler: // net/http compares the panic value just so
			panic(p)
		}
		s.log.Error("handler panicked", "id", c.GetString(keyRequestID), "path", c.Request.URL.Path,
			"panic", p, "stack", string(debug.Stack()))
		if c.Writer.Written() {
			panic(http.ErrAbortHandler)
		}
		s.fail(c, errors.New("handler panicked"))
	}()
	c.Next()
}

// fail answers with what the table in errors.go says about err, where somebody is there.
func (s *Server) fail(c *gin.Context, err error) {
	if gone(c, err) {
		c.Abort()
		return
	}
	fail(c, toAPI(err, s.backlog()))
}

// backlog is how long what is queued will take, over all models.
func (s *Server) backlog() time.Duration {
	seconds := 0.0
	for _, m := range s.models() {
		snap := m.Generator.Snapshot()
		seconds += float64(snap.Backlog) * snap.SecondsPerLoopStep
	}
	return time.Duration(min(max(seconds, 0), 3600) * float64(time.Second))
}

// respond writes JSON.
func respond(c *gin.Context, status int, v any) {
	data, err := api.Encode(v)
	if err != nil { // a number that JSON has not: a mistake of ours
		status, data = http.StatusInternalServerError, []byte(`{"error":{"message":"internal error","type":"server_error","param":null,"code":"internal_error"}}`)
		note(c, "cause", err.Error())
	}
	respondBytes(c, status, "application/json; charset=utf-8", data)
}

// respondBytes writes a whole answer. Writing has a deadline of its own, since generating may have used up the
// connection's.
func respondBytes(c *gin.Context, status int, kind string, data []byte) {
	h := c.Writer.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(data)))
	holdOf(c).pause()
	setProcessing(c)
	extendWrite(c)
	c.Writer.WriteHeader(status)
	_, _ = c.Writer.Write(data) // an error means that the client is gone
}

// extendWrite gives the next write its time.
func extendWrite(c *gin.Context) {
	// Not every writer has deadlines (a test's recorder has none): then there is no connection to hold up either.
	_ = http.NewResponseController(c.Writer).SetWriteDeadline(time.Now().Add(c.GetDuration(keyWrite)))
}

func setProcessing(c *gin.Context) {
	c.Writer.Header().Set("openai-processing-ms", strconv.FormatInt(time.Since(c.GetTime(keyArrived)).Milliseconds(), 10))
}
