package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/loopserve/loopserve/internal/measure"
)

// batch is a file of requests on its way to a file of answers.
type batch struct {
	url, models, in, out string
	clients              int

	api  *measure.HTTP
	bar  bar
	told time.Time // when progress was told last

	mu           sync.Mutex
	file         *os.File
	total        int
	done, failed int // lines of the output
}

func batchCommand() *cobra.Command {
	var b batch
	cmd := &cobra.Command{
		Use:   "run-batch -i requests.jsonl -o answers.jsonl",
		Short: "Answer a file of requests in OpenAI's batch format",
		Long: `Run-batch sends each line of a file, {"custom_id", "method": "POST", "url": "/v1/…", "body": {…}}, to a server in its own
process, or with --url to another, and writes a line {"id", "custom_id", "response": {"status_code", "request_id", "body"}, "error"} per answer
in order of completion. Run again with the same files, it continues with the unanswered lines. A full server is retried; one that is
unreachable or refuses the key ends the run. The exit code is 1 if an answer is an error; delete its line to ask again.`,
		Example: `  loopserve run-batch -i requests.jsonl -o answers.jsonl --models models
  loopserve run-batch -i requests.jsonl -o answers.jsonl --url http://127.0.0.1:8080 --concurrency 64`,
		Args: cobra.NoArgs,
		RunE: b.run,
	}
	flags := cmd.Flags()
	flags.StringVarP(&b.in, "input-file", "i", "", "`file` with one request per line")
	flags.StringVarP(&b.out, "output-file", "o", "", "`file` to append answers to")
	flags.StringVar(&b.url, "url", "", "server to ask; empty: serve --models in this process. Its key is in LOOPSERVE_API_KEY")
	flags.StringVar(&b.models, "models", "models", "folder of bundles")
	flags.IntVar(&b.clients, "concurrency", 16, "requests at the same time")
	addConfigFlags(flags, ofEngine)
	for _, name := range []string{"input-file", "output-file"} {
		_ = cmd.MarkFlagRequired(name) // the flags are there
	}
	return cmd
}

// batchID is what the id of an answer begins with.
const batchID = "batch_req_"

// request is a line of the input, answered one of the output.
type (
	batchRequest struct {
		ID     string `json:"custom_id"`
		Method string
		URL    string
		Body   json.RawMessage
	}
	batchAnswer struct {
		ID       string        `json:"id"` // first: resume knows a line by it
		CustomID string        `json:"custom_id"`
		Response batchResponse `json:"response"`
		Error    *struct{}     `json:"error"` // always null: what could not be sent is asked again later
	}
	batchResponse struct {
		Status int             `json:"status_code"`
		ID     string          `json:"request_id"`
		Body   json.RawMessage `json:"body"`
	}
)

func (b *batch) run(cmd *cobra.Command, _ []string) (err error) {
	if b.clients < 1 {
		return usagef("--concurrency is %d: must be at least 1", b.clients)
	}
	requests, err := b.read()
	if err != nil {
		return err
	}
	if b.file, err = os.OpenFile(b.out, os.O_RDWR|os.O_CREATE, 0o644); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.file.Close()) }()
	if requests, err = b.resume(requests); err != nil {
		return err
	}
	api, stop, err := asked(cmd, b.url, &b.models)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	b.api = api
	b.bar, b.told = newBar(cmd.ErrOrStderr(), "answering"), time.Now()
	err = b.ask(cmd, requests)
	b.bar.end()
	fmt.Fprintf(cmd.ErrOrStderr(), "%d of %d answered, %d with an error\n", b.done, b.total, b.failed)
	if err == nil && b.failed > 0 {
		err = fmt.Errorf("%d of %d answers in %s are errors: correct their requests, and delete their lines to ask again", b.failed, b.total, b.out)
	}
	return err
}

// read reads the requests; a line that cannot be one is told before anything is asked.
func (b *batch) read() ([]batchRequest, error) {
	data, err := os.ReadFile(b.in)
	if err != nil {
		return nil, &usageError{err}
	}
	var out []batchRequest
	seen := map[string]int{}
	number := 0
	for line := range bytes.Lines(data) {
		number++
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		var r batchRequest
		err := json.Unmarshal(line, &r)
		switch {
		case err != nil:
			return nil, usagef("%s:%d is not a request: %w", b.in, number, err)
		case r.ID == "":
			return nil, usagef("%s:%d: custom_id is missing: give each line a unique one", b.in, number)
		case seen[r.ID] > 0:
			return nil, usagef("%s:%d: custom_id %q is also that of line %d: give each line a unique one", b.in, number, r.ID, seen[r.ID])
		case r.Method != http.MethodPost || !strings.HasPrefix(r.URL, "/") || len(r.Body) == 0 || r.Body[0] != '{':
			return nil, usagef(`%s:%d: method, url and body must be "POST", a route as "/v1/chat/completions", and an object`, b.in, number)
		}
		var body struct{ Stream any }
		if _ = json.Unmarshal(r.Body, &body); body.Stream == true { // it is an object; what is wrong in it the server says
			return nil, usagef("%s:%d: body.stream is true: remove it, an answer is one line", b.in, number)
		}
		seen[r.ID] = number
		out = append(out, r)
	}
	b.total = len(out)
	return out, nil
}

