package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/loopserve/loopserve/loopctl"
)

// HTTP is a Target over the OpenAI completions API of any server: this one, vLLM, llama.cpp. Prompts are token ids.
type HTTP struct {
	URL   string // with or without /v1
	Key   string // may be empty
	Model string
	Vocab int // ids of prompts are below it
	// Extra goes into each body, over the fields that this client sets itself.
	Extra  map[string]any
	Client *http.Client // nil: one with enough connections
}

var manyConnections = &http.Client{Transport: &http.Transport{
	Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 256, IdleConnTimeout: 30 * time.Second,
}}

func (t *HTTP) client() *http.Client {
	if t.Client != nil {
		return t.Client
	}
	return manyConnections
}

func (t *HTTP) base() string { return strings.TrimSuffix(strings.TrimRight(t.URL, "/"), "/v1") }

// DefaultVocab is what prompts' ids are below where nobody knows the vocabulary: every published tokenizer is larger.
const DefaultVocab = 1000

// Discover asks the server for what is not set: its first model, and the size of that model's vocabulary, which only
// this server tells (others get DefaultVocab).
func (t *HTTP) Discover(ctx context.Context) error {
	if t.Model == "" {
		var list struct{ Data []struct{ ID string } }
		if err := t.get(ctx, "/v1/models", &list); err != nil {
			return err
		}
		if len(list.Data) == 0 {
			return fmt.Errorf("%s serves no model: name one with --model", t.URL)
		}
		t.Model = list.Data[0].ID
	}
	if t.Vocab == 0 {
		t.Vocab = DefaultVocab
		var info struct {
			VocabSize int `json:"vocab_size"`
		}
		if t.get(ctx, "/tokenizer_info?model="+t.Model, &info) == nil && info.VocabSize > 0 {
			t.Vocab = info.VocabSize
		}
	}
	return nil
}

func (t *HTTP) get(ctx context.Context, path string, out any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.base()+path, nil)
	if err != nil {
		return err
	}
	resp, err := t.do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(io.LimitReader(resp.Body, 4<<20)).Decode(out)
}

func (t *HTTP) do(req *http.Request) (*http.Response, error) {
	if t.Key != "" {
		req.Header.Set("Authorization", "Bearer "+t.Key)
	}
	resp, err := t.client().Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 2000)) // what came is enough for the message
		return nil, fmt.Errorf("%s %s: HTTP %d: %s", req.Method, req.URL, resp.StatusCode, bytes.TrimSpace(text))
	}
	return resp, nil
}

func (t *HTTP) body(c Call) map[string]any {
	b := map[string]any{
		"model": t.Model, "prompt": prompt(c, t.Vocab), "max_tokens": c.MaxTokens, "temperature": 0, "ignore_eos": true,
		"stream": true, "stream_options": map[string]any{"include_usage": true}, "seed": c.Seed & 0x7fffffff,
	}
	if c.Loops > 0 {
		b["loops"] = c.Loops
	}
	if c.Exit.Kind != loopctl.ExitNone {
		b["exit_policy"] = c.Exit.Kind.String()
		if c.Exit.Threshold != 0 {
			b["exit_threshold"] = c.Exit.Threshold
		}
		if c.Exit.MinLoops != 0 {
			b["min_loops"] = c.Exit.MinLoops
		}
	}
	if c.Draft > 0 {
		b["draft_loops"] = c.Draft
	}
	maps.Copy(b, t.Extra)
	return b
}

// piece is what this client reads of a chunk.
type piece struct {
	Choices []json.RawMessage
	Usage   *struct {
		CompletionTokens        int `json:"completion_tokens"`
		CompletionTokensDetails struct {
			Loops struct{ Total int }
		} `json:"completion_tokens_details"`
	}
	Timings *struct{ Drafted, Accepted int }
	Error   *struct{ Message string }
}

// Generate implements Target.
func (t *HTTP) Generate(ctx context.Context, c Call) (*Sample, error) {
	data, err := json.Marshal(t.body(c))
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.base()+"/v1/completions", bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	s := &Sample{Start: time.Now(), Arrivals: make([]time.Duration, 0, c.MaxTokens)}
	resp, err := t.do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if err := s.follow(resp.Body); err != nil {
		return nil, err
	}
	switch {
	case s.Tokens == 0:
		s.Tokens = len(s.Arrivals) // a server without usage in streams: a piece for each token
	case len(s.Arrivals) > s.Tokens:
		s.Arrivals = s.Arrivals[:s.Tokens] // llama.cpp ends with a piece that brings the reason alone
	}
	s.E2E = s.Arrivals[len(s.Arrivals)-1]
	if s.Loops == 0 {
		s.Loops = c.Loops * s.Tokens
	}
	return s, nil
}

var errCut = errors.New("the stream ended before its end")

// follow reads server-sent events until [DONE].
func (s *Sample) follow(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4096), 1<<20)
	for lines.Scan() {
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data:"))
		if !ok {
			continue
		}
		now := time.Since(s.Start)
		data = bytes.TrimSpace(data)
		if string(data) == "[DONE]" {
			if len(s.Arrivals) == 0 {
				return errors.New("an answer without tokens")
			}
			_, err := io.Copy(io.Discard, r) // so that the connection can be used again
			return err
		}
		var p piece
		if err := json.Unmarshal(data, &p); err != nil {
			return fmt.Errorf("not a chunk: %.200s: %w", data, err)
		}
		if p.Error != nil {
			return fmt.Errorf("the server ended the stream: %s", p.Error.Message)
		}
		if len(p.Choices) > 0 {
			s.Arrivals = append(s.Arrivals, now)
		}
		if p.Usage != nil {
			s.Tokens, s.Loops = p.Usage.CompletionTokens, p.Usage.CompletionTokensDetails.Loops.Total
		}
		if p.Timings != nil {
			s.Drafted, s.Accepted = p.Timings.Drafted, p.Timings.Accepted
		}
	}
	return errors.Join(errCut, lines.Err())
}
