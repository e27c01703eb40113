package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/loopserve/loopserve/configs"
	"github.com/loopserve/loopserve/internal/app"
	"github.com/loopserve/loopserve/internal/client"
	"github.com/loopserve/loopserve/models/bundle"
)

// asking is how run and chat reach a model: a server's URL, or one inside this process, which no port leads to.
type asking struct {
	url, models, model, key string
	library                 string
	tokens                  int
	temperature             float64
	seed                    int64
	policy                  string

	api client.Client
}

func (a *asking) flags(flags *pflag.FlagSet) {
	flags.StringVar(&a.url, "url", "", "server to ask; empty: the model runs in this process")
	flags.StringVar(&a.models, "models", "models", "folder of bundles, where there is no --url")
	flags.StringVar(&a.model, "model", "", "name of a model, or a bundle's folder (default: the only model there is)")
	flags.StringVar(&a.library, "ort-lib", "", "path of ONNX Runtime's shared library, where there is no --url (default: the pinned one)")
	flags.StringVar(&a.key, "api-key", "", "key for --url (default: LOOPSERVE_API_KEY)")
	flags.IntVar(&a.tokens, "max-tokens", 0, "tokens of an answer, at most; 0: what the context has room for, up to 256 without a chat")
	flags.Float64Var(&a.temperature, "temperature", 0, "0: always the most likely token")
	flags.Int64Var(&a.seed, "seed", 0, "of sampling; 0: a random one")
	flags.StringVar(&a.policy, "exit-policy", "", "let tokens leave the loop early: delta, gate, kl, entropy, argmax")
}

// open finds the model and what answers for it. close must be called.
func (a *asking) open(cmd *cobra.Command) (closer func() error, err error) {
	if a.key == "" {
		a.key = os.Getenv("LOOPSERVE_API_KEY")
	}
	if a.url != "" {
		a.api = client.Client{URL: a.url, Key: a.key}
		return func() error { return nil }, a.choose(cmd.Context())
	}
	name := base(a.model)
	if _, err := os.Stat(filepath.Join(name, bundle.FileName)); err == nil && name != "" {
		b, err := bundle.Open(name, bundle.Options{SkipHash: true})
		if err != nil {
			return nil, err
		}
		a.models, a.model = name, b.Manifest.Name+strings.TrimPrefix(a.model, name)
	}
	settings := map[string]string{
		"models": a.models, "listen": "127.0.0.1:0", "admin_listen": "", "api_keys": "", "api_key_file": "", "preload": "none", "log_level": "warn",
	}
	if a.library != "" {
		settings["ort_lib"] = a.library
	}
	cfg, err := configs.Load(configs.Sources{Environ: os.Environ(), Flags: settings})
	if err != nil {
		return nil, &usageError{err}
	}
	p, err := app.Load(cfg, versionText(), newLogger(cmd.ErrOrStderr(), &configs.Config{LogLevel: "error"}))
	if err != nil {
		return nil, err
	}
	inside, stop := p.Inside(context.WithoutCancel(cmd.Context())) // an interrupt ends the request, then stop the process
	a.api = client.Client{URL: "http://in-process", HTTP: inside}
	if err := a.choose(cmd.Context()); err != nil {
		return nil, errors.Join(err, stop())
	}
	return stop, nil
}

// choose checks the model's name, or takes the only one there is.
func (a *asking) choose(ctx context.Context) error {
	var list struct {
		Data []struct {
			ID     string  `json:"id"`
			Parent *string `json:"parent"`
		} `json:"data"`
	}
	if err := a.get(ctx, "/v1/models", &list); err != nil {
		return err
	}
	var names []string
	for _, m := range list.Data {
		if m.Parent == nil {
			names = append(names, m.ID)
		}
	}
	switch {
	case a.model == "" && len(names) == 1:
		a.model = names[0]
	case a.model == "":
		return usagef("several models are served: choose one of them with --model: %s", strings.Join(names, ", "))
	case a.url == "" && !slices.Contains(names, base(a.model)): // another server may know names that it does not list
		return usagef("model %q is not served here: choose one of these with --model: %s", a.model, strings.Join(names, ", "))
	}
	return nil
}

// base is a model's name without the loops after @.
func base(model string) string {
	name, _, _ := strings.Cut(model, "@")
	return name
}

// said is what came of a request.
type said struct {
	Text   string        `json:"text"`
	Tokens int           `json:"tokens"`
	Loops  float64       `json:"mean_loops"`
	First  time.Duration `json:"-"` // to the first token
	Took   time.Duration `json:"-"`
	Finish string        `json:"finish_reason"`

	thinks bool // a thought was shown last
}

