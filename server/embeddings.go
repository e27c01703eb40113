package server

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server/api"
)

// postEmbeddings gives the latents of a text's tokens after a number of loops, pooled to one vector. Nothing is
// generated: the prompt's rows go through the loop, and the request ends.
func (s *Server) postEmbeddings(c *gin.Context) {
	e, err := s.beginEmbedding(c)
	if err != nil {
		s.fail(c, err)
		return
	}
	defer e.end()
	out := embeddingList{Object: "list", Data: make([]embedding, len(e.streams)), Model: e.target.Name}
	count := tally{prompts: len(e.streams)}
	for i, stream := range e.streams {
		stats, err := await(e.ctx, stream)
		if err != nil {
			s.endFailed(c, err)
			return
		}
		count.promptTokens += stats.PromptTokens
		count.add(delta{index: i, stats: stats}, len(e.streams))
		vector, err := e.pools[i].vector(e.normalize)
		if err != nil {
			s.endFailed(c, err)
			return
		}
		out.Data[i] = embedding{Object: "embedding", Index: i, Embedding: vector}
		if e.base64 {
			out.Data[i].Embedding = packed(vector)
		}
	}
	u := count.usage(len(e.streams), e.depth.Applied)
	out.Usage = embeddingUsage{u.PromptTokens, u.TotalTokens, u.PromptTokensDetails}
	out.Timings = count.timings(false)
	note(c, "tokens", u.PromptTokens)
	respond(c, http.StatusOK, out)
}

type embeddingList struct {
	Object string         `json:"object"`
	Data   []embedding    `json:"data"`
	Model  string         `json:"model"`
	Usage  embeddingUsage `json:"usage"`

	Timings *timings `json:"timings"`
}

type embedding struct {
	Object    string `json:"object"`
	Index     int    `json:"index"`
	Embedding any    `json:"embedding"` // []float32, or a string in base64
}

type embeddingUsage struct {
	PromptTokens        int           `json:"prompt_tokens"`
	TotalTokens         int           `json:"total_tokens"`
	PromptTokensDetails promptDetails `json:"prompt_tokens_details"`
}

// embedder is one request under way.
type embedder struct {
	target            target
	depth             depth
	schedule          schedule
	addSpecial        bool
	seed              uint64
	last              bool // only the last token's latent
	normalize, base64 bool
	pools             []*pool
	work
}

// beginEmbedding reads the request and submits it.
func (s *Server) beginEmbedding(c *gin.Context) (*embedder, error) {
	b, t, err := s.readRequest(c)
	if err != nil {
		return nil, err
	}
	if t.HiddenSize == 0 {
		return nil, api.Bad("model", "unsupported_model", "model %s gives no embeddings: its engine does not let its latents be read: use another model", t.Name)
	}
	e := &embedder{target: t}
	if err := e.read(b, c.GetHeader("X-Loops")); err != nil {
		return nil, err
	}
	prompts, err := readInputs(b, t.Model, e.depth.Applied, e.addSpecial, s.cfg.Limits)
	if err != nil {
		return nil, err
	}
	e.work, err = s.submit(c, t, func(ctx context.Context) ([]*loopctl.Request, error) {
		requests := make([]*loopctl.Request, len(prompts))
		for i, ids := range prompts {
			p := newPool(len(ids), t.HiddenSize, e.last)
			e.pools = append(e.pools, p)
			requests[i] = &loopctl.Request{
				Context: ctx, ID: fmt.Sprintf("%s/%d", c.GetString(keyRequestID), i), Prompt: ids, OnLatent: p.take,
				Seed: e.seed, Arrived: c.GetTime(keyArrived),
			}
			e.depth.apply(requests[i])
			e.schedule.apply(requests[i], s.tenant(c))
			requests[i].NoCache = true // a cached row does not go through the loop, and has no latent to pool
		}
		return requests, nil
	})
	switch {
	case errors.Is(err, loopctl.ErrPagesExhausted): // its own words are about max_tokens
		return nil, api.Bad("input", "kv_memory_exceeded", "input needs more KV memory at %d loops than model %s has: shorten it, or lower loops", e.depth.Applied, t.Name)
	case err != nil:
		return nil, renamed(err, "input")
	}
	setLoopHeaders(c, t, e.depth)
	return e, nil
}

