package generate

// llamaTimings are the request's counts and times under the names of llama.cpp's server, which interfaces made for it
// read: https://github.com/ggml-org/llama.cpp/tree/master/tools/server, "timings". Its prompt ends, and its answer
// begins, with the first token.
type llamaTimings struct {
	CacheN              int      `json:"cache_n"`
	PromptN             int      `json:"prompt_n"` // without those from the cache
	PromptMS            *float64 `json:"prompt_ms"`
	PromptPerTokenMS    *float64 `json:"prompt_per_token_ms"`
	PromptPerSecond     *float64 `json:"prompt_per_second"`
	PredictedN          int      `json:"predicted_n"`
	PredictedMS         *float64 `json:"predicted_ms"`
	PredictedPerTokenMS *float64 `json:"predicted_per_token_ms"`
	PredictedPerSecond  *float64 `json:"predicted_per_second"`
}

// Timings are the request's so far, under llama.cpp's names as well where it asked for them.
func (g *Sequences) Timings() *Timings {
	t := g.Usage.timings(g.Request.Draft > 0)
	if g.LlamaTimings {
		t.llamaTimings = llamaTimingsOf(g.Usage, t)
	}
	return t
}

func llamaTimingsOf(u *Usage, t *Timings) *llamaTimings {
	out := &llamaTimings{CacheN: u.PromptTokensDetails.CachedTokens, PredictedN: u.CompletionTokens, PredictedMS: t.GenerationTimeMS}
	out.PromptN = u.PromptTokens - out.CacheN
	if t.TimeToFirstTokenMS != nil && t.QueueTimeMS != nil {
		v := max(*t.TimeToFirstTokenMS-*t.QueueTimeMS, 0)
		out.PromptMS = &v
	}
	out.PromptPerTokenMS, out.PromptPerSecond = rates(out.PromptMS, out.PromptN)
	out.PredictedPerTokenMS, out.PredictedPerSecond = rates(out.PredictedMS, out.PredictedN)
	return out
}

// rates of n tokens in so many milliseconds; nil where nothing was done, or no time passed.
func rates(ms *float64, n int) (perToken, perSecond *float64) {
	if ms == nil || n == 0 {
		return nil, nil
	}
	perToken = ratio(*ms, float64(n))
	if *ms > 0 {
		perSecond = ratio(1000*float64(n), *ms)
	}
	return perToken, perSecond
}
