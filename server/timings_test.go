package server_test

import (
	"testing"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/server"
)

// Interfaces made for llama.cpp's server show its names. The script's clock: 2 ms of queue, 3 to the first token, 4 more.
func TestLlamaTimings(t *testing.T) {
	const body = `{"model":"adder","prompt":"123+456+789=","max_tokens":8,"temperature":0`
	ts, _ := serve(t, &script{text: "1368\x00", finish: loopctl.FinishStop}, server.Config{})
	if got := decode(t, post(t, ts, body+`}`)).Timings; got["prompt_n"] != nil || got["ms_per_loop"] == nil {
		t.Errorf("unasked: %v", got)
	}
	want := map[string]float64{
		"cache_n": 0, "prompt_n": 12, "prompt_ms": 3, "prompt_per_token_ms": 0.25, "prompt_per_second": 4000,
		"predicted_n": 5, "predicted_ms": 4, "predicted_per_token_ms": 0.8, "predicted_per_second": 1250, "ms_per_loop": 0.25,
	}
	streamed := chunks(t, post(t, ts, body+`,"timings":true,"stream":true}`))
	for where, got := range map[string]map[string]*float64{
		"whole":    decode(t, post(t, ts, body+`,"timings":true}`)).Timings,
		"streamed": streamed[len(streamed)-1].Timings,
	} {
		for name, v := range want {
			if got[name] == nil || *got[name] < v*0.999 || *got[name] > v*1.001 {
				t.Errorf("%s: %s is not %v in %v", where, name, v, got)
			}
		}
	}
	checkError(t, post(t, ts, body+`,"timings":"yes"}`), 400, "invalid_type", "timings", `timings is "yes", a string: it must be true or false`)
}
