package measure

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"time"

	"github.com/loopserve/loopserve/loopctl"
)

// HTTP is a Client of any server that speaks OpenAI's completions: this one, vLLM, llama.cpp.
type HTTP struct {
	URL    string // with or without /v1
	Key    string // may be empty
	Client *http.Client
	Model  string
	Vocab  int // ids of prompts are below it: Discover fills it in
	// Drafts says that bodies name draft_loops 0, too, lest the server make some.
	Drafts bool
	// Extra goes into each body, over the fields that this client sets itself.
	Extra map[string]any
}

// ManyConnections is the transport for load of many clients: it keeps their connections.
var ManyConnections = &http.Client{Transport: &http.Transport{
	Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 256, IdleConnTimeout: 30 * time.Second,
}}

// DefaultVocab is what prompts' ids are below where nobody knows the vocabulary: every published tokenizer is larger.
const DefaultVocab = 1000

// Discover asks the server for what is not set: its first model, and the size of that model's vocabulary, which only
// this server tells (others get DefaultVocab).
func (h *HTTP) Discover(ctx context.Context) error {
	if h.Model == "" {
		var list struct{ Data []struct{ ID string } }
		if err := h.Get(ctx, "/v1/models", &list); err != nil {
			return err
		}
		if len(list.Data) == 0 {
			return fmt.Errorf("%s serves no model: name one with --model", h.URL)
		}
		h.Model = list.Data[0].ID
	}
	if h.Vocab == 0 {
		h.Vocab = DefaultVocab
		var info struct {
			VocabSize int `json:"vocab_size"`
		}
		if h.Get(ctx, "/tokenizer_info?model="+url.QueryEscape(h.Model), &info) == nil && info.VocabSize > 0 {
			h.Vocab = info.VocabSize
		}
	}
	return nil
}

// Loops says whether the server takes loops: then it may make drafts that nobody asked for.
func (h *HTTP) Loops(ctx context.Context) bool {
	_, _, err := h.Range(ctx)
	return err == nil
}

// Range is which loops the model takes.
func (h *HTTP) Range(ctx context.Context) (least, most int, err error) {
	var card struct{ Loops struct{ Min, Max int } }
	path := "/v1/models/" + url.PathEscape(h.Model)
	if err := h.Get(ctx, path, &card); err != nil {
		return 0, 0, err
	}
	if card.Loops.Max < 1 {
		return 0, 0, fmt.Errorf("%s%s gives no range of loops, so it is not a server of looped models: give --loops", h.URL, path)
	}
	return card.Loops.Min, card.Loops.Max, nil
}

// body is the request on the wire, and its route.
func (h *HTTP) body(a *Ask) (path string, b map[string]any) {
	path, b = "/v1/completions", map[string]any{"model": h.Model, "temperature": a.Temperature}
	switch {
	case a.Messages != nil:
		path, b["messages"] = "/v1/chat/completions", a.Messages
	case a.IDs != nil:
		b["prompt"] = a.IDs
	default:
		b["prompt"] = a.Prompt + a.Answer
	}
	given := map[string]any{
		"max_tokens": a.MaxTokens, "seed": a.Seed, "ignore_eos": a.IgnoreEOS, "stream": a.Stream,
		"loops": a.Loops, "draft_loops": a.Draft, "min_loops": a.Exit.MinLoops, "exit_threshold": a.Exit.Threshold,
	}
	maps.DeleteFunc(given, func(name string, value any) bool {
		return reflect.ValueOf(value).IsZero() && (name != "draft_loops" || !h.Drafts)
	})
	maps.Copy(b, given)
	if a.Draft == loopctl.DraftAuto {
		b["draft_loops"] = "auto"
	}
	if a.Exit.Kind != loopctl.ExitNone {
		b["exit_policy"] = a.Exit.Kind.String()
	}
	if a.Answer != "" {
		b["max_tokens"], b["echo"], b["logprobs"] = 0, true, 1
	}
	if a.Stream {
		b["stream_options"] = map[string]bool{"include_usage": true}
	}
	maps.Copy(b, h.Extra)
	return path, b
}

