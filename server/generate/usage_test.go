package generate

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/loopserve/loopserve/loopctl"
)

func usageOf(prompts, perPrompt, loops int) *Usage {
	p := &Plan{N: perPrompt, Request: loopctl.Request{Loops: loops}}
	list := make([]Prompt, prompts)
	for i := range list {
		list[i].IDs = []int32{1, 2, 3}
	}
	return newUsage(p, list)
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// What the client saw counts at once; what the engine tells at a sequence's end is there when all have ended.
func TestUsage(t *testing.T) {
	u := usageOf(1, 2, 4)
	u.Add(Delta{Index: 0, Loops: 4, Thinks: true})
	u.Add(Delta{Index: 1, Loops: 2})
	u.Add(Delta{Index: 0, Finish: "stop", Stats: &loopctl.Stats{PromptTokens: 3, CachedTokens: 1, PromptRows: 2, PromptLoops: 8, LoopsSaved: 1, LoopsGranted: 3}})
	const running = `{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,"prompt_tokens_details":{"cached_tokens":0},` +
		`"completion_tokens_details":{"reasoning_tokens":1,"loops":{"total":6,"mean":3,"max":4,"saved":0}}}`
	if got := asJSON(t, u); got != running {
		t.Errorf("one of two has ended:\n got %s\nwant %s", got, running)
	}
	// The second choice finds in the cache what the first one left: that is not counted. It does not say what was granted.
	u.Add(Delta{Index: 1, Finish: "stop", Stats: &loopctl.Stats{PromptTokens: 3, CachedTokens: 3, LoopsSaved: 2}})
	const whole = `{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,"prompt_tokens_details":{"cached_tokens":1,` +
		`"loops":{"total":8,"mean":4,"max":4,"saved":0}},"completion_tokens_details":{"reasoning_tokens":1,` +
		`"loops":{"total":6,"mean":3,"max":4,"saved":3,"granted":3}}}`
	if got := asJSON(t, u); got != whole {
		t.Errorf("both have ended:\n got %s\nwant %s", got, whole)
	}
}

// Each prompt's first choice says what of it was cached.
func TestUsageOfSeveralPrompts(t *testing.T) {
	u := usageOf(2, 2, 4)
	for i, cached := range []int{1, 3, 2, 3} {
		u.Add(Delta{Index: i, Finish: "length", Stats: &loopctl.Stats{PromptTokens: 3, CachedTokens: cached}})
	}
	if u.PromptTokens != 6 || u.PromptTokensDetails.CachedTokens != 3 {
		t.Errorf("prompts of %d tokens, %d cached; want 6 and 3", u.PromptTokens, u.PromptTokensDetails.CachedTokens)
	}
}

func TestTimingsOf(t *testing.T) {
	at := func(ms int) time.Time { return time.Unix(100, 0).Add(time.Duration(ms) * time.Millisecond) }
	u := usageOf(1, 2, 4)
	for i := range 2 { // choice 1 is 10 ms behind choice 0
		for range 3 {
			u.Add(Delta{Index: i, Loops: 2})
		}
		u.Add(Delta{Index: i, Finish: "length", Stats: &loopctl.Stats{
			Arrived: at(0), Scheduled: at(10 + 10*i), FirstToken: at(20 + 10*i), Finished: at(40 + 10*i),
			CompletionTokens: 3, Drafted: 5, Accepted: 4,
		}})
	}
	// 6 tokens and 12 loops in the 40 ms from the first row to the last token; 10 ms between two tokens of a choice.
	const want = `{"queue_time_ms":15,"time_to_first_token_ms":20,"generation_time_ms":30,"mean_itl_ms":10,` +
		`"tokens_per_second":150,"loops_per_second":300,"ms_per_loop":5,"drafted":10,"accepted":8}`
	if got := asJSON(t, u.timings(true)); got != want {
		t.Errorf("timings\n got %s\nwant %s", got, want)
	}
	const nothing = `{"queue_time_ms":null,"time_to_first_token_ms":null,"generation_time_ms":null,"mean_itl_ms":null,` +
		`"tokens_per_second":null,"loops_per_second":null,"ms_per_loop":null}`
	if got := asJSON(t, usageOf(1, 1, 4).timings(false)); got != nothing {
		t.Errorf("before the first token: %s", got)
	}
}
