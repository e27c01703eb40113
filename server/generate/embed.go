package generate

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server/api"
)

// Embedding is a request for the latents of texts' tokens after a number of loops, each text's pooled to one vector. Nothing
// is generated: the prompts' rows go through the loop, and the request ends.
type Embedding struct {
	*Plan

	inputs            []Prompt
	last              bool // only the last token's latent
	normalize, base64 bool

	means     []*latentMean
	sequences *Sequences
}

// EmbeddingList is OpenAI's answer.
type EmbeddingList struct {
	Object string         `json:"object"`
	Data   []embedding    `json:"data"`
	Model  string         `json:"model"`
	Usage  embeddingUsage `json:"usage"`

	Timings *Timings `json:"timings"`
}

type embedding struct {
	Object    string `json:"object"`
	Index     int    `json:"index"`
	Embedding any    `json:"embedding"` // []float32, or a string in base64
}

type embeddingUsage struct {
	PromptTokens        int           `json:"prompt_tokens"`
	TotalTokens         int           `json:"total_tokens"`
	PromptTokensDetails PromptDetails `json:"prompt_tokens_details"`
}

// Start submits the texts. The caller must close the embedding if there is no error.
func (e *Embedding) Start(ctx context.Context, host Host, call Call) (err error) {
	e.means = make([]*latentMean, len(e.inputs))
	e.sequences, err = submit(ctx, host, e.Plan, func(ctx context.Context) ([]*loopctl.Request, error) {
		requests := make([]*loopctl.Request, len(e.inputs))
		for i, in := range e.inputs {
			e.means[i] = newLatentMean(len(in.IDs), e.Model.HiddenSize, e.last)
			r := e.Request
			r.Context, r.ID, r.Prompt, r.OnLatent = ctx, fmt.Sprintf("%s/%d", call.ID, i), in.IDs, e.means[i].take
			r.NoCache = true // a cached row does not go through the loop, and has no latent to pool
			requests[i] = &r
		}
		return requests, nil
	})
	return err
}

// Close ends what still runs.
func (e *Embedding) Close() { e.sequences.Close() }

// Wait waits for the vectors.
func (e *Embedding) Wait() (*EmbeddingList, error) {
	g := e.sequences
	u := newUsage(e.Plan, e.inputs)
	out := &EmbeddingList{Object: "list", Data: make([]embedding, g.Len()), Model: e.Model.Name}
	for i, stream := range g.streams {
		stats, err := await(g.ctx, stream)
		if err != nil {
			return nil, err
		}
		u.Add(Delta{Index: i, Stats: stats})
		vector, err := e.means[i].vector(e.normalize)
		if err != nil {
			return nil, err
		}
		out.Data[i] = embedding{Object: "embedding", Index: i, Embedding: vector}
		if e.base64 {
			out.Data[i].Embedding = packed(vector)
		}
	}
	out.Usage, out.Timings = embeddingUsage{u.PromptTokens, u.TotalTokens, u.PromptTokensDetails}, u.timings(false)
	return out, nil
}

// ReadEmbedding reads the body of POST /v1/embeddings.
func ReadEmbedding(b api.Body, t Target, call Call, lim api.Limits) (*Embedding, error) {
	if t.HiddenSize == 0 {
		return nil, api.Bad("model", "unsupported_model", "model %s gives no embeddings: its engine does not let its latents be read: use another model", t.Name)
	}
	e := &Embedding{Plan: &Plan{Model: t.Model, N: 1}}
	v, err := api.DecodeDepth(b, api.Embeddings, t.Bounds(lim))
	if err != nil {
		return nil, err
	}
	if err := e.readDepth(v, t, call.Loops); err != nil {
		return nil, err
	}
	if k := e.Request.Exit.Kind; k.Probes() {
		return nil, api.Bad("exit_policy", "unsupported_policy", "exit_policy is %q, which looks at the logits of generated tokens: for embeddings use none, delta or gate", k.String())
	}
	if err := v.DecodeRest(); err != nil {
		return nil, err
	}
	e.readSchedule(v, call)
	e.base64, e.last, e.normalize = v.Text("encoding_format") == "base64", v.Text("pooling") == "last", v.Bool("normalize")
	e.AddSpecial, e.Request.Seed = v.Bool("add_special_tokens"), uint64(v.Int("seed"))
	if raw := v.Raw("dimensions"); raw != nil {
		if size, ok := api.Integer(raw); !ok || size != int64(t.HiddenSize) {
			return nil, api.Bad("dimensions", api.CodeValue, "dimensions is %s: model %s gives %d: send that, or leave it out", api.Show(raw), t.Name, t.HiddenSize)
		}
	}
	return e, e.readInputs(v, lim)
}

