package generate

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/runtime/sampler"
	"github.com/loopserve/loopserve/server/api"
)

const mostBias = 1024 // entries of logit_bias

// seed reads a seed. -1 asks for none, as vLLM and llama.cpp have it.
func seed(v *api.Values) (seed uint64, given bool) {
	if !v.Has("seed") || v.Int("seed") == -1 {
		return 0, false
	}
	return uint64(v.Int("seed")), true
}

// readSampling reads how tokens are chosen. The seed is that of a random initial state, too: without one the state is
// the same for all, so that greedy answers repeat.
func (p *Plan) readSampling(v *api.Values) (err error) {
	p.Sampling = sampler.Params{
		Temperature:       v.Number("temperature"),
		TopP:              v.Number("top_p"),
		TopK:              v.Int("top_k"),
		MinP:              v.Number("min_p"),
		RepetitionPenalty: v.Number("repetition_penalty"),
		FrequencyPenalty:  v.Number("frequency_penalty"),
		PresencePenalty:   v.Number("presence_penalty"),
		MinTokens:         v.Int("min_tokens"),
		Allowed:           v.IDs("allowed_token_ids"),
		Seed:              rand.Uint64(),
	}
	s := &p.Sampling
	if seed, given := seed(v); given {
		s.Seed, p.Request.Seed, p.Seeded = seed, seed, true
	}
	if s.MinTokens > p.MaxTokens {
		return api.Bad("min_tokens", api.CodeValue, "min_tokens is %d and max_tokens is %d: min_tokens must not exceed it", s.MinTokens, p.MaxTokens)
	}
	if err := p.checkMasks(); err != nil {
		return err
	}
	s.Bias, err = readBias(v.Raw("logit_bias"), p.Model)
	return err
}

// endingIDs are those that min_tokens keeps away: as vLLM, the model's own also where ignore_eos goes past them.
func (p *Plan) endingIDs() []int32 { return slices.Concat(p.Model.StopIDs, p.StopIDs) }

// checkMasks refuses fields that together leave no token to choose.
func (p *Plan) checkMasks() error {
	s, ending := &p.Sampling, p.endingIDs()
	field, left := "allowed_token_ids", s.Allowed
	if len(left) == 0 {
		field = "stop_token_ids"
		for id := range min(p.Model.Vocab, len(ending)+1) { // one of so many does not end the text, unless all do
			left = append(left, int32(id))
		}
	}
	if s.MinTokens == 0 || slices.ContainsFunc(left, func(id int32) bool { return !slices.Contains(ending, id) }) {
		return nil
	}
	return api.Bad(field, "conflicting_fields",
		"%s leaves nothing but ids that end the text, and min_tokens is %d: no token could come: change %[1]s or leave min_tokens out", field, s.MinTokens)
}

// readBias reads logit_bias: token ids, as JSON object keys are strings, each with a number from −100 to 100.
func readBias(raw json.RawMessage, m *Model) ([]sampler.Bias, error) {
	var o api.Body
	if raw != nil && json.Unmarshal(raw, &o) != nil {
		return nil, api.Bad("logit_bias", api.CodeType, "logit_bias is %s: it must be an object of token ids with numbers from -100 to 100", api.Show(raw))
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
		bias, ok := api.Float(o[key])
		if o.Has(key) && (!ok || bias < -100 || bias > 100) {
			return nil, api.Bad("logit_bias", api.CodeValue, "logit_bias of token %d is %s: it must be a number from -100 to 100", id, api.Show(o[key]))
		}
		out = append(out, sampler.Bias{ID: int32(id), Value: float32(bias)})
	}
	return out, nil
}

// sampler makes the sampler of a prompt's j-th sequence.
func (p *Plan) sampler(prompt []int32, j int) (loopctl.Sampler, error) {
	s := p.Sampling
	s.Seed += uint64(j) // as vLLM: the same seed gives different choices, and the same ones again
	s.Prompt, s.StopIDs = prompt, p.endingIDs()
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
