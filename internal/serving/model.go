package serving

import (
	"context"
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
	"github.com/loopserve/loopserve/runtime/kvcache"
	"github.com/loopserve/loopserve/runtime/ort"
	"github.com/loopserve/loopserve/server"
	"github.com/loopserve/loopserve/tokenizer"
)

// model is one reading of one bundle: what a client may know of it stays in memory, its engine comes and goes. It is
// the server's Generator: the first request brings the engine in. A reload makes another model.
type model struct {
	name, dir string
	digest    [32]byte // of the manifest
	card      *server.Model
	estimate  int64                 // bytes, before it was ever loaded
	open      func() (*part, error) // the slow part
	fleet     *fleet

	// Under fleet.mu.
	part    *part // nil: not in memory
	bytes   int64 // of the last part
	users   int   // Submits under way
	waiting int   // acquires under way
	used    time.Time
	loading bool
	took    time.Duration // of the last load
	err     error         // of the last load, at failed
	failed  time.Time
	retired bool // a reload has taken its place
}

// part is what takes memory: a controller, which runs, and its engine.
type part struct {
	controller *loopctl.Controller
	free       func() error // the engine's
	bytes      int64
}

// Submit implements server.Generator.
func (m *model) Submit(reqs ...*loopctl.Request) ([]*loopctl.Stream, error) {
	ctx := context.Background()
	if len(reqs) > 0 && reqs[0].Context != nil {
		ctx = reqs[0].Context
	}
	p, err := m.fleet.acquire(ctx, m)
	if err != nil {
		return nil, err
	}
	defer m.fleet.release(m) // from here on the controller knows that it is in use
	return p.controller.Submit(reqs...)
}

// Snapshot implements server.Generator; it is zero while the model is not in memory.
func (m *model) Snapshot() loopctl.Snapshot {
	m.fleet.mu.Lock()
	p := m.part
	m.fleet.mu.Unlock()
	if p == nil {
		return loopctl.Snapshot{}
	}
	return p.controller.Snapshot()
}

// Loaded implements server.Loaded.
func (m *model) Loaded() (bool, int64) {
	m.fleet.mu.Lock()
	defer m.fleet.mu.Unlock()
	if m.part == nil {
		return false, m.estimate
	}
	return true, m.bytes
}

// idle says that nobody generates or is about to. It needs fleet.mu.
func (m *model) idle() bool {
	if m.users > 0 {
		return false
	}
	s := m.part.controller.Snapshot()
	return s.Running == 0 && s.Waiting == 0 && s.Backlog == 0
}

// opened is open, with a panic made an error: a bundle that is worse than anybody thought must not take the others down.
func (m *model) opened() (p *part, err error) {
	defer func() {
		if r := recover(); r != nil {
			p, err = nil, fmt.Errorf("bundle %s: opening panicked: %v", m.dir, r)
		}
	}()
	return m.open()
}

// close waits for what was accepted, then frees the memory.
func (p *part) close(ctx context.Context) error {
	return errors.Join(p.controller.Drain(ctx), p.cut(ctx))
}

// cut ends what still generates, then frees the memory.
func (p *part) cut(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := p.controller.Close(ctx); err != nil {
		return err // its engine is still in a native call: freeing it would be a crash
	}
	return p.free()
}

// maker reads bundles into models.
type maker struct {
	cfg      *configs.Config
	log      *slog.Logger
	env      *ort.Env
	observer func(model string) loopctl.Observer
	fleet    *fleet
}

