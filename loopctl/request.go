package loopctl

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"time"

	"github.com/loopserve/loopserve/loopctl/kv"
)

// Sampler turns logits into a token. Each sequence has its own, which may keep state (a random source, penalties);
// it is called on the controller's goroutine, once for each generated token, and must not keep logits.
type Sampler interface {
	Sample(logits []float32) Sampled
}

// Forking is a Sampler that can be copied, its state with it: a copy samples what the original would sample. A Draft guesses
// with a copy.
type Forking interface {
	Sampler
	Fork() Forking
}

// Scorer is told the logits of prompt rows: those after the token at position, which predict the next one. Positions
// come in order, once each, on the controller's goroutine; logits must not be kept.
type Scorer interface {
	Score(position int, logits []float32)
}

// Request is what a client asks for. Submit checks it and takes it over: it must not be changed afterwards.
type Request struct {
	// Context cancels the request: its pages are free in the same tick. Nil means never.
	Context context.Context //nolint:containedctx // the queued request is the one place where a context may live
	// ID stands in logs and traces.
	ID string
	// Prompt holds at least one token id, each inside the vocabulary.
	Prompt []int32
	// MaxTokens is how many tokens to generate at most; prompt and completion must fit the context. 0 is allowed with a
	// Scorer or OnLatent: the prompt is run, nothing is generated, and the one event is FinishLength with Token.ID −1.
	MaxTokens int
	// Loops is how many times the block is applied to each token, or the most that Exit allows; 0 means the model's
	// default.
	Loops int
	// Trajectory says how far each loop goes, one step for each of Loops; nil: all equally far. For models with
	// Capacity.Trajectories TrajectoryAny.
	Trajectory Trajectory
	// Exit lets a row leave before Loops. The zero value never does.
	Exit ExitPolicy
	// Replay gives the loops of each generated token, in order, instead of Exit: an earlier answer's depths, run again.
	// Where it ends, the last entry holds. Each is in the model's range; nil means none.
	Replay []int
	// Cut has the positions, ascending, at which the prompt is cut into pieces that go through the loops one after the other. What follows
	// the last is one piece, or as few as there can be. Only where planes are written more than once (latest, modulo, first, last_loop)
	// does an answer depend on it.
	Cut []int
	// Elastic lets the controller lower Loops, never below Exit.MinLoops (or the model's least), when the backlog is
	// long (Config.Elastic) or where TargetITL asks for it. Stats.LoopsGranted says what it was.
	Elastic bool
	// TargetITL, where positive, is the time between tokens that Elastic aims at, from the measured time of a loop.
	TargetITL time.Duration
	// Draft, where positive, guesses each token after that many loops and lets the guess start while its predecessor
	// still loops. The answer is the same as without, token for token: a guess that was wrong is taken back.
	// It must be below Loops; it holds for a fixed depth only. DraftAuto leaves both to the controller.
	Draft int
	// Priority orders a client's waiting requests, lower first (as in vLLM); equal ones by arrival. A waiting request may preempt
	// running ones of a higher number. Beside other clients' requests a priority below 0 counts as 0.
	Priority int
	// Client is whose request it is: those of one client share what a client gets, by Weight beside the others' (0: 1).
	Client string
	Weight float64
	// Deadline, where set, ends the request with ErrDeadline when it has not ended by then.
	Deadline time.Time
	// CacheSalt separates prefix caches: only requests of equal salt share pages. NoCache keeps the request from them.
	CacheSalt string
	NoCache   bool
	// Scorer, where set, sees the logits after each prompt token but the last, whose logits go to Sampler.
	Scorer Scorer
	// Lens, where positive, is a logit lens: events report the Lens most likely tokens after each loop of their token. It
	// costs a coda call per loop.
	Lens int
	// OnLatent, where set, is given the latent of each prompt row as it leaves the loop, on the controller's goroutine. It
	// must not keep it. Capacity.Hidden must not be 0.
	OnLatent func(position int, latent []float32)
	// Timeline asks for Stats.Timeline.
	Timeline bool
	// Seed decides a random initial state, where the model has one.
	Seed uint64
	// Sampler chooses the tokens. For Draft it must be a Forking one.
	Sampler Sampler
	// StopIDs end the sequence. The stopping id is reported, with FinishStop.
	StopIDs []int32
	// Ends, where set, says of each generated token whether the sequence ends with it: what only the caller can see, as
	// its text. finish is what it would be without Ends, and is where Ends returns FinishNone. It is called on the
	// controller's goroutine, once for each token, and must be quick.
	Ends func(id int32, loops int, finish FinishReason) FinishReason
	// Arrived is when the request came in, for queue and first-token times; Submit sets it where it is zero.
	Arrived time.Time
}

