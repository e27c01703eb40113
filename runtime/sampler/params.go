package sampler

import (
	"errors"
	"fmt"
	"math"

	"github.com/loopserve/loopserve/loopctl"
)

// ErrParams says that a sampling parameter is out of its range.
var ErrParams = errors.New("bad sampling parameter")

// Params are the sampling parameters of a request, as OpenAI and vLLM name them. The zero value is greedy. The slices
// are read, never written, and may be shared.
type Params struct {
	Temperature float64 // 0: greedy; otherwise logits are divided by it
	TopK        int     // keep the k most likely, and those as likely as the last of them; 0 or less: all
	TopP        float64 // keep the smallest set whose probability reaches it; 0 or 1: all
	MinP        float64 // keep tokens at least this likely, relative to the most likely; 0: all
	Seed        uint64

	// Logprobs asks for the chosen token's log-probability, and Top for that many of the most likely tokens'.
	Logprobs bool
	Top      int

	// RepetitionPenalty divides positive logits, and multiplies negative ones, of tokens of prompt and output; 0 or 1: none.
	RepetitionPenalty float64
	// FrequencyPenalty is taken off a token's logit for each time that it was generated, PresencePenalty once.
	FrequencyPenalty, PresencePenalty float64
	Prompt                            []int32 // for RepetitionPenalty

	Bias      []Bias  // added to logits
	Allowed   []int32 // the only tokens that may be picked; empty: all
	MinTokens int     // StopIDs are not picked before so many tokens
	StopIDs   []int32 // the ids that end the sequence, for MinTokens and Constraint
	// Constraint says which tokens may come; nil: any. The sampler takes it over.
	Constraint Constraint
}

// Bias is added to one token's logit.
type Bias struct {
	ID    int32
	Value float32
}

// Constraint holds the tokens of one sequence to a form. It is used by the picking goroutine alone.
type Constraint interface {
	// Next returns a bit for each id that may come next. The bits are not changed and are good until Advance; those of
	// ids beyond the slice are 0. Where there is none, the text may end.
	Next() []uint64
	// Allows says the same of one id, without all the others.
	Allows(id int32) bool
	// MayEnd says whether the text may end here.
	MayEnd() bool
	// Advance takes the token that was picked, one that Next allowed.
	Advance(id int32)
	// Fork returns an independent copy.
	Fork() Constraint
}

// Check returns an error that names the first field out of its range, and what it may be.
func (p *Params) Check() error {
	bad := func(field string, v float64, want string) error {
		return fmt.Errorf("%w: %s is %v, must be %s", ErrParams, field, v, want)
	}
	finite := func(v float64) bool { return math.Abs(v) <= math.MaxFloat32 }
	switch {
	case !(p.Temperature >= 0 && p.Temperature <= math.MaxFloat32):
		return bad("temperature", p.Temperature, "0 (greedy) or a positive number")
	case !(p.TopP >= 0 && p.TopP <= 1):
		return bad("top_p", p.TopP, "in (0, 1]")
	case !(p.MinP >= 0 && p.MinP <= 1):
		return bad("min_p", p.MinP, "in [0, 1]")
	case !(p.RepetitionPenalty >= 0 && finite(p.RepetitionPenalty)):
		return bad("repetition_penalty", p.RepetitionPenalty, "a positive number")
	case !finite(p.FrequencyPenalty):
		return bad("frequency_penalty", p.FrequencyPenalty, "a number")
	case !finite(p.PresencePenalty):
		return bad("presence_penalty", p.PresencePenalty, "a number")
	case p.Top < 0:
		return bad("top_logprobs", float64(p.Top), "0 or more")
	case p.MinTokens < 0:
		return bad("min_tokens", float64(p.MinTokens), "0 or more")
	}
	for _, b := range p.Bias {
		if b.ID < 0 || !finite(float64(b.Value)) {
			return fmt.Errorf("%w: logit_bias of token %d is %v, must be a number for a token id", ErrParams, b.ID, b.Value)
		}
	}
	return nil
}

// edits says whether logits must be changed before a token is picked.
func (p *Params) edits() bool {
	return p.penalizes() || len(p.Bias) > 0 || len(p.Allowed) > 0 || p.MinTokens > 0 && len(p.StopIDs) > 0
}

func (p *Params) penalizes() bool {
	return p.repeats() || p.FrequencyPenalty != 0 || p.PresencePenalty != 0
}

func (p *Params) repeats() bool { return p.RepetitionPenalty != 0 && p.RepetitionPenalty != 1 }

var _ loopctl.Forking = (*Sampler)(nil)
