package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/loopserve/loopserve/configs"
	"github.com/loopserve/loopserve/internal/serving"
	"github.com/loopserve/loopserve/models/bundle"
)

// asking is how run and chat reach a model: a server's URL, or one inside this process, which no port leads to.
type asking struct {
	url, models, model, key string
	tokens                  int
	temperature             float64
	seed                    int64
	policy                  string

	client *http.Client
}

func (a *asking) flags(flags *pflag.FlagSet) {
	flags.StringVar(&a.url, "url", "", "server to ask; empty: the model runs in this process")
	flags.StringVar(&a.models, "models", "models", "folder of bundles, where there is no --url")
	flags.StringVar(&a.model, "model", "", "name of a model, or a bundle's folder (default: the only model there is)")
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
		a.client, a.url = http.DefaultClient, strings.TrimSuffix(strings.TrimSuffix(a.url, "/"), "/v1")
		return func() error { return nil }, a.choose(cmd.Context())
	}
	name, _, _ := strings.Cut(a.model, "@")
	if _, err := os.Stat(filepath.Join(name, bundle.FileName)); err == nil && name != "" {
		b, err := bundle.Open(name, bundle.Options{SkipHash: true})
		if err != nil {
			return nil, err
		}
		a.models, a.model = name, b.Manifest.Name+strings.TrimPrefix(a.model, name)
	}
	cfg, err := configs.Load(configs.Sources{Env: os.LookupEnv, Flags: map[string]string{
		"models": a.models, "listen": "127.0.0.1:0", "admin_listen": "", "api_keys": "", "api_key_file": "", "preload": "none", "log_level": "warn",
	}})
	if err != nil {
		return nil, &usageError{err}
	}
	p, err := serving.Load(cfg, versionText(), newLogger(cmd.ErrOrStderr(), &configs.Config{LogLevel: "error"}))
	if err != nil {
		return nil, err
	}
	var stop func() error
	a.client, stop = p.Inside(context.WithoutCancel(cmd.Context())) // an interrupt ends the request, then stop the process
	a.url, a.key = "http://in-process", ""
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
	}
	return nil
}

// said is what came of a request.
type said struct {
	Text   string        `json:"text"`
	Tokens int           `json:"tokens"`
	Loops  float64       `json:"mean_loops"`
	First  time.Duration `json:"-"` // to the first token
	Took   time.Duration `json:"-"`
	Finish string        `json:"finish_reason"`
}

func (s *said) rate() float64 { return float64(s.Tokens) / max(s.Took.Seconds(), 1e-9) }

// streamed is what the two routes' chunks have that is of use here.
type streamed struct {
	Choices []struct {
		Text  string `json:"text"`
		Delta struct {
			Content string `json:"content"`
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

// ask streams an answer to what body asks for; each piece of text goes to show as it comes.
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
	if name, _, _ := strings.Cut(a.model, "@"); loops == "auto" {
		body["model"] = name + "@auto"
	} else if loops != "" {
		body["loops"] = json.Number(loops)
	}
	data, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	resp, err := a.send(ctx, http.MethodPost, path, bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	out := &said{}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		line, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		if line == "[DONE]" {
			out.Took = time.Since(start)
			return out, nil
		}
		var c streamed
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			return nil, fmt.Errorf("answer of %s: %w", a.url, err)
		}
		if c.Error != nil {
			return nil, errors.New(c.Error.Message)
		}
		for _, choice := range c.Choices {
			text := choice.Text + choice.Delta.Content
			if out.First == 0 && (text != "" || choice.FinishReason != nil) {
				out.First = time.Since(start)
			}
			out.Text += text
			if show != nil && text != "" {
				show(text)
			}
			if choice.FinishReason != nil {
				out.Finish = *choice.FinishReason
			}
		}
		if c.Usage != nil {
			out.Tokens, out.Loops = c.Usage.CompletionTokens, c.Usage.CompletionTokensDetails.Loops.Mean
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("answer of %s: %w", a.url, err)
	}
	return nil, fmt.Errorf("answer of %s ended before it was complete", a.url)
}

// most is how many tokens to ask for; 0 leaves it to the server. OpenAI's default for a prompt is 16, which cuts most
// answers off: what fits is found out by the routes that vLLM has, too.
func (a *asking) most(ctx context.Context, body map[string]any) int {
	prompt, ok := body["prompt"]
	if a.tokens > 0 || !ok {
		return a.tokens
	}
	data, err := json.Marshal(map[string]any{"model": a.model, "prompt": prompt})
	if err != nil {
		return 0
	}
	resp, err := a.send(ctx, http.MethodPost, "/tokenize", bytes.NewReader(data))
	if err != nil {
		return 0 // the request itself will say what is wrong
	}
	defer resp.Body.Close()
	var room struct {
		Count int `json:"count"`
		Most  int `json:"max_model_len"`
	}
	if json.NewDecoder(resp.Body).Decode(&room) != nil {
		return 0
	}
	return min(max(room.Most-room.Count, 0), 256)
}

func (a *asking) get(ctx context.Context, path string, into any) error {
	resp, err := a.send(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("answer of %s%s: %w", a.url, path, err)
	}
	return nil
}

// send makes an error of every answer but 200. A 400 is a mistake of who typed the command.
func (a *asking) send(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, a.url+path, body)
	if err != nil {
		return nil, usagef("--url is %q: %w", a.url, err)
	}
	r.Header.Set("Content-Type", "application/json")
	if a.key != "" {
		r.Header.Set("Authorization", "Bearer "+a.key)
	}
	resp, err := a.client.Do(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<16)) // half a message is better than none
	var e streamed
	if json.Unmarshal(text, &e) == nil && e.Error != nil {
		text = []byte(e.Error.Message)
	}
	err = fmt.Errorf("HTTP %d: %s", resp.StatusCode, bytes.TrimSpace(text))
	if resp.StatusCode == http.StatusBadRequest || resp.StatusCode == http.StatusNotFound {
		return nil, &usageError{err}
	}
	return nil, err
}