// Check finds out before anything runs whether an engine of this capacity can serve the request: one that passes is
// served, given time. The errors: a *FieldError, ErrPromptTooLong, ErrPagesExhausted. Submit calls it.
func (r *Request) Check(l *Capacity) error {
	if err := r.CheckDepth(l); err != nil {
		return err
	}
	if err := r.checkTokens(l); err != nil {
		return err
	}
	if err := r.checkWhole(l); err != nil {
		return err
	}
	if r.OnLatent != nil && l.Hidden == 0 {
		return &FieldError{Field: "embedding", Why: "is not possible: the hidden states of this model cannot be read"}
	}
	if _, forks := r.Sampler.(Forking); r.Draft > 0 && !forks {
		return &FieldError{Field: "draft_loops", Value: r.Draft, Why: "it needs a sampler that can be copied"}
	}
	need := l.geometry().Worst(r.rows(), r.loopsIn(l), r.largestCall(l))
	for s := range numStages {
		if need[s] > l.Pages[s] {
			return fmt.Errorf("%w: %s needs %d pages and has %d in all; lower max_tokens or loops, or give the server more pages",
				ErrPagesExhausted, s, need[s], l.Pages[s])
		}
	}
	return nil
}

// CheckDepth checks all that a request says of its loops, and nothing else: neither prompt nor sampler need be there
// yet. Of l it reads Loops, Trajectories, Delta, Gate, Vocab and KV, which are known before an engine is open.
func (r *Request) CheckDepth(l *Capacity) error {
	if r.Loops != 0 && (r.Loops < l.Loops.Min || r.Loops > l.Loops.Max) {
		return outside("loops", r.Loops, l.Loops.Min, l.Loops.Max, fmt.Sprintf("this model takes %d to %d", l.Loops.Min, l.Loops.Max))
	}
	if err := r.checkTrajectory(l); err != nil {
		return err
	}
	if err := r.checkExit(l); err != nil {
		return err
	}
	if err := r.checkConflicts(); err != nil {
		return err
	}
	loops := r.loopsIn(l)
	for i, n := range r.Replay {
		if n < l.Loops.Min || n > loops {
			e := outside("replay_loops", n, l.Loops.Min, loops, fmt.Sprintf("it must be from %d to loops, which is %d", l.Loops.Min, loops))
			e.Item = fmt.Sprintf("[%d]", i)
			return e
		}
	}
	wraps := l.KV.Planes > 0 && l.KV.Planes < loops
	keepsOne := wraps && l.KV.Keep != kv.KeepAny
	switch {
	case len(r.Cut) > 0 && (l.KV.Planes == 0 || l.Whole):
		return &FieldError{Field: "prompt_cut", Why: "changes no answer of this model under this server's KV policy: leave it out"}
	case keepsOne && r.Exit.Kind != ExitNone:
		return &FieldError{Field: "exit_policy", Value: r.Exit.Kind, Why: "it needs a KV policy that keeps every loop, and this server's keeps one: use none"}
	case keepsOne && r.Lens > 0:
		return &FieldError{Field: "return_lens", Value: r.Lens, Why: "it would cut the prompt and so change the answer, under a KV policy that keeps one loop: leave it out"}
	case keepsOne && len(r.Replay) > 0 && r.Replay[0] != loops:
		return &FieldError{Field: "replay_loops", Item: "[0]", Value: r.Replay[0], Why: fmt.Sprintf("the prompt's rows go together under a KV policy that keeps one loop: it must be loops, which is %d", loops)}
	case r.Lens < 0 || r.Lens > l.Vocab:
		return outside("return_lens", r.Lens, 0, l.Vocab, fmt.Sprintf("it must be from 0 to the size of the vocabulary, %d", l.Vocab))
	case r.Draft == 0 || r.Draft == DraftAuto:
		return nil
	case r.Draft < 0 || r.Draft >= loops:
		return outside("draft_loops", r.Draft, 0, loops-1, fmt.Sprintf("it must be below loops, which is %d, or 0 for no draft tokens", loops))
	case r.Draft < l.Loops.Min:
		return outside("draft_loops", r.Draft, l.Loops.Min, l.Loops.Max-1, fmt.Sprintf("it must be from %d to %d, or 0 for no draft tokens", l.Loops.Min, l.Loops.Max-1))
	case wraps:
		return &FieldError{Field: "draft_loops", Value: r.Draft, Why: "it needs the KV policy depth, and this server keeps the KV of fewer loops"}
	}
	return nil
}

