package app

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/loopserve/loopserve/configs"
	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/runtime/engine"
	"github.com/loopserve/loopserve/runtime/engine/spec"
	"github.com/loopserve/loopserve/runtime/ort"
	"github.com/loopserve/loopserve/server/api"
	"github.com/loopserve/loopserve/server/generate"
	"github.com/loopserve/loopserve/tokenizer"
)

// loader reads bundles into models, and brings their engines into memory.
type loader struct {
	cfg      *configs.Config
	log      *slog.Logger
	env      *ort.Env
	observer func(model string) loopctl.Observer
	fleet    *fleet
	trust    []ed25519.PublicKey
	settle   func(*model, *bundle.Bundle, engine.Engine) // after a load with mapped weights
}

// read opens a bundle without its graphs. Hashes are compared as verify says.
func (k *loader) read(dir string) (*model, error) {
	digest, err := bundle.Digest(dir)
	if err != nil {
		return nil, err
	}
	early := k.cfg.Verify == "start" || len(k.trust) > 0
	b, err := bundle.Open(dir, bundle.Options{SkipHash: !early, HashNewer: k.cfg.Verify == "lazy", Trust: k.trust})
	if err != nil {
		return nil, err
	}
	m := &b.Manifest
	var names []string
	if list := k.cfg.ServedModelName; len(list) > 0 {
		m.Name, names = list[0], list[1:]
	}
	tok, err := tokenizer.Open(b.FS(), k.cfg.Tokenizer)
	if err != nil {
		return nil, fmt.Errorf("bundle %s: %w", dir, err)
	}
	holds, err := capacity(m, k.cfg, k.env.Provider())
	if err != nil {
		return nil, fmt.Errorf("bundle %s: %w", dir, err)
	}
	created := time.Now()
	if info, err := os.Stat(filepath.Join(dir, bundle.FileName)); err == nil {
		created = info.ModTime()
	}
	out := &model{name: m.Name, dir: dir, digest: digest, fleet: k.fleet, bytes: memoryOf(m, &holds, k.cfg, k.env.Provider())}
	out.open = func() (*loaded, error) { return k.load(out, b, !early) }
	if k.cfg.Verify == "lazy" && !early {
		out.verify = b.Verify
	}
	out.card = &generate.Model{
		Name: m.Name, Names: names, Description: m.Description, Created: created.Unix(), Generator: out, Tokenizer: tok,
		Loops: holds.Loops, Context: holds.Context, Vocab: holds.Vocab, HiddenSize: holds.Hidden, Delta: holds.Delta, Gate: holds.Gate, StopIDs: m.Tokens.Stop, BOS: m.Tokens.BOS, PAD: m.Tokens.PAD,
		KVPolicies: m.KVPolicies, KVPolicy: spec.KVPolicyName(holds.KV), KV: holds.KV, KVTokens: holds.Tokens, ChatTemplate: tok.Config().ChatTemplate,
		Problems: problemsOf(b), Trajectories: holds.Trajectories, AutoDraft: k.cfg.Draft == "auto",
	}
	if t := m.Trajectory; t != nil {
		out.card.Grid = t.Grid
	}
	// Where one token has several meanings it is no sign of text that cannot be read: byte-level vocabularies have all.
	if c := tok.Config(); c.UNK != "" && c.UNK != c.BOS && c.UNK != c.EOS && c.UNK != c.PAD {
		if ids, err := tok.Encode(c.UNK, false); err == nil && len(ids) > 0 && out.card.Token(&ids[0]) == c.UNK {
			out.card.UNK = &ids[0]
		}
	}
	if a := m.Auto; a != nil {
		kind, _ := loopctl.ParseExitKind(a.ExitPolicy) // the bundle has been checked
		out.card.Recommended = generate.AutoPolicy{
			Loops: a.Loops, Exit: loopctl.ExitPolicy{Kind: kind, Threshold: a.ExitThreshold, MinLoops: a.MinLoops},
		}
	}
	if k.cfg.Generation != "off" {
		if out.card.Defaults, err = defaultsOf(b); err != nil {
			k.log.Warn("generation_config.json: fields ignored", "model", m.Name, "error", err)
		}
	}
	for i, s := range shapes(m, k.cfg, k.env.Provider()) {
		out.card.PageBytes[i] = s.PageBytes()
	}
	return out, nil
}

