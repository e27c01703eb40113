package api

import (
	"cmp"
	"encoding/json"
	"math"
)

// Limits bound what one request may ask for. A zero field means its default.
type Limits struct {
	Prompts   int   // prompts in one request; 128
	Choices   int   // n; 128
	Sequences int   // prompts × n; 128
	LoopSteps int64 // prompts × n × max_tokens × loops; 1 << 26
	Stops     int   // stop strings; 16
	StopBytes int   // bytes of a stop string; 256
	StopIDs   int   // stop_token_ids; 64
}

// WithDefaults fills in what is zero.
func (l Limits) WithDefaults() Limits {
	l.Prompts = OrElse(l.Prompts, 128)
	l.Choices = OrElse(l.Choices, 128)
	l.Sequences = OrElse(l.Sequences, 128)
	l.LoopSteps = OrElse(l.LoopSteps, 1<<26)
	l.Stops = OrElse(l.Stops, 16)
	l.StopBytes = OrElse(l.StopBytes, 256)
	l.StopIDs = OrElse(l.StopIDs, 64)
	return l
}

// OrElse is v, or what holds by default where v is not positive.
func OrElse[T ~int | ~int64](v, byDefault T) T { return cmp.Or(max(v, 0), byDefault) }

// Bounds are what the model and the configuration allow.
type Bounds struct {
	Limits
	Model    string // its name, for messages
	Vocab    int    // token ids are below it
	Context  int    // tokens of one sequence
	MinLoops int    // for messages, and for benchmarks
	MaxLoops int
	Defaults Defaults
}

// What a benchmark may ask for, beside the model's own limits.
const (
	mostNumbers = 16 // in a list
	mostClients = 64
)

// noBound is an upper bound that messages do not name.
const noBound = math.MaxInt32

// span is a range of integers, and most a number of entries, where the model or the configuration decide.
type (
	span = func(*Bounds) (lo, hi int)
	most = func(*Bounds) int
)

func loopRange(b *Bounds) (lo, hi int) { return b.MinLoops, b.MaxLoops }
func choices(b *Bounds) (lo, hi int)   { return 1, b.Choices }
func clients(b *Bounds) (lo, hi int)   { return 1, min(mostClients, b.Sequences) }
func allButOne(b *Bounds) (lo, hi int) { return 1, b.Context - 1 }

func stops(b *Bounds) int { return b.Stops }

func entries(n int) most { return func(*Bounds) int { return n } }

// outOfRange is a 400 about a number of loops. what is how the message calls it: "loops", "header X-Loops".
func (b *Bounds) outOfRange(param, what string, raw json.RawMessage) *Error {
	hint := ""
	var text string
	if json.Unmarshal(raw, &text) == nil {
		if _, ok := Integer(json.RawMessage(text)); ok {
			hint = ", without quotes"
		}
	}
	return Bad(param, CodeLoops, "%s is %s: model %s takes an integer from %d to %d%s", what, Show(raw), b.Model, b.MinLoops, b.MaxLoops, hint)
}
