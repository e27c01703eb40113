package evaluate

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/loopserve/loopserve/internal/client"
)

// HTTP asks a server through the completions API. It is an Asker and a Scorer.
type HTTP struct {
	URL    string // with or without /v1
	Key    string // may be empty
	Model  string
	Client *http.Client // nil: http.DefaultClient
}

// completion is what this client reads of an answer.
type completion struct {
	Choices []struct {
		Text     string
		Logprobs *struct {
			TextOffset    []int            `json:"text_offset"`
			TokenLogprobs []*float64       `json:"token_logprobs"`
			Tokens        []string         `json:"tokens"`
			TopLogprobs   []map[string]any `json:"top_logprobs"`
		}
	}
	Usage struct {
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
}

func (h *HTTP) fields(s Setting) map[string]any {
	b := map[string]any{"model": h.Model, "temperature": 0}
	client.Depth(b, s.Loops, s.Exit, s.Draft)
	return b
}

// Ask implements Asker.
func (h *HTTP) Ask(ctx context.Context, s Setting, p Problem, maxTokens int) (Answer, error) {
	b := h.fields(s)
	b["prompt"], b["max_tokens"] = p.Prompt, maxTokens
	start := time.Now()
	c, err := h.post(ctx, s, b)
	if err != nil {
		return Answer{}, err
	}
	a := Answer{
		Text: strings.TrimSpace(c.Choices[0].Text), Tokens: c.Usage.CompletionTokens,
		Loops: c.Usage.CompletionTokensDetails.Loops.Total, Time: time.Since(start),
	}
	if a.Loops == 0 {
		a.Loops = s.Loops * a.Tokens
	}
	if t := c.Timings; t != nil {
		a.TTFT, a.Drafted, a.Accepted = time.Duration(t.TTFT*float64(time.Millisecond)), t.Drafted, t.Accepted
	}
	return a, nil
}

// Score implements Scorer: prompt and answer go in as one text, and the tokens that begin inside the answer count.
func (h *HTTP) Score(ctx context.Context, s Setting, p Problem) (l Likelihood, err error) {
	b := h.fields(s)
	b["prompt"], b["max_tokens"], b["echo"], b["logprobs"] = p.Prompt+p.Answer, 0, true, 1
	c, err := h.post(ctx, s, b)
	if err != nil {
		return l, err
	}
	lp := c.Choices[0].Logprobs
	if lp == nil || len(lp.TokenLogprobs) != len(lp.TextOffset) || len(lp.TopLogprobs) != len(lp.TextOffset) {
		return l, fmt.Errorf("%s: an answer without the prompt's log-probabilities", h.URL)
	}
	l.Greedy = true
	boundary := len([]rune(p.Prompt)) // offsets count characters
	for i, at := range lp.TextOffset {
		if at < boundary || lp.TokenLogprobs[i] == nil || i < len(lp.Tokens) && lp.Tokens[i] == "" {
			continue
		}
		l.Tokens++
		l.Logprob += *lp.TokenLogprobs[i]
		for _, v := range lp.TopLogprobs[i] {
			if n, ok := v.(float64); ok && n > *lp.TokenLogprobs[i] {
				l.Greedy = false
			}
		}
	}
	if l.Tokens == 0 {
		return l, fmt.Errorf("%q: no token begins inside the answer", p.Prompt+p.Answer)
	}
	return l, nil
}

// Range is which loops the model takes.
func (h *HTTP) Range(ctx context.Context) (least, most int, err error) {
	var card struct{ Loops struct{ Min, Max int } }
	path := "/v1/models/" + url.PathEscape(h.Model)
	if err := h.api().Get(ctx, path, &card); err != nil {
		return 0, 0, err
	}
	if card.Loops.Max < 1 {
		return 0, 0, fmt.Errorf("%s%s: no range of loops: it is no server of looped models, give --loops", h.URL, path)
	}
	return card.Loops.Min, card.Loops.Max, nil
}

func (h *HTTP) api() *client.Client { return &client.Client{URL: h.URL, Key: h.Key, HTTP: h.Client} }

func (h *HTTP) post(ctx context.Context, s Setting, fields map[string]any) (*completion, error) {
	var out completion
	err := h.api().PostFor(ctx, "/v1/completions", fields, &out)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s at %s loops: %w", h.Model, s.Name(), err)
	case len(out.Choices) == 0:
		return nil, fmt.Errorf("%s: a completion without choices", h.URL)
	}
	return &out, nil
}
