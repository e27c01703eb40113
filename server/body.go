package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gin-gonic/gin"
)

// maxNesting bounds how deep a body's JSON may go: no field of this API needs more than a few levels.
const maxNesting = 64

// maxFields bounds how many fields an object of the body has: fields that nobody knows are kept until the request ends.
const maxFields = 256

// body is a JSON object whose fields are decoded when asked for, so that each can be refused with its own words.
type body map[string]json.RawMessage

// has reports whether the field is there and not null: clients send null for what they leave open.
func (b body) has(name string) bool {
	v, ok := b[name]
	return ok && string(v) != "null"
}

// readBody reads the request's JSON object, within the bounds.
func (s *Server) readBody(c *gin.Context) (body, error) {
	if err := checkContentType(c.GetHeader("Content-Type")); err != nil {
		return nil, err
	}
	if coding := c.GetHeader("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return nil, &apiError{ // its bytes would be called broken JSON
			Status: http.StatusUnsupportedMediaType, Type: typeInvalid, Code: "unsupported_media_type",
			Message: fmt.Sprintf("Content-Encoding is %s: send the body as it is", quote(coding)),
		}
	}
	// The deadline must be off again before the handler goes on: net/http's watch for a client that hangs up is a read.
	rc := http.NewResponseController(c.Writer)
	_ = rc.SetReadDeadline(time.Now().Add(s.cfg.BodyTimeout))
	data, err := readBounded(c.Request, s.cfg.BodyLimit)
	_ = rc.SetReadDeadline(time.Time{})
	if err != nil {
		c.Writer.Header().Set("Connection", "close")
		return nil, err
	}
	return parseBody(data)
}

// readBounded reads a body of at most limit bytes. Of a longer one it swallows a little more, because a client that
// is still sending when the connection closes sees a reset instead of the answer.
func readBounded(r *http.Request, limit int64) ([]byte, error) {
	tooLarge := &apiError{
		Status: http.StatusRequestEntityTooLarge, Type: typeInvalid, Code: "body_too_large",
		Message: fmt.Sprintf("request body is larger than %d bytes: send less, or raise body_limit in the configuration", limit),
	}
	if r.ContentLength > limit && strings.EqualFold(r.Header.Get("Expect"), "100-continue") {
		return nil, tooLarge // the client has not begun to send
	}
	if r.ContentLength <= limit {
		data, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
		if err != nil {
			return nil, &apiError{
				Status: http.StatusBadRequest, Type: typeInvalid, Code: "body_incomplete", cause: err,
				Message: "request body could not be read to its end: it stopped or came too slowly",
			}
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
		return &apiError{
			Status: http.StatusUnsupportedMediaType, Type: typeInvalid, Code: "unsupported_media_type",
			Message: fmt.Sprintf("Content-Type is %s: send the body as application/json", quote(header)),
		}
	}
}

func notJSON(format string, args ...any) error {
	return badField("", "invalid_json", "request body is not valid JSON: "+format+": send one JSON object", args...)
}

// parseBody splits a JSON object into its fields. A field given twice is refused: which one counts is anyone's guess.
func parseBody(data []byte) (body, error) {
	data = bytes.TrimSpace(data)
	switch {
	case len(data) == 0:
		return nil, notJSON("it is empty")
	case !utf8.Valid(data):
		return nil, notJSON("it is not UTF-8")
	case data[0] != '{':
		return nil, notJSON("it starts with %s, not with {", quote(firstRune(data)))
	case nesting(data) > maxNesting:
		return nil, notJSON("it is nested deeper than %d levels", maxNesting)
	}
	if err := json.Unmarshal(data, new(json.RawMessage)); err != nil {
		if at, ok := errors.AsType[*json.SyntaxError](err); ok {
			return nil, notJSON("%s (at byte %d)", at.Error(), at.Offset)
		}
		return nil, notJSON("%s", err.Error())
	}
	b := body{}
	for f, err := range members(data) {
		if err != nil {
			return nil, notJSON("%s", err.Error())
		}
		if _, twice := b[f.name]; twice {
			return nil, badField(f.name, "duplicate_field", "field %s is given twice: give it once", quote(f.name))
		}
		if len(b) == maxFields {
			return nil, badField("", "too_many_fields", "request body has more than %d fields: send fewer", maxFields)
		}
		b[f.name] = f.value
	}
	return b, nil
}

// member is one field of a JSON object.
type member struct {
	name  string
	value json.RawMessage
}

// members are the fields of a JSON object, in their order, up to the first error.
func members(object []byte) iter.Seq2[member, error] {
	return func(yield func(member, error) bool) {
		d := json.NewDecoder(bytes.NewReader(object))
		_, err := d.Token()
		for err == nil && d.More() {
			var key json.Token
			if key, err = d.Token(); err != nil {
				break
			}
			var m member
			m.name, _ = key.(string)
			if err = d.Decode(&m.value); err == nil && !yield(m, nil) {
				return
			}
		}
		if err != nil {
			yield(member{}, err)
		}
	}
}

func firstRune(data []byte) string {
	r, _ := utf8.DecodeRune(data)
	return string(r)
}

// nesting is the depth of brackets outside strings. It runs before any parser does.
func nesting(data []byte) int {
	depth, most, inString := 0, 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			depth++
			most = max(most, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return most
}

// quote shows a value in a message: short, printable, in quotes.
func quote(v string) string {
	const most = 60
	if len(v) > most {
		cut := most
		for cut > 0 && !utf8.RuneStart(v[cut]) {
			cut--
		}
		v = v[:cut] + "…"
	}
	return fmt.Sprintf("%q", v)
}
