package generate

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server/api"
)

// Embedding is a request for the latents of texts' tokens after a number of loops, each text's pooled to one vector. Nothing
// is generated: the inputs' rows go through the loop, and the request ends.
type Embedding struct {
	*Plan

	Inputs []Prompt

	last              bool // only the last token's latent
	normalize, base64 bool
	means             []*latentMean
}

// EmbeddingList is OpenAI's answer.
type EmbeddingList struct {
	Object string         `json:"object"`
	Data   []embedding    `json:"data"`
	Model  string         `json:"model"`
	Usage  embeddingUsage `json:"usage"`

	Timings  *Timings `json:"timings"`
	Warnings []string `json:"warnings,omitempty"`
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

// Wait waits for the vectors of the sequences of the inputs.
func (e *Embedding) Wait(g *Sequences) (*EmbeddingList, error) {
	if err := g.Collect(func(Delta) {}); err != nil {
		return nil, err
	}
	u := g.Usage
	out := &EmbeddingList{
		Object: "list", Data: make([]embedding, len(e.means)), Model: e.Model.Name,
		Usage: embeddingUsage{u.PromptTokens, u.TotalTokens, u.PromptTokensDetails}, Timings: g.Timings(), Warnings: e.Warnings,
	}
	for i, mean := range e.means {
		vector, err := mean.vector(e.normalize)
		if err != nil {
			return nil, err
		}
		out.Data[i] = embedding{Object: "embedding", Index: i, Embedding: vector}
		if e.base64 {
			out.Data[i].Embedding = packed(vector)
		}
	}
	return out, nil
}

// ReadEmbedding reads the body of POST /v1/embeddings.
func ReadEmbedding(b api.Body, t Target, call Call, lim api.Limits) (*Embedding, error) {
	if t.HiddenSize == 0 {
		return nil, api.Bad("model", "unsupported_model", "model %s gives no embeddings: its engine does not expose hidden states: use another model", t.Name)
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
	e.Warnings = append(e.Warnings, v.Warnings()...)
	e.readSchedule(v, call)
	e.base64, e.last, e.normalize = v.Text("encoding_format") == "base64", v.Text("pooling") == "last", v.Bool("normalize")
	e.Request.NoCache = true // a cached row does not go through the loop, and has no latent to pool
	e.AddSpecial = v.Bool("add_special_tokens")
	e.Request.Seed, _ = seed(v)
	if raw := v.Raw("dimensions"); raw != nil {
		if size, ok := api.Integer(raw); !ok || size != int64(t.HiddenSize) {
			return nil, api.Bad("dimensions", api.CodeValue, "dimensions is %s: model %s gives %d: send that, or leave it out", api.Show(raw), t.Name, t.HiddenSize)
		}
	}
	return e, e.readInputs(v, lim)
}

// readInputs reads the texts, as prompts are read.
func (e *Embedding) readInputs(v *api.Values, lim api.Limits) (err error) {
	m, steps := e.Model, int64(0)
	e.Inputs, err = e.readTexts(v, "input", lim, func(n int, field, where string) (int, error) {
		if n > m.Context {
			return 0, api.Bad(field, "context_length_exceeded", "%s has %d tokens: model %s has a context of %d tokens: shorten it", where, n, m.Name, m.Context)
		}
		e.means = append(e.means, newLatentMean(n, m.HiddenSize, e.last))
		steps += int64(n) * int64(e.Request.Loops)
		return 0, nil
	})
	e.onLatent = func(i int) func(int, []float32) { return e.means[i].take }
	switch {
	case err != nil:
		return err
	case len(e.Inputs) > lim.Sequences:
		return api.Bad("input", "request_too_large", "input has %d texts: at most %d per request: send several requests", len(e.Inputs), lim.Sequences)
	case steps > lim.LoopSteps:
		return api.Bad("input", "request_too_large", "%d loop-steps asked for: at most %d per request: send several requests, or lower loops", steps, lim.LoopSteps)
	}
	return nil
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
		return nil, fmt.Errorf("%w: %d of %d hidden states were given", loopctl.ErrEngine, p.rows, want)
	}
	scale, squares := 1/float64(p.rows), 0.0
	for _, v := range p.sum {
		squares += v * v
	}
	if math.IsNaN(squares) || math.IsInf(squares, 0) {
		return nil, fmt.Errorf("%w: a hidden state is not finite", loopctl.ErrEngine)
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