// checkConflicts finds two fields that are right alone and contradict each other.
func (r *Request) checkConflicts() error {
	const one = "leave one of the two out"
	draft, replay, policy := r.Draft > 0, len(r.Replay) > 0, r.Exit.Kind != ExitNone
	for _, x := range []struct {
		both                bool
		field, with, reason string
		remedy              string
	}{
		{replay && policy, "replay_loops", "exit_policy", "the loops are given", one},
		{replay && r.Elastic, "replay_loops", "elastic", "a replay needs loops that stay the same", one},
		{draft && policy, "draft_loops", "exit_policy", "draft tokens need the same loops for all tokens", "set exit_policy to none, or leave draft_loops out"},
		{draft && replay, "draft_loops", "replay_loops", "draft tokens need the same loops for all tokens", one},
		{draft && r.Lens > 0, "draft_loops", "return_lens", "a draft token has no lens", one},
		{draft && r.Elastic, "draft_loops", "elastic", "draft tokens need loops that stay", one},
		{r.TargetITL > 0 && !r.Elastic, "target_itl_ms", "elastic", "the time is met by lowering the loops", "set elastic to true, or leave target_itl_ms out"},
	} {
		if x.both {
			return &FieldError{Field: x.field, With: x.with, Why: fmt.Sprintf("and %s exclude each other: %s; %s", x.with, x.reason, x.remedy)}
		}
	}
	return nil
}

// checkExit checks the exit policy.
func (r *Request) checkExit(l *Capacity) error {
	x, loops := &r.Exit, r.loopsIn(l)
	switch {
	case x.Kind >= numExits:
		return &FieldError{Field: "exit_policy", Value: uint8(x.Kind), Why: "it is not a known policy"}
	case l.Trajectories != TrajectoryNone && x.Kind != ExitNone:
		return &FieldError{Field: "exit_policy", Value: x.Kind, Why: targetCounts + "; use none"}
	case !l.Allows(x.Kind):
		lacks := map[ExitKind]string{ExitDelta: "the change of its hidden state", ExitGate: "a gate"}[x.Kind]
		use := ""
		for _, k := range ExitKinds() {
			if l.Allows(k) {
				use += ", " + k.String()
			}
		}
		return &FieldError{Field: "exit_policy", Value: x.Kind, Why: fmt.Sprintf("this model does not emit %s; use one of %s", lacks, use[2:])}
	case x.MinLoops != 0 && (x.MinLoops < l.Loops.Min || x.MinLoops > loops):
		return outside("min_loops", x.MinLoops, l.Loops.Min, loops, fmt.Sprintf("it must be from %d to loops, which is %d", l.Loops.Min, loops))
	case x.Agree < 0 || x.Agree > max(l.Loops.Max, 1):
		return outside("exit_agree", x.Agree, 1, l.Loops.Max, fmt.Sprintf("it must be from 1 to %d", l.Loops.Max))
	}
	t := l.Threshold(x.Kind)
	switch v := x.Threshold; {
	case v == 0 || x.Kind == ExitNone:
		return nil
	case t.Integer && (v < 1 || v > t.High || v != math.Trunc(v)):
		return outside("exit_threshold", v, 1, l.Loops.Max,
			fmt.Sprintf("policy %s takes an integer from 1 to %d: %s (default %v)", x.Kind, l.Loops.Max, t.Means, t.Default))
	case !(v > 0 && v <= t.High): // NaN, too
		return &FieldError{
			Field: "exit_threshold", Value: v, High: t.High,
			Why: fmt.Sprintf("policy %s takes a number above 0 and at most %v: %s (default %v)", x.Kind, t.High, t.Means, t.Default),
		}
	}
	return nil
}