// resume leaves those out that the output has answers of, and a line at its end that was not written whole.
func (b *batch) resume(requests []batchRequest) (rest []batchRequest, err error) {
	data, err := os.ReadFile(b.out)
	if err != nil {
		return nil, err
	}
	foreign := usagef("%s holds something other than a batch's answers: give another --output-file", b.out)
	end := bytes.LastIndexByte(data, '\n') + 1
	const start = `{"id":"` + batchID
	if tail := string(data[end:]); !strings.HasPrefix(tail, start) && !strings.HasPrefix(start, tail) {
		return nil, foreign
	}
	answered := map[string]bool{}
	for line := range bytes.Lines(data[:end]) {
		var a batchAnswer
		if err := json.Unmarshal(line, &a); err != nil || a.Response.Status == 0 {
			return nil, foreign
		}
		answered[a.CustomID] = true
		b.count(a.Response.Status)
	}
	if err := b.file.Truncate(int64(end)); err != nil {
		return nil, err
	}
	_, err = b.file.Seek(int64(end), 0)
	for _, r := range requests {
		if !answered[r.ID] {
			rest = append(rest, r)
		}
	}
	return rest, err
}

func (b *batch) count(status int) {
	if b.done++; status != http.StatusOK {
		b.failed++
	}
}

// ask sends the requests, so many at a time. What is no fault of a request ends it all: the next run goes on from there.
func (b *batch) ask(cmd *cobra.Command, requests []batchRequest) error {
	ctx, cancel := context.WithCancelCause(cmd.Context())
	defer cancel(nil)
	jobs := make(chan batchRequest)
	var workers sync.WaitGroup
	for range min(b.clients, len(requests)) {
		workers.Go(func() {
			for r := range jobs {
				a, err := b.answer(ctx, r)
				if err == nil {
					err = b.write(cmd, a)
				}
				if err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, r := range requests {
		if ctx.Err() != nil {
			break
		}
		select {
		case jobs <- r:
		case <-ctx.Done():
		}
	}
	close(jobs)
	workers.Wait()
	return mistaken(context.Cause(ctx))
}

// answer asks, again where the server is full.
func (b *batch) answer(ctx context.Context, r batchRequest) (a batchAnswer, err error) {
	id := strings.ToLower(rand.Text())
	a = batchAnswer{ID: batchID + id, CustomID: r.ID, Response: batchResponse{Status: http.StatusOK, ID: id}}
	for wait := time.Second; ; wait *= 2 {
		err = b.api.Post(ctx, r.URL, r.Body, &a.Response.Body)
		refused, ok := errors.AsType[*measure.StatusError](err)
		if !ok {
			return a, err
		}
		busy := refused.Status == http.StatusServiceUnavailable || refused.Status == http.StatusTooManyRequests
		switch {
		case refused.Status == http.StatusUnauthorized || refused.Status == http.StatusForbidden || busy && wait > time.Minute:
			return a, err
		case !busy:
			a.Response.Status, a.Response.Body = refused.Status, json.RawMessage(refused.Text)
			if !json.Valid(a.Response.Body) {
				a.Response.Body, _ = json.Marshal(refused.Text) // a text is never refused
			}
			return a, nil
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return a, context.Cause(ctx)
		}
	}
}

// write adds an answer to the output. Where no bar can be drawn, a line now and then tells how far it is.
func (b *batch) write(cmd *cobra.Command, a batchAnswer) error {
	line, err := json.Marshal(a)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, err = b.file.Write(append(line, '\n')); err != nil {
		return err
	}
	b.count(a.Response.Status)
	b.bar.step(b.done, b.total, "answering")
	if !b.bar.terminal && time.Since(b.told) > 10*time.Second {
		b.told = time.Now()
		fmt.Fprintf(cmd.ErrOrStderr(), "%d of %d\n", b.done, b.total)
	}
	return nil
}
