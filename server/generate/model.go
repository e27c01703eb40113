package generate

import (
	"cmp"
	"errors"
	"sync"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/runtime/constrain"
	"github.com/loopserve/loopserve/server/api"
	"github.com/loopserve/loopserve/tokenizer"
)

// Generator runs requests; *loopctl.Controller is one.
type Generator interface {
	// Submit queues all requests or none.
	Submit(reqs ...*loopctl.Request) ([]*loopctl.Stream, error)
	Snapshot() loopctl.Snapshot
}

// Loaded is a Generator that is not always in memory.
type Loaded interface {
	// Loaded says whether it is, and how many bytes it takes, or would take.
	Loaded() (loaded bool, bytes int64)
}

// ErrModelUnavailable is a Generator's answer where the model could not be brought into memory in time. An error that has
// RetryAfter() time.Duration says when to try again.
var ErrModelUnavailable = errors.New("model is not loaded")

// Model is what the server knows of a model that it serves. It is not changed, and not copied, once it is served.
type Model struct {
	Name        string
	Names       []string // others that it answers to
	Description string
	Created     int64 // Unix seconds
	Generator   Generator
	Tokenizer   tokenizer.Tokenizer
	Loops       loopctl.LoopRange
	Context     int // tokens of one sequence, prompt and completion together
	Vocab       int
	StopIDs     []int32 // any of them ends a sequence
	BOS, PAD    *int32
	UNK         *int32              // stands for text that the vocabulary has not; nil where it has all, or what stands for it means more
	KVPolicies  []string            // that the model allows
	KVPolicy    string              // the one in force
	KV          loopctl.KVPolicy    // the same
	KVTokens    func(loops int) int // that fit in the KV pages, all sequences together; nil: unknown
	// Trajectories says whether a request's loops count beside those done, Grid that the model knows multiples of 1/Grid.
	Trajectories loopctl.Trajectories
	Grid         int
	// AutoDraft is draft_loops "auto" where a request leaves the field out.
	AutoDraft bool
	// Delta and Gate say what the block emits for exit policies.
	Delta, Gate bool
	// Recommended is what name@auto stands for; the zero value leaves it to the server.
	Recommended AutoPolicy
	// HiddenSize is the length of a latent; 0 where latents cannot be read, and there are no embeddings.
	HiddenSize int
	// Defaults are what the model's generation_config.json says of fields of sampling; nil where nothing is heard of it.
	Defaults api.Defaults
	// Problems reads the JSON lines that measure the model (prompt, answer, group), for GET /v1/depth/curve; nil where it
	// has none.
	Problems func() ([]byte, error)
	// PageBytes is the memory of one KV page of each stage, for metrics.
	PageBytes [3]int64
	// ChatTemplate is the source of the model's template; empty where it has none.
	ChatTemplate string

	once  sync.Once
	forms *constrain.Cache // of the forms that answers were held to
}

// AutoPolicy is an adaptive depth: an exit policy and the most loops under it.
type AutoPolicy struct {
	Exit  loopctl.ExitPolicy
	Loops int
}

// Target is a model as a request names it.
type Target struct {
	*Model
	Alias int  // loops after @; 0: none
	Auto  bool // name@auto
}

// Token is an id's spelling, empty where there is none.
func (m *Model) Token(id *int32) string {
	if id == nil {
		return ""
	}
	text, _ := m.Tokenizer.IDToToken(*id)
	return text
}

// TrainedLoops is the depth that the model was trained at, where that is a depth above the default that it serves.
func (m *Model) TrainedLoops() int { return min(max(m.Loops.Default, m.Loops.Trained), m.Loops.Max) }

// Takes says whether the model serves so many loops.
func (m *Model) Takes(loops int) bool {
	r := loopctl.Request{Loops: loops}
	return loops != 0 && r.CheckDepth(m.capacity()) == nil
}

// Bounds are what the table of fields has to know of the model.
func (m *Model) Bounds(lim api.Limits) *api.Bounds {
	return &api.Bounds{Limits: lim, Model: m.Name, Vocab: m.Vocab, Context: m.Context, MinLoops: m.Loops.Min, MaxLoops: m.Loops.Max, Defaults: m.Defaults}
}

// capacity is what the scheduler has to know of the model to check a request's depth.
func (m *Model) capacity() *loopctl.Capacity {
	return &loopctl.Capacity{Loops: m.Loops, Vocab: m.Vocab, Context: m.Context, Delta: m.Delta, Gate: m.Gate, Trajectories: m.Trajectories, KV: m.KV}
}

// ExitPolicies names what the model allows.
func (m *Model) ExitPolicies() []string {
	var out []string
	for _, k := range loopctl.ExitKinds() {
		if m.capacity().Allows(k) {
			out = append(out, k.String())
		}
	}
	return out
}

// AutoDepth is the policy that name@auto stands for, none where no token may leave early: the model's own recommendation, its gate, or the cheapest that it allows, at its
// default threshold and up to the depth that the model was trained at.
func (m *Model) AutoDepth() AutoPolicy {
	a := m.Recommended
	if a.Exit.Kind == loopctl.ExitNone && m.Trajectories == loopctl.TrajectoryNone {
		a.Exit.Kind = loopctl.ExitKL
		switch {
		case m.Gate: // trained to tell
			a.Exit.Kind = loopctl.ExitGate
		case m.Delta:
			a.Exit.Kind = loopctl.ExitDelta
		}
	}
	a.Exit.Threshold = cmp.Or(a.Exit.Threshold, a.Exit.Kind.DefaultThreshold())
	a.Loops = min(cmp.Or(a.Loops, m.TrainedLoops()), m.Loops.Max)
	return a
}