// checkTokens checks the prompt and how many tokens are to follow it.
func (r *Request) checkTokens(l *Capacity) error {
	if len(r.Prompt) == 0 {
		return &FieldError{Field: "prompt", Why: "is empty: give at least one token"}
	}
	for i, id := range r.Prompt {
		if id < 0 || int(id) >= l.Vocab {
			e := outside("prompt", int(id), 0, l.Vocab-1, fmt.Sprintf("token ids of this model go from 0 to %d", l.Vocab-1))
			e.Item = fmt.Sprintf("[%d]", i)
			return e
		}
	}
	if r.MaxTokens < 1 && (r.MaxTokens < 0 || r.Scorer == nil && r.OnLatent == nil) {
		return outside("max_tokens", r.MaxTokens, 1, l.Context, "it must be at least 1")
	}
	if r.Sampler == nil && r.MaxTokens > 0 {
		return &FieldError{Field: "sampling", Why: "needs a sampler: set Request.Sampler"}
	}
	if len(r.Prompt) > l.Context-r.MaxTokens { // so written, a huge MaxTokens cannot overflow
		return fmt.Errorf("%w: %d prompt tokens and max_tokens %d exceed the context of %d; shorten one of them",
			ErrPromptTooLong, len(r.Prompt), r.MaxTokens, l.Context)
	}
	return nil
}

// checkWhole checks what a model that reads a prompt whole cannot do.
func (r *Request) checkWhole(l *Capacity) error {
	n := len(r.Prompt)
	switch {
	case !l.Whole:
		return nil
	case n > min(l.MaxRows, l.Latents):
		return fmt.Errorf("%w: %d prompt tokens, but this model reads a prompt in one call, which takes %d rows: shorten it, or raise max_rows",
			ErrPromptTooLong, n, min(l.MaxRows, l.Latents))
	case r.Scorer != nil:
		return &FieldError{Field: "prompt_logprobs", Why: "is not possible: this model reads a prompt in both directions, so that logits there predict nothing"}
	case r.OnLatent != nil && r.Exit.Kind.Probes():
		return &FieldError{Field: "exit_policy", Value: r.Exit.Kind, Why: "this model reads a prompt whole, and an embedding's tokens are not probed: use delta, gate or none"}
	}
	return nil
}

// checkCut checks the pieces of the prompt, of which each is in one call of so many rows.
func (r *Request) checkCut(rows int) error {
	first := 0
	for i, end := range r.Cut {
		if most := min(first+rows, len(r.Prompt)-1); end <= first || end > most {
			e := outside("prompt_cut", end, first+1, most, fmt.Sprintf("positions ascend inside the prompt of %d tokens, and a piece has at most %d: it must be from %d to %d",
				len(r.Prompt), rows, first+1, most))
			e.Item = fmt.Sprintf("[%d]", i)
			return e
		}
		first = end
	}
	return nil
}

// largestCall is how many rows of the request are in one call at most where the cut is the request's.
func (r *Request) largestCall(l *Capacity) int {
	first, most := 0, 1
	for _, end := range r.Cut {
		most, first = max(most, end-first), end
	}
	return min(max(most, len(r.Prompt)-first), l.MaxRows)
}

// outside is an integer that is out of its bounds.
func outside(field string, value any, low, high int, why string) *FieldError {
	return &FieldError{Field: field, Value: value, Low: float64(low), High: float64(high), Why: why}
}

// loopsIn is the depth at which the rows of the request leave the block, or the most that its policy allows.
func (r *Request) loopsIn(l *Capacity) int { return cmp.Or(r.Loops, l.Loops.Default) }

// rows is how many rows the request may come to compute. The last token is never fed back.
func (r *Request) rows() int { return max(len(r.Prompt), len(r.Prompt)+r.MaxTokens-1) }