// read reads what an embedding may be asked for beside its input.
func (e *embedder) read(b api.Body, header string) (err error) {
	if err = api.CheckNames(b); err != nil {
		return err
	}
	if err = api.CheckSupported(b, false); err != nil {
		return err
	}
	for _, field := range []string{"replay_loops", "draft_loops", "elastic", "target_itl_ms", "loop_budget", "return_lens"} {
		if b.Has(field) {
			return api.Bad(field, "unsupported_field", "%s is given and an embedding generates nothing: leave the field out", field)
		}
	}
	if e.depth, err = readDepth(b, e.target, header); err != nil {
		return err
	}
	if k := e.depth.Exit.Kind; k.Probes() {
		return api.Bad("exit_policy", "unsupported_policy", "exit_policy is %q, which looks at the logits of generated tokens: for embeddings use none, delta or gate", k.String())
	}
	if e.schedule, err = readSchedule(b); err != nil {
		return err
	}
	format, err := oneOf(b, "encoding_format", "float", "base64")
	if err != nil {
		return err
	}
	pooling, err := oneOf(b, "pooling", "mean", "last")
	if err != nil {
		return err
	}
	e.base64, e.last = format == "base64", pooling == "last"
	r := &api.Reader{Body: b}
	e.normalize = r.Boolean("normalize", true)
	if size, ok := api.Integer(b["dimensions"]); r.Err == nil && b.Has("dimensions") && (!ok || size != int64(e.target.HiddenSize)) {
		return api.Bad("dimensions", api.CodeValue, "dimensions is %s: model %s gives %d: send that, or leave it out",
			api.Show(b["dimensions"]), e.target.Name, e.target.HiddenSize)
	}
	e.addSpecial = r.Boolean("add_special_tokens", true)
	e.seed = uint64(r.Integer("seed", 0, math.MinInt64, math.MaxInt64))
	return r.Err
}

// oneOf reads a word; the first one is the default.
func oneOf(b api.Body, field string, words ...string) (string, error) {
	v, err := b.Text(field)
	if err != nil || !b.Has(field) {
		return words[0], err
	}
	for _, w := range words {
		if v == w {
			return v, nil
		}
	}
	return "", api.Bad(field, api.CodeValue, "%s is %s: it must be one of %s", field, api.Quote(v), strings.Join(words, ", "))
}

// readInputs reads the texts, as prompts are read.
func readInputs(b api.Body, m *Model, loops int, addSpecial bool, lim Limits) ([][]int32, error) {
	inputs, err := inputs(b, "input", lim)
	if err != nil {
		return nil, err
	}
	out := make([][]int32, len(inputs))
	steps := int64(0)
	for i, in := range inputs {
		if out[i], _, err = in.tokens(m, addSpecial); err != nil {
			return nil, err
		}
		if n := len(out[i]); n > m.Context {
			return nil, api.Bad(in.field, "context_length_exceeded", "%s has %d tokens: model %s has a context of %d tokens: shorten it", in.where, n, m.Name, m.Context)
		}
		steps += int64(len(out[i])) * int64(loops)
	}
	switch {
	case len(out) > lim.Sequences:
		return nil, api.Bad("input", "request_too_large", "input has %d texts: at most %d per request: send several requests", len(out), lim.Sequences)
	case steps > lim.LoopSteps:
		return nil, api.Bad("input", "request_too_large", "%d loop-steps asked for: at most %d per request: send several requests, or lower loops", steps, lim.LoopSteps)
	}
	return out, nil
}

// await waits for the end of a sequence that generates nothing.
func await(ctx context.Context, stream *loopctl.Stream) (*loopctl.Stats, error) {
	e, err := nextEvent(ctx, stream)
	switch {
	case err != nil:
		return nil, err
	case e.Finish != loopctl.FinishLength || e.Stats == nil:
		return nil, fmt.Errorf("%w: sequence ended with %s", loopctl.ErrEngine, e.Finish)
	}
	return e.Stats, nil
}

// pool takes the latents of a prompt's rows, on the controller's goroutine, in any order. A row that is computed again
// after a preemption counts once.
type pool struct {
	last bool
	seen []bool
	rows int
	sum  []float64
}

func newPool(rows, hidden int, last bool) *pool {
	return &pool{last: last, seen: make([]bool, rows), sum: make([]float64, hidden)}
}

func (p *pool) take(position int, latent []float32) {
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
func (p *pool) vector(normalize bool) ([]float32, error) {
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