// defaultsOf are what the bundle's generation_config.json says of fields of sampling.
func defaultsOf(b *bundle.Bundle) (api.Defaults, error) {
	data, err := b.ReadFile("generation_config.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return api.ReadDefaults(data)
}

// problemsOf reads the bundle's eval.jsonl when asked; nil where it has none.
func problemsOf(b *bundle.Bundle) func() ([]byte, error) {
	const name = "eval.jsonl"
	if _, ok := b.Manifest.Files[name]; !ok {
		return nil
	}
	return func() ([]byte, error) { return fs.ReadFile(b.FS(), name) }
}

// load opens the engine and starts its controller. With mapped weights the files must stay as they are for a while.
func (k *loader) load(out *model, b *bundle.Bundle, mapped bool) (*loaded, error) {
	m, cfg := &b.Manifest, k.cfg
	e, err := openEngine(k.env, b, cfg, mapped)
	if err != nil {
		return nil, err
	}
	control := controllerConfig(cfg)
	control.Observer, control.Logger, control.Idle = k.observer(m.Name), k.log.With("model", m.Name), k.fleet.fellIdle
	c := loopctl.New(e, control)
	c.Start()
	holds := e.Capacity()
	k.log.Info("model", "name", m.Name, "family", m.Family, "loops", fmt.Sprintf("%d…%d, default %d", m.Loops.Min, m.Loops.Max, m.Loops.Default),
		"context", holds.Context, "weights", m.Precision.Weights, "block_pages", holds.Pages[loopctl.StageBlock],
		"kv_tokens_at_default_loops", holds.Tokens(m.Loops.Default))
	if mapped {
		k.fleet.wg.Go(func() { k.settle(out, b, e) })
	}
	return &loaded{controller: c, free: e.Close}, nil
}

// openRuntime opens ONNX Runtime as a configuration wants it.
func openRuntime(cfg *configs.Config, log *slog.Logger) (*ort.Env, error) {
	return ort.Open(ort.Options{Library: cfg.ORTLib, Threads: cfg.Threads, Spin: true, Provider: cfg.Provider, DeviceID: cfg.DeviceID, Logger: log, LoadTimeout: cfg.LoadTimeout})
}

// openEngine opens a bundle's engine with the sizes of a configuration, its weights read or mapped.
func openEngine(env *ort.Env, b *bundle.Bundle, cfg *configs.Config, mapped bool) (engine.Engine, error) {
	opt, err := engineOptions(cfg, &b.Manifest, env.Provider())
	if err != nil {
		return nil, err
	}
	opt.MapWeights = mapped
	return engine.Open(env, b, opt)
}

// controllerConfig is how a configuration has requests scheduled. Observer, Logger and Idle are left to the caller.
func controllerConfig(cfg *configs.Config) loopctl.Config {
	out := loopctl.Config{
		QueueLimit: cfg.QueueLimit, MaxRunning: cfg.MaxRunning, RowBudget: cfg.RowBudget, ReserveTokens: cfg.ReserveTokens,
		NoPrefixCache: !cfg.PrefixCache, CallTimeout: cfg.CallTimeout, Elastic: loopctl.Elastic{After: cfg.ElasticAfter, Steps: cfg.ElasticSteps},
	}
	if cfg.Scheduling == loopctl.ScheduleLockstep.String() {
		out.Scheduling = loopctl.ScheduleLockstep
	}
	if out.ReserveTokens == 0 { // the controller's zero is its default
		out.ReserveTokens = 1
	}
	return out
}
