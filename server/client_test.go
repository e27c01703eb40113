package server_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server"
)

// OpenAI's own Go client, unmodified.

func TestOpenAIClient(t *testing.T) {
	s := &script{text: "1368\x00", finish: loopctl.FinishStop}
	ts, _ := serve(t, s, server.Config{APIKeys: []string{"sesame"}})
	client := openai.NewClient(option.WithBaseURL(ts.URL+"/v1/"), option.WithAPIKey("sesame"), option.WithHTTPClient(ts.Client()))
	params := openai.CompletionNewParams{
		Model: "adder", Prompt: openai.CompletionNewParamsPromptUnion{OfString: openai.String("123+456+789=")},
		MaxTokens: openai.Int(8), Temperature: openai.Float(0),
	}

	t.Run("completion", func(t *testing.T) {
		c, err := client.Completions.New(t.Context(), params, option.WithJSONSet("loops", 8))
		if err != nil {
			t.Fatal(err)
		}
		if c.Choices[0].Text != "1368" || c.Choices[0].FinishReason != openai.CompletionChoiceFinishReasonStop || c.Usage.TotalTokens != 17 {
			t.Errorf("got %s", c.RawJSON())
		}
		var loops struct{ Total int }
		extra := c.Usage.CompletionTokensDetails.JSON.ExtraFields["loops"]
		if err := json.Unmarshal([]byte(extra.Raw()), &loops); err != nil || loops.Total != 40 {
			t.Errorf("loops %s", extra.Raw())
		}
		if timings, ok := c.JSON.ExtraFields["timings"]; !ok || !strings.Contains(timings.Raw(), "ms_per_loop") {
			t.Errorf("timings %s", timings.Raw())
		}
	})
	t.Run("stream", func(t *testing.T) {
		p := params
		p.StreamOptions.IncludeUsage = openai.Bool(true)
		stream := client.Completions.NewStreaming(t.Context(), p)
		text, tokens := "", int64(0)
		for stream.Next() {
			c := stream.Current()
			for _, ch := range c.Choices {
				text += ch.Text
			}
			tokens = c.Usage.CompletionTokens
		}
		if err := stream.Err(); err != nil || text != "1368" || tokens != 5 {
			t.Errorf("%v, text %q, %d tokens", err, text, tokens)
		}
	})
	t.Run("models", func(t *testing.T) {
		page, err := client.Models.List(t.Context())
		if err != nil || len(page.Data) != 5 || page.Data[0].ID != "adder" {
			t.Errorf("%v %+v", err, page)
		}
		m, err := client.Models.Get(t.Context(), "adder@8")
		if err != nil || m.ID != "adder@8" || !strings.Contains(m.JSON.ExtraFields["loops"].Raw(), `"trained":8`) {
			t.Errorf("%v %+v", err, m)
		}
	})
	t.Run("errors", func(t *testing.T) {
		_, err := client.Completions.New(t.Context(), params, option.WithJSONSet("loops", 0))
		apiErr, ok := errors.AsType[*openai.Error](err)
		if !ok || apiErr.StatusCode != 400 || apiErr.Code != "loops_out_of_range" || apiErr.Param != "loops" || apiErr.Type != "invalid_request_error" {
			t.Errorf("%v", err)
		}
		_, err = client.Completions.New(t.Context(), params, option.WithAPIKey("wrong"))
		if apiErr, ok := errors.AsType[*openai.Error](err); !ok || apiErr.StatusCode != 401 {
			t.Errorf("%v", err)
		}
	})
}

// The client retries what the server says may be retried, after the time that it says, and nothing else.
func TestOpenAIClientRetries(t *testing.T) {
	good := &script{text: "a", finish: loopctl.FinishLength}
	for _, tt := range []struct {
		err   error
		tries int
	}{{loopctl.ErrQueueFull, 3}, {loopctl.ErrEngine, 1}} {
		tries := 0
		g := &generator{submit: func(r ...*loopctl.Request) ([]*loopctl.Stream, error) {
			if tries++; tries < 3 {
				return nil, tt.err
			}
			return good.submit(r...)
		}}
		srv := serverOf(t, model("adder", g))
		ts := newTestServer(t, srv)
		client := openai.NewClient(option.WithBaseURL(ts.URL+"/v1/"), option.WithAPIKey("x"), option.WithMaxRetries(5))
		_, err := client.Completions.New(t.Context(), openai.CompletionNewParams{
			Model: "adder", Prompt: openai.CompletionNewParamsPromptUnion{OfString: openai.String("x")},
		})
		if tries != tt.tries || (err == nil) != (tt.tries == 3) {
			t.Errorf("%v: %d tries, %v", tt.err, tries, err)
		}
	}
}

func TestOpenAIClientStreamError(t *testing.T) {
	s := &script{text: "abc", finish: loopctl.FinishError, err: loopctl.ErrEngine}
	ts, _ := serve(t, s, server.Config{})
	client := openai.NewClient(option.WithBaseURL(ts.URL+"/v1/"), option.WithAPIKey("x"), option.WithHTTPClient(ts.Client()))
	stream := client.Completions.NewStreaming(t.Context(), openai.CompletionNewParams{
		Model: "adder", Prompt: openai.CompletionNewParamsPromptUnion{OfString: openai.String("x")},
	})
	n := 0
	for stream.Next() {
		n++
	}
	if stream.Err() == nil || n != 2 || !strings.Contains(stream.Err().Error(), "engine failed") {
		t.Errorf("%d chunks, %v", n, stream.Err())
	}
}
