package generate

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/runtime/sampler"
	"github.com/loopserve/loopserve/server/api"
)

const (
	mostBias    = 1024  // entries of logit_bias
	mostAllowed = 16384 // ids of allowed_token_ids
)

// readSampling reads how tokens are chosen.
func (p *Plan) readSampling(r *api.Reader) {
	p.Sampling = sampler.Params{
		Temperature:       r.Number("temperature", 1, 0, 100),
		TopP:              r.Number("top_p", 1, 0, 1),
		TopK:              r.Integer("top_k", 0, -1, math.MaxInt32),
		MinP:              r.Number("min_p", 0, 0, 1),
		RepetitionPenalty: r.Number("repetition_penalty", 1, 0, 100),
		FrequencyPenalty:  r.Number("frequency_penalty", 0, -2, 2),
		PresencePenalty:   r.Number("presence_penalty", 0, -2, 2),
		MinTokens:         r.Integer("min_tokens", 0, 0, math.MaxInt32),
	}
	p.readSeed(r)
	s := &p.Sampling
	switch {
	case r.Err != nil:
		return
	case r.Body.Has("top_p") && s.TopP == 0:
		r.Err = api.Bad("top_p", api.CodeValue, "top_p is 0: it must be above 0 and at most 1; for greedy choice set temperature to 0")
	case s.RepetitionPenalty == 0:
		r.Err = api.Bad("repetition_penalty", api.CodeValue, "repetition_penalty is 0: it must be above 0; 1 changes nothing")
	case s.MinTokens > p.MaxTokens:
		r.Err = api.Bad("min_tokens", api.CodeValue, "min_tokens is %d and max_tokens is %d: min_tokens must not exceed it", s.MinTokens, p.MaxTokens)
	}
	if r.Err == nil {
		s.Bias, r.Err = readBias(r.Body, p.Model)
	}
	if r.Err == nil {
		s.Allowed, r.Err = readAllowed(r.Body, p.Model)
	}
}

// readBias reads logit_bias: token ids, as JSON object keys are strings, each with a number from −100 to 100.
func readBias(b api.Body, m *Model) ([]sampler.Bias, error) {
	var o api.Body
	if b.Has("logit_bias") && json.Unmarshal(b["logit_bias"], &o) != nil {
		return nil, api.Bad("logit_bias", api.CodeType, "logit_bias is %s: it must be an object of token ids with numbers from -100 to 100", api.Show(b["logit_bias"]))
	}
	if len(o) > mostBias {
		return nil, api.Bad("logit_bias", api.CodeValue, "logit_bias has %d entries: at most %d are allowed", len(o), mostBias)
	}
	var out []sampler.Bias
	for _, key := range slices.Sorted(maps.Keys(o)) {
		id, ok := api.Integer(json.RawMessage(key))
		if !ok || id < 0 || id >= int64(m.Vocab) {
			return nil, api.Bad("logit_bias", "token_id_out_of_range", "logit_bias names token %s: token ids go from 0 to %d", api.Quote(key), m.Vocab-1)
		}
		v, err := o.Number(key, 0, -100, 100)
		if err != nil {
			return nil, api.Bad("logit_bias", api.CodeValue, "logit_bias of token %s is %s: it must be a number from -100 to 100", strconv.Itoa(int(id)), api.Show(o[key]))
		}
		out = append(out, sampler.Bias{ID: int32(id), Value: float32(v)})
	}
	return out, nil
}

func readAllowed(b api.Body, m *Model) ([]int32, error) {
	if !b.Has("allowed_token_ids") {
		return nil, nil
	}
	out, err := api.IDs(b["allowed_token_ids"], "allowed_token_ids", "allowed_token_ids", m.Vocab)
	if err != nil {
		return nil, err
	}
	if len(out) > mostAllowed {
		return nil, api.Bad("allowed_token_ids", api.CodeValue, "allowed_token_ids has %d ids: at most %d are allowed", len(out), mostAllowed)
	}
	return out, nil
}

// sampler makes the sampler of a prompt's j-th sequence, which any of stop ends.
func (p *Plan) sampler(prompt, stop []int32, j int) (loopctl.Sampler, error) {
	s := p.Sampling
	s.Seed += uint64(j) // as vLLM: the same seed gives different choices, and the same ones again
	s.Prompt, s.StopIDs = prompt, stop
	s.Logprobs, s.Top = p.Logprobs.On || p.BestOf > p.N, p.Logprobs.Top
	if p.form != nil {
		s.Constraint = p.form.Start()
	}
	out, err := sampler.New(s)
	if err != nil {
		return nil, api.Bad("", api.CodeValue, "%s", err.Error())
	}
	return out, nil
}

// perPrompt is how many sequences each prompt gets.
func (p *Plan) perPrompt() int { return max(p.N, p.BestOf) }
