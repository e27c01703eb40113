package measure

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// StatusError is an answer other than 200.
type StatusError struct {
	Method, URL string
	Status      int
	Text        string // the body, or its beginning
}

// Error tells all of it.
func (e *StatusError) Error() string {
	return fmt.Sprintf("%s %s: HTTP %d: %.2000s", e.Method, e.URL, e.Status, e.Text)
}

// Message is what the server said in OpenAI's form, or the whole text.
func (e *StatusError) Message() string {
	var body struct{ Error *struct{ Message string } }
	if json.Unmarshal([]byte(e.Text), &body) == nil && body.Error != nil {
		return body.Error.Message
	}
	return e.Text
}

// Get decodes the JSON at a path.
func (h *HTTP) Get(ctx context.Context, path string, out any) error {
	return h.send(ctx, http.MethodGet, path, nil, into(out))
}

// Post sends a body as JSON and decodes the answer.
func (h *HTTP) Post(ctx context.Context, path string, body, out any) error {
	return h.send(ctx, http.MethodPost, path, body, into(out))
}

// Stream sends a body as JSON and gives the data of each of the answer's events to each.
func (h *HTTP) Stream(ctx context.Context, path string, body any, each func(data []byte) error) error {
	return h.send(ctx, http.MethodPost, path, body, func(r io.Reader) error { return Events(r, each) })
}

// into decodes an answer's JSON.
func into(out any) func(io.Reader) error {
	return func(r io.Reader) error {
		data, err := io.ReadAll(io.LimitReader(r, 16<<20))
		if err != nil {
			return err
		}
		if err := json.Unmarshal(data, out); err != nil {
			return fmt.Errorf("it is something other than the JSON that was expected: %.200s: %w", data, err)
		}
		return nil
	}
}

// send lets read have an answer's body. An answer other than 200 is a *StatusError.
func (h *HTTP) send(ctx context.Context, method, path string, body any, read func(io.Reader) error) error {
	var sent io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return err
		}
		sent = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(strings.TrimRight(h.URL, "/"), "/v1")+path, sent)
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if h.Key != "" {
		req.Header.Set("Authorization", "Bearer "+h.Key)
	}
	resp, err := cmp.Or(h.Client, http.DefaultClient).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<16)) // what came is enough for the message
		return &StatusError{Method: method, URL: req.URL.String(), Status: resp.StatusCode, Text: string(bytes.TrimSpace(text))}
	}
	if err := read(resp.Body); err != nil {
		return fmt.Errorf("answer of %s: %w", req.URL, err)
	}
	return nil
}

// ErrCut says that a stream of events ended without [DONE].
var ErrCut = errors.New("the stream ended before its end")

// Events gives the data of each server-sent event to each, until [DONE].
func Events(r io.Reader, each func(data []byte) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4096), 16<<20)
	for lines.Scan() {
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data:"))
		if !ok {
			continue
		}
		data = bytes.TrimSpace(data)
		if string(data) == "[DONE]" {
			_, err := io.Copy(io.Discard, r) // so that the connection can be used again
			return err
		}
		if err := each(data); err != nil {
			return err
		}
	}
	return errors.Join(ErrCut, lines.Err())
}