// Do implements Client.
func (h *HTTP) Do(ctx context.Context, a Ask) (*Reply, error) {
	path, body := h.body(&a)
	r := &Reply{Start: time.Now(), Stamps: make([]time.Duration, 0, a.MaxTokens)}
	read := func(data []byte) error { return r.piece(&a, data) }
	var err error
	if a.Stream {
		err = h.Stream(ctx, path, body, read)
	} else {
		var whole json.RawMessage
		if err = h.Post(ctx, path, body, &whole); err == nil {
			err = read(whole)
		}
	}
	switch {
	case err != nil:
		return r, err
	case len(r.Stamps) == 0:
		return r, fmt.Errorf("answer of %s: it has no tokens", h.URL)
	case !a.Stream:
	case r.Tokens == 0:
		r.Tokens = len(r.Stamps) // a server without usage in streams: a piece for each token
	case len(r.Stamps) > r.Tokens:
		r.Stamps = r.Stamps[:r.Tokens] // llama.cpp ends with a piece that brings the reason alone
	}
	if r.E2E = r.Stamps[len(r.Stamps)-1]; a.Stream {
		r.TTFT = r.Stamps[0]
	}
	if r.Loops == 0 {
		r.Loops = a.Loops * r.Tokens
	}
	return r, nil
}

// answer is what this client reads of an answer, or of one piece of it.
type answer struct {
	Choices []struct {
		Text  string
		Delta struct {
			Content          string
			ReasoningContent string `json:"reasoning_content"`
		}
		Logprobs     json.RawMessage
		FinishReason string `json:"finish_reason"`
	}
	Usage *struct {
		CompletionTokens        int `json:"completion_tokens"`
		CompletionTokensDetails struct {
			Loops struct{ Total int }
		} `json:"completion_tokens_details"`
	}
	Timings *struct {
		TTFT     float64 `json:"time_to_first_token_ms"`
		Drafted  int
		Accepted int
	}
	Warnings []string
	Error    *struct{ Message string }
}

// piece reads an answer, or one piece of it.
func (r *Reply) piece(a *Ask, data []byte) error {
	now := time.Since(r.Start)
	var in answer
	if err := json.Unmarshal(data, &in); err != nil {
		return fmt.Errorf("not a chunk: %.200s: %w", data, err)
	}
	if in.Error != nil {
		return fmt.Errorf("the server ended the stream: %s", in.Error.Message)
	}
	r.Warnings = append(r.Warnings, in.Warnings...)
	if u := in.Usage; u != nil {
		r.Tokens, r.Loops = u.CompletionTokens, u.CompletionTokensDetails.Loops.Total
	}
	if t := in.Timings; t != nil {
		r.Drafted, r.Accepted, r.TTFT = t.Drafted, t.Accepted, time.Duration(t.TTFT*float64(time.Millisecond))
	}
	for _, c := range in.Choices {
		text, thought := c.Text+c.Delta.Content, c.Delta.ReasoningContent
		r.Text, r.Finish = r.Text+text, cmp.Or(c.FinishReason, r.Finish)
		if a.Messages != nil && text+thought+c.FinishReason == "" {
			continue // a chat begins with a piece that has the role alone
		}
		r.Stamps = append(r.Stamps, now)
		if a.Show != nil && text+thought != "" {
			a.Show(thought, text)
		}
		if a.Answer != "" {
			return r.score(c.Logprobs, a)
		}
	}
	return nil
}

// score adds up the tokens that begin inside the answer: prompt and answer went in as one text.
func (l *Likelihood) score(data json.RawMessage, a *Ask) error {
	var in struct {
		TextOffset    []int            `json:"text_offset"`
		TokenLogprobs []*float64       `json:"token_logprobs"`
		Tokens        []string         `json:"tokens"`
		TopLogprobs   []map[string]any `json:"top_logprobs"`
	}
	if len(data) > 0 {
		if err := json.Unmarshal(data, &in); err != nil {
			return fmt.Errorf("log-probabilities: %w", err)
		}
	}
	if n := len(in.TextOffset); n == 0 || len(in.TokenLogprobs) != n || len(in.TopLogprobs) != n {
		return errors.New("it lacks the prompt's log-probabilities (echo with logprobs)")
	}
	l.Greedy = true
	boundary := len([]rune(a.Prompt)) // offsets count characters
	for i, at := range in.TextOffset {
		p := in.TokenLogprobs[i]
		if at < boundary || p == nil || i < len(in.Tokens) && in.Tokens[i] == "" {
			continue
		}
		l.Scored++
		l.Logprob += *p
		for _, v := range in.TopLogprobs[i] {
			if other, ok := v.(float64); ok && other > *p {
				l.Greedy = false
			}
		}
	}
	if l.Scored == 0 {
		return fmt.Errorf("%q: no token begins inside the answer", a.Prompt+a.Answer)
	}
	return nil
}
