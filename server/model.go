package server

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

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

// Tokenizer is text to ids and back; what the package tokenizer opens is one. It may be used from many goroutines at one time.
type Tokenizer interface {
	Encode(text string, addSpecial bool) ([]int32, error)
	Decode(ids []int32, skipSpecial bool) (string, error)
	// NewDecoder decodes one sequence id by id.
	NewDecoder(skipSpecial bool) Decoder
	// IDToToken is the vocabulary's own spelling of an id.
	IDToToken(id int32) (string, bool)
	// TokenBytes are what an id adds inside a text, often part of a character; nil outside the vocabulary.
	TokenBytes(id int32) []byte
	// IsSpecial tells whether Decode may leave the id out.
	IsSpecial(id int32) bool
}

// Decoder turns ids into pieces of text. It is the tokenizer package's own interface: one of ours would be another type,
// and no tokenizer would fit Tokenizer.
type Decoder = tokenizer.Decoder

// Model is what the server knows of a model that it serves. It is not changed after New.
type Model struct {
	Name        string
	Description string
	Created     int64 // Unix seconds
	Generator   Generator
	Tokenizer   Tokenizer
	Loops       loopctl.LoopRange
	Context     int // tokens of one sequence, prompt and completion together
	Vocab       int
	StopIDs     []int32 // any of them ends a sequence
	BOS, PAD    *int32
	KVPolicies  []string // that the model allows
	KVPolicy    string   // the one in force
	// Delta and Gate say what the block emits for exit policies.
	Delta, Gate bool
	// Recommended is what name@auto stands for; the zero value leaves it to the server.
	Recommended AutoPolicy
	// HiddenSize is the length of a latent; 0 where the engine is no loopctl.LatentReader, and there are no embeddings.
	HiddenSize int
	// Problems reads the JSON lines that measure the model (prompt, answer, group), for GET /v1/depth/curve; nil where it
	// has none.
	Problems func() ([]byte, error)
	// PageBytes is the memory of one KV page of each stage, for metrics.
	PageBytes [3]int64
	// ChatTemplate is the source of the model's template; empty where it has none.
	ChatTemplate string

	chat  *chatTemplate    // set when the model is taken in
	forms *constrain.Cache // set then, too
}

// AutoPolicy is an adaptive depth: an exit policy and the most loops under it.
type AutoPolicy struct {
	Exit  loopctl.ExitPolicy
	Loops int
}

// target is a model as a request names it.
type target struct {
	*Model
	Alias int  // loops after @; 0: none
	Auto  bool // name@auto
}

// models are looked up by name, or as name@loops or name@auto.
type models []*Model

func newModels(list []*Model) (models, error) {
	for i, m := range list {
		switch {
		case m.Name == "" || strings.ContainsAny(m.Name, "@/ \t\n"):
			return nil, fmt.Errorf("model name %q: must not be empty nor have @, / or space in it", m.Name)
		case m.Generator == nil || m.Tokenizer == nil:
			return nil, fmt.Errorf("model %s: needs a generator and a tokenizer", m.Name)
		case m.Loops.Min < 1 || m.Loops.Default < m.Loops.Min || m.Loops.Max < m.Loops.Default:
			return nil, fmt.Errorf("model %s: loops %+v: need 1 ≤ min ≤ default ≤ max", m.Name, m.Loops)
		case m.Context < 1 || m.Vocab < 1:
			return nil, fmt.Errorf("model %s: context %d and vocabulary %d must be positive", m.Name, m.Context, m.Vocab)
		case slices.ContainsFunc(list[:i], func(o *Model) bool { return o.Name == m.Name }):
			return nil, fmt.Errorf("model %s is there twice: rename one of them in its manifest", m.Name)
		}
	}
	for _, m := range list {
		if m.chat == nil { // a model that is served already is being read
			m.chat, m.forms = newChatTemplate(m), newForms(m)
		}
	}
	return list, nil
}

// find resolves a name. An empty one means the only model there is.
func (ms models) find(name string) (target, error) {
	if name == "" {
		if len(ms) == 1 {
			return target{Model: ms[0]}, nil
		}
		return target{}, api.Bad("model", "missing_field", "model is missing: give one of %s", ms.names())
	}
	bare, suffix, isAlias := strings.Cut(name, "@")
	for _, m := range ms {
		if m.Name != bare {
			continue
		}
		if !isAlias {
			return target{Model: m}, nil
		}
		n, err := strconv.Atoi(suffix)
		if err == nil && n >= m.Loops.Min && n <= m.Loops.Max {
			return target{Model: m, Alias: n}, nil
		}
		if suffix == "auto" {
			return target{Model: m, Auto: true}, nil
		}
		return target{}, api.Bad("model", "loops_out_of_range",
			"model is %s: after @ model %s takes an integer from %d to %d, or auto", api.Quote(name), m.Name, m.Loops.Min, m.Loops.Max)
	}
	return target{}, &api.Error{
		Status: http.StatusNotFound, Type: api.TypeInvalid, Code: "model_not_found", Param: "model",
		Message: fmt.Sprintf("model %s is not served here: use one of %s", api.Quote(name), ms.names()),
	}
}

func (ms models) names() string {
	const most = 8
	var out []string
	for _, m := range ms {
		out = append(out, m.Name)
	}
	if len(out) > most {
		out = append(out[:most], "… (GET /v1/models)")
	}
	return strings.Join(out, ", ")
}
