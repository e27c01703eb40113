package server

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/loopserve/loopserve/server/api"
)

// readBody reads the request's JSON object, within the bounds.
func (s *Server) readBody(c *gin.Context) (api.Body, error) {
	if err := checkContentType(c.GetHeader("Content-Type")); err != nil {
		return nil, err
	}
	if coding := c.GetHeader("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		// its bytes would be called broken JSON
		return nil, failure(http.StatusUnsupportedMediaType, "unsupported_media_type", "Content-Encoding is %s: send the body uncompressed", api.Quote(coding))
	}
	h := holdOf(c)
	data, err := readBounded(c.Request, h, s.cfg.BodyLimit)
	if err == nil {
		err = h.begin(c.Request.Context())
	}
	if err != nil {
		return nil, err
	}
	return api.Parse(data)
}

// linger is how long a connection stays whose client was answered before all of its body had come.
const linger = 500 * time.Millisecond

// owed is a body that has not come to its end: until then the connection closes after the answer.
type owed struct {
	io.ReadCloser

	rc     *http.ResponseController
	header http.Header
	paid   bool
}

// Read implements io.Reader. At the end the deadline must be off, since net/http's watch for a client that hangs up is a read.
func (b *owed) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF && !b.paid {
		b.paid = true
		b.header.Del("Connection")
		b.until(time.Time{})
	}
	return n, err
}

// until sets the deadline. Not every connection has one: a test's recorder has none to hold up either.
func (b *owed) until(t time.Time) { _ = b.rc.SetReadDeadline(t) }

// readBounded reads a body of at most limit bytes. Of a longer one it swallows a little more, because a client that
// is still sending when the connection closes sees a reset instead of the answer.
func readBounded(r *http.Request, h *hold, limit int64) ([]byte, error) {
	tooLarge := failure(http.StatusRequestEntityTooLarge, "body_too_large",
		"request body is larger than %d bytes: send less, or raise body_limit in the configuration", limit)
	if r.ContentLength > limit && strings.EqualFold(r.Header.Get("Expect"), "100-continue") {
		return nil, tooLarge // the client has not begun to send
	}
	if r.ContentLength <= limit {
		data, err := io.ReadAll(io.LimitReader(&metered{Reader: r.Body, hold: h}, limit+1))
		if errors.Is(err, errCrowded) {
			return nil, err
		}
		if err != nil {
			e := failure(http.StatusBadRequest, "body_incomplete", "request body could not be read to its end: it stopped or came too slowly")
			e.Cause = err
			return nil, e
		}
		if int64(len(data)) <= limit {
			return data, nil
		}
	}
	_, _ = io.CopyN(io.Discard, r.Body, 4*limit)
	return nil, tooLarge
}

// checkContentType refuses what is clearly not JSON. curl -d says form-urlencoded and means JSON; no header at all and
// text/plain are taken as well.
func checkContentType(header string) error {
	if header == "" {
		return nil
	}
	kind, _, err := mime.ParseMediaType(header)
	switch {
	case err == nil && (kind == "application/x-www-form-urlencoded" || kind == "text/plain" || kind == "text/json" ||
		kind == "application/octet-stream" || kind == "application/json" || strings.HasSuffix(kind, "+json")):
		return nil
	default:
		return failure(http.StatusUnsupportedMediaType, "unsupported_media_type", "Content-Type is %s: send the body as application/json", api.Quote(header))
	}
}
