package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"time"

	"github.com/loopserve/loopserve/internal/client"
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

func (t *HTTP) api() *client.Client {
	c := t.Client
	if c == nil {
		c = manyConnections
	}
	return &client.Client{URL: t.URL, Key: t.Key, HTTP: c}
}

// DefaultVocab is what prompts' ids are below where nobody knows the vocabulary: every published tokenizer is larger.
const DefaultVocab = 1000

// Discover asks the server for what is not set: its first model, and the size of that model's vocabulary, which only
// this server tells (others get DefaultVocab).
func (t *HTTP) Discover(ctx context.Context) error {
	if t.Model == "" {
		var list struct{ Data []struct{ ID string } }
		if err := t.api().Get(ctx, "/v1/models", &list); err != nil {
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
		if t.api().Get(ctx, "/tokenizer_info?model="+url.QueryEscape(t.Model), &info) == nil && info.VocabSize > 0 {
			t.Vocab = info.VocabSize
		}
	}
	return nil
}

func (t *HTTP) body(c Call) map[string]any {
	b := map[string]any{
		"model": t.Model, "prompt": prompt(c, t.Vocab), "max_tokens": c.MaxTokens, "temperature": 0, "ignore_eos": true,
		"stream": true, "stream_options": map[string]any{"include_usage": true}, "seed": c.Seed & 0x7fffffff,
	}
	client.Depth(b, c.Loops, c.Exit, c.Draft)
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
	s := &Sample{Start: time.Now(), Arrivals: make([]time.Duration, 0, c.MaxTokens)}
	resp, err := t.api().Post(ctx, "/v1/completions", t.body(c))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if err := client.Events(resp.Body, s.event); err != nil {
		return nil, err
	}
	if len(s.Arrivals) == 0 {
		return nil, errors.New("an answer without tokens")
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

// event reads one server-sent event.
func (s *Sample) event(data []byte) error {
	now := time.Since(s.Start)
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
	return nil
}