func (s *said) rate() float64 { return float64(s.Tokens) / max(s.Took.Seconds(), 1e-9) }

// streamed is what the two routes' chunks have that is of use here.
type streamed struct {
	Choices []struct {
		Text  string `json:"text"`
		Delta struct {
			Content          string `json:"content"`
			ReasoningContent string `json:"reasoning_content"`
		} `json:"delta"`
		FinishReason *string `json:"finish_reason"`
	} `json:"choices"`
	Usage *struct {
		CompletionTokens        int `json:"completion_tokens"`
		CompletionTokensDetails struct {
			Loops struct {
				Mean float64 `json:"mean"`
			} `json:"loops"`
		} `json:"completion_tokens_details"`
	} `json:"usage"`
	Error *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// ask streams an answer to what body asks for; each piece of text goes to show as it comes. With an error comes what there
// was of the answer until then, nil for nothing.
func (a *asking) ask(ctx context.Context, path, loops string, body map[string]any, show func(string)) (*said, error) {
	body["model"] = a.model
	body["stream"], body["stream_options"] = true, map[string]bool{"include_usage": true}
	body["temperature"] = a.temperature
	if n := a.most(ctx, body); n > 0 {
		body["max_tokens"] = n
	}
	if a.seed != 0 {
		body["seed"] = a.seed
	}
	if a.policy != "" {
		body["exit_policy"] = a.policy
	}
	if loops == "auto" {
		body["model"] = base(a.model) + "@auto"
	} else if loops != "" {
		body["loops"] = json.Number(loops)
	}
	start := time.Now()
	resp, err := a.api.Post(ctx, path, body)
	if err != nil {
		return nil, mistaken(err)
	}
	defer resp.Body.Close()
	out := &said{}
	var ended error // by the server, which says why
	err = client.Events(resp.Body, func(data []byte) error {
		var c streamed
		if err := json.Unmarshal(data, &c); err != nil {
			return err
		}
		if c.Error != nil {
			ended = errors.New(c.Error.Message)
			return ended
		}
		out.hear(&c, time.Since(start), show)
		return nil
	})
	out.Took = time.Since(start)
	if ended != nil {
		return out, ended
	}
	if err != nil {
		return out, fmt.Errorf("answer of %s: %w", a.api.URL, err)
	}
	return out, nil
}

// hear takes a chunk in.
func (s *said) hear(c *streamed, now time.Duration, show func(string)) {
	for _, choice := range c.Choices {
		text, thought := choice.Text+choice.Delta.Content, choice.Delta.ReasoningContent
		if s.First == 0 && (text+thought != "" || choice.FinishReason != nil) {
			s.First = now
		}
		s.Text += text
		shown := thought
		s.thinks = s.thinks || thought != ""
		if s.thinks && text != "" {
			shown += "\n\n" // a thought is shown, and is no part of the answer
			s.thinks = false
		}
		if shown += text; show != nil && shown != "" {
			show(shown)
		}
		if choice.FinishReason != nil {
			s.Finish = *choice.FinishReason
		}
	}
	if c.Usage != nil {
		s.Tokens, s.Loops = c.Usage.CompletionTokens, c.Usage.CompletionTokensDetails.Loops.Mean
	}
}

// most is how many tokens to ask for; 0 leaves it to the server. OpenAI's default for a prompt is 16, which cuts most
// answers off: what fits is found out by the routes that vLLM has, too.
func (a *asking) most(ctx context.Context, body map[string]any) int {
	prompt, ok := body["prompt"]
	if a.tokens > 0 || !ok {
		return a.tokens
	}
	var room struct {
		Count int `json:"count"`
		Most  int `json:"max_model_len"`
	}
	if a.api.PostFor(ctx, "/tokenize", map[string]any{"model": a.model, "prompt": prompt}, &room) != nil {
		return 0 // the request itself will say what is wrong
	}
	return min(max(room.Most-room.Count, 0), 256)
}

func (a *asking) get(ctx context.Context, path string, into any) error {
	return mistaken(a.api.Get(ctx, path, into))
}

// mistaken shortens what a server refused, and makes a mistake of who typed the command of what is one.
func mistaken(err error) error {
	var status *client.StatusError
	var address *url.Error
	switch {
	case errors.As(err, &status):
		short := fmt.Errorf("HTTP %d: %s", status.Status, status.Message())
		if mistake(err) {
			return &usageError{short}
		}
		return short
	case errors.As(err, &address) && address.Op == "parse":
		return usagef("--url: %w", err)
	}
	return err
}
