package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/loopserve/loopserve/configs"
	"github.com/loopserve/loopserve/internal/measure"
	"github.com/loopserve/loopserve/internal/store"
	"github.com/loopserve/loopserve/models/bundle"
)

// modelClient is how run and chat reach a model: a server's URL, or one inside this process, which no port leads to.
type modelClient struct {
	url, models, model, key string
	library                 string
	tokens                  int
	temperature             float64
	seed                    int64
	policy                  string

	api measure.HTTP
}

func (a *modelClient) flags(flags *pflag.FlagSet) {
	flags.StringVar(&a.url, "url", "", "server to ask; empty: run the model in this process")
	flags.StringVar(&a.models, "models", "models", "folder of bundles, without --url")
	flags.StringVar(&a.model, "model", "", "name of a model, a bundle's folder, or a checkpoint: a folder, a GGUF file or hf:ORG/NAME[@REVISION] (default: the only model there is)")
	addSettings(flags, ofCheckpoints)
	flags.StringVar(&a.library, "ort-lib", "", "path of ONNX Runtime's shared library, without --url (default: the pinned one)")
	flags.StringVar(&a.key, "api-key", "", "key for --url (default: LOOPSERVE_API_KEY)")
	flags.IntVar(&a.tokens, "max-tokens", 0, "maximum tokens of an answer; 0: the rest of the context, up to 256 outside a chat")
	flags.Float64Var(&a.temperature, "temperature", 0, "sampling temperature; 0: greedy")
	flags.Int64Var(&a.seed, "seed", 0, "sampling seed; 0: random")
	flags.StringVar(&a.policy, "exit-policy", "", "exit policy: delta, gate, kl, entropy or argmax")
}

// named takes the model from the command line, where it is named there.
func (a *modelClient) named(args []string) error {
	if len(args) > 0 && a.model != "" {
		return usagef("--model is %q, and %q is named beside it: give one of them", a.model, args[0])
	} else if len(args) > 0 {
		a.model = args[0]
	}
	return nil
}

// open finds the model and what answers for it. close must be called.
func (a *modelClient) open(cmd *cobra.Command) (closer func() error, err error) {
	if a.key == "" {
		a.key = os.Getenv("LOOPSERVE_API_KEY")
	}
	if a.url != "" {
		a.api = measure.HTTP{URL: a.url, Key: a.key}
		return func() error { return nil }, a.choose(cmd.Context())
	}
	if store.IsCheckpoint(a.model) { // the only model there is then
		a.models, a.model = a.model, ""
	}
	name := base(a.model)
	if _, err := os.Stat(filepath.Join(name, bundle.FileName)); err == nil && name != "" {
		b, err := bundle.Open(name, bundle.Options{SkipHash: true})
		if err != nil {
			return nil, err
		}
		a.models, a.model = name, b.Manifest.Name+strings.TrimPrefix(a.model, name)
	}
	settings := given(cmd.Flags(), ofCheckpoints)
	settings["models"], settings["preload"] = a.models, "none"
	if a.library != "" {
		settings["ort_lib"] = a.library
	}
	cfg, err := configs.Load(configs.Sources{Environ: os.Environ(), Flags: settings})
	if err != nil {
		return nil, &usageError{err}
	}
	api, stop, err := inside(cmd, cfg)
	if err != nil {
		return nil, err
	}
	a.api = api
	if err := a.choose(cmd.Context()); err != nil {
		return nil, errors.Join(err, stop())
	}
	return stop, nil
}

// choose checks the model's name, or takes the only one there is.
func (a *modelClient) choose(ctx context.Context) error {
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

// ask streams an answer at so many loops, a number, auto, or nothing for the model's own. With an error comes what there was of
// the answer until then, nil for nothing.
func (a *modelClient) ask(ctx context.Context, loops string, q measure.Ask) (*measure.Reply, error) {
	h := a.api
	h.Model = a.model
	if loops == "auto" {
		h.Model = base(a.model) + "@auto"
	} else if loops != "" {
		q.Loops, _ = strconv.Atoi(loops) // readDepths has checked it
	}
	if a.policy != "" {
		h.Extra = map[string]any{"exit_policy": a.policy}
	}
	q.Stream, q.Temperature, q.Seed, q.MaxTokens = true, a.temperature, a.seed, a.most(ctx, &q)
	r, err := h.Do(ctx, q)
	return r, mistaken(err)
}

// within is the range of loops that the model takes.
func (a *modelClient) within(ctx context.Context) (least, most int, err error) {
	h := a.api
	h.Model = base(a.model)
	return h.Range(ctx)
}

// show writes the pieces of an answer as they come. A thought stands before the answer.
func show(w io.Writer) func(thought, text string) {
	thinks := false
	return func(thought, text string) {
		thinks = thinks || thought != ""
		if thinks && text != "" {
			thought, thinks = thought+"\n\n", false
		}
		fmt.Fprint(w, thought+text)
	}
}

// most is how many tokens to ask for; 0 leaves it to the server. OpenAI's default for a prompt is 16, which cuts most
// answers off: what fits is found out by the routes that vLLM has, too.
func (a *modelClient) most(ctx context.Context, q *measure.Ask) int {
	if a.tokens > 0 || q.Messages != nil {
		return a.tokens
	}
	var room struct {
		Count int `json:"count"`
		Most  int `json:"max_model_len"`
	}
	if a.api.Post(ctx, "/tokenize", map[string]any{"model": a.model, "prompt": q.Prompt}, &room) != nil {
		return 0 // the request itself will say what is wrong
	}
	return min(max(room.Most-room.Count, 0), 256)
}

func (a *modelClient) get(ctx context.Context, path string, into any) error {
	return mistaken(a.api.Get(ctx, path, into))
}

// mistaken shortens what a server refused, and makes a mistake of who typed the command of what is one.
func mistaken(err error) error {
	var status *measure.StatusError
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