// read opens a bundle, its hashes checked, without its graphs.
func (k *maker) read(dir string) (*model, error) {
	digest, err := digestOf(dir)
	if err != nil {
		return nil, err
	}
	b, err := bundle.Open(dir, bundle.Options{})
	if err != nil {
		return nil, err
	}
	m := &b.Manifest
	tok, err := tokenizer.Open(b.FS(), k.cfg.Tokenizer)
	if err != nil {
		return nil, fmt.Errorf("bundle %s: %w", dir, err)
	}
	policy, err := spec.ParseKVPolicy(k.cfg.KVPolicy)
	if err != nil {
		return nil, err
	}
	created := time.Now()
	if info, err := os.Stat(filepath.Join(dir, bundle.FileName)); err == nil {
		created = info.ModTime()
	}
	length := m.Context
	if k.cfg.Context > 0 {
		length = min(length, k.cfg.Context)
	}
	out := &model{name: m.Name, dir: dir, digest: digest, fleet: k.fleet, estimate: k.estimate(m, length, policy)}
	out.bytes = out.estimate
	out.open = func() (*part, error) { return k.load(b, policy) }
	out.card = &server.Model{
		Name: m.Name, Description: m.Description, Created: created.Unix(), Generator: out, Tokenizer: tok,
		Loops: loopctl.LoopRange(m.Loops), Context: length, Vocab: m.VocabSize, StopIDs: m.Tokens.Stop, BOS: m.Tokens.BOS, PAD: m.Tokens.PAD,
		KVPolicies: m.KVPolicies, KVPolicy: spec.KVPolicyName(policy), ChatTemplate: tok.Config().ChatTemplate,
		Problems: problemsOf(b),
		Delta:    true, Gate: m.Gate != nil, // every block gives the delta: docs/bundle-format.md
	}
	if a := m.Auto; a != nil {
		kind, _ := loopctl.ParseExitKind(a.ExitPolicy) // the bundle has been checked
		out.card.Recommended = server.AutoPolicy{
			Loops: a.Loops, Exit: loopctl.ExitPolicy{Kind: kind, Threshold: a.ExitThreshold, MinLoops: a.MinLoops},
		}
	}
	if m.Precision.Activations == "f32" { // other latents are not shown
		out.card.HiddenSize = m.HiddenSize
	}
	for i, s := range spec.Shapes(m, k.cfg.PageSize, k.precision()) {
		out.card.PageBytes[i] = s.PageBytes()
	}
	return out, nil
}

// problemsOf reads the bundle's eval.jsonl when asked; nil where it has none.
func problemsOf(b *bundle.Bundle) func() ([]byte, error) {
	const name = "eval.jsonl"
	if _, ok := b.Manifest.Files[name]; !ok {
		return nil
	}
	return func() ([]byte, error) { return fs.ReadFile(b.FS(), name) }
}

// load opens the graphs and starts the controller.
func (k *maker) load(b *bundle.Bundle, policy loopctl.KVPolicy) (*part, error) {
	m, cfg := &b.Manifest, k.cfg
	e, err := engine.Open(k.env, b, engine.Options{
		MaxRows: cfg.MaxRows, PageSize: cfg.PageSize, KVBytes: int64(cfg.KVMemory), Sequence: cfg.MaxRunning, Context: cfg.Context, KV: policy, KVPrecision: k.precision(),
	})
	if err != nil {
		return nil, err
	}
	scheduling := loopctl.ScheduleDepth
	if cfg.Scheduling == loopctl.ScheduleLockstep.String() {
		scheduling = loopctl.ScheduleLockstep
	}
	reserve := cfg.ReserveTokens
	if reserve == 0 { // the controller's zero is its default
		reserve = 1
	}
	c := loopctl.New(e, loopctl.Config{
		QueueLimit: cfg.QueueLimit, MaxRunning: cfg.MaxRunning, RowBudget: cfg.RowBudget, ReserveTokens: reserve,
		Scheduling: scheduling, NoPrefixCache: !cfg.PrefixCache, Elastic: loopctl.Elastic{After: cfg.ElasticAfter, Steps: cfg.ElasticSteps},
		Observer: k.observer(m.Name), Logger: k.log.With("model", m.Name),
	})
	c.Start()
	l := e.Capacity()
	p := &part{controller: c, free: e.Close, bytes: m.FileBytes()}
	for i, s := range spec.Shapes(m, cfg.PageSize, k.precision()) {
		p.bytes += int64(l.Pages[i]) * s.PageBytes()
	}
	k.log.Info("model", "name", m.Name, "family", m.Family, "loops", fmt.Sprintf("%d…%d, default %d", m.Loops.Min, m.Loops.Max, m.Loops.Default),
		"context", l.Context, "weights", m.Precision.Weights, "block_pages", l.Pages[loopctl.StageBlock])
	return p, nil
}

// estimate is an upper bound of what load will take: the files, and the KV pages that the budget or the sequences allow.
func (k *maker) estimate(m *bundle.Manifest, length int, policy loopctl.KVPolicy) int64 {
	kv := int64(0)
	for i, s := range spec.Shapes(m, 1, k.precision()) {
		planes := int64(1)
		if loopctl.Stage(i) == loopctl.StageBlock {
			planes = int64(policy.PlanesAt(m.Loops.Max))
		}
		kv += planes * s.TokenBytes()
	}
	pages := int64((length + k.cfg.PageSize - 1) / k.cfg.PageSize * k.cfg.PageSize)
	return m.FileBytes() + min(int64(k.cfg.KVMemory), kv*pages*int64(k.cfg.MaxRunning))
}

// precision is that of the KV pages; the configuration has been checked.
func (k *maker) precision() kvcache.Precision {
	p, _ := kvcache.ParsePrecision(k.cfg.KVPrecision)
	return p
}