// readInputs reads the texts, as prompts are read.
func (e *Embedding) readInputs(v *api.Values, lim api.Limits) error {
	list, err := inputsOf(v, "input", lim)
	if err != nil {
		return err
	}
	m, loops := e.Model, e.Request.Loops
	e.inputs = make([]Prompt, len(list))
	steps := int64(0)
	for i, in := range list {
		ids, _, err := in.tokens(m, e.AddSpecial)
		if err != nil {
			return err
		}
		if n := len(ids); n > m.Context {
			return api.Bad(in.field, "context_length_exceeded", "%s has %d tokens: model %s has a context of %d tokens: shorten it", in.where, n, m.Name, m.Context)
		}
		e.inputs[i].IDs = ids
		steps += int64(len(ids)) * int64(loops)
	}
	switch {
	case len(list) > lim.Sequences:
		return api.Bad("input", "request_too_large", "input has %d texts: at most %d per request: send several requests", len(list), lim.Sequences)
	case steps > lim.LoopSteps:
		return api.Bad("input", "request_too_large", "%d loop-steps asked for: at most %d per request: send several requests, or lower loops", steps, lim.LoopSteps)
	}
	return nil
}

// await waits for the end of a sequence that generates nothing.
func await(ctx context.Context, stream *loopctl.Stream) (*loopctl.Stats, error) {
	e, err := NextEvent(ctx, stream)
	switch {
	case err != nil:
		return nil, err
	case e.Finish != loopctl.FinishLength || e.Stats == nil:
		return nil, fmt.Errorf("%w: sequence ended with %s", loopctl.ErrEngine, e.Finish)
	}
	return e.Stats, nil
}

// latentMean takes the latents of a prompt's rows, on the controller's goroutine, in any order. A row that is computed again
// after a preemption counts once.
type latentMean struct {
	last bool
	seen []bool
	rows int
	sum  []float64
}

func newLatentMean(rows, hidden int, last bool) *latentMean {
	return &latentMean{last: last, seen: make([]bool, rows), sum: make([]float64, hidden)}
}

func (p *latentMean) take(position int, latent []float32) {
	if position < 0 || position >= len(p.seen) || p.seen[position] || len(latent) != len(p.sum) {
		return
	}
	p.seen[position] = true
	if p.last && position != len(p.seen)-1 {
		return
	}
	p.rows++
	for i, v := range latent {
		p.sum[i] += float64(v)
	}
}

// vector is the mean of what was taken, of length 1 where normalize says so. The sequence must have ended.
func (p *latentMean) vector(normalize bool) ([]float32, error) {
	want := len(p.seen)
	if p.last {
		want = 1
	}
	if p.rows != want {
		return nil, fmt.Errorf("%w: %d of %d latents were given", loopctl.ErrEngine, p.rows, want)
	}
	scale, squares := 1/float64(p.rows), 0.0
	for _, v := range p.sum {
		squares += v * v
	}
	if math.IsNaN(squares) || math.IsInf(squares, 0) {
		return nil, fmt.Errorf("%w: a latent is not finite", loopctl.ErrEngine)
	}
	if normalize && squares > 0 {
		scale = 1 / math.Sqrt(squares)
	}
	out := make([]float32, len(p.sum))
	for i, v := range p.sum {
		out[i] = float32(v * scale)
	}
	return out, nil
}

// packed is the vector as little-endian float32 in base64: what OpenAI's Python client asks for unless told otherwise.
func packed(vector []float32) string {
	data := make([]byte, 0, 4*len(vector))
	for _, v := range vector {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
	}
	return base64.StdEncoding.EncodeToString(data)
}
