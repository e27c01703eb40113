package server_test

import (
	"testing"

	"github.com/loopserve/loopserve/loopctl"
)

// Whatever the body of a chat: no 5xx, and an answer, a stream or an error in OpenAI's shape.
func FuzzChat(f *testing.F) {
	const user = `"messages":[{"role":"user","content":"a"}]`
	for _, s := range []string{
		`{` + user + `}`, `{` + user + `,"stream":true,"n":2}`, `{` + user + `,"exit_policy":"kl","exit_threshold":1e-9,"loops":12}`,
		`{` + user + `,"model":"adder@auto","exit_agree":2,"return_lens":3}`, `{` + user + `,"draft_loops":1,"loop_budget":9}`,
		`{` + user + `,"replay_loops":[1,2,12]}`, `{` + user + `,"target_itl_ms":0.5,"timeout_ms":10,"cache_salt":"x"}`,
		`{` + user + `,"chat_template_kwargs":{"thinking":null},"reasoning_effort":"low"}`, `{` + user + `,"tools":[{"type":"function","function":{"name":"f"}}]}`,
		`{"messages":[{"role":"assistant","content":"a "}],"continue_final_message":true}`, `{"messages":[{"role":"user","content":[{"type":"text","text":"a"}]}]}`,
		`{"messages":[{"role":"assistant","content":null,"tool_calls":[{"function":{"arguments":"{}"}}]}]}`, `{"messages":[null,[],{}]}`,
		`{` + user + `,"tools":[` + addTool + `],"tool_choice":"required","parallel_tool_calls":false}`,
		`{` + user + `,"stream":true,"tools":[` + addTool + `],"tool_choice":{"type":"function","function":{"name":"add"}},"include_reasoning":false}`, `{"messages":[{"role":"a","role":"b"}]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		s := &script{text: "<think>ab</think>" + oneCall + "\x00", finish: loopctl.FinishStop}
		m := model("adder", &generator{submit: s.submit})
		m.ChatTemplate = `{% for m in messages %}{{ m.role }}:{{ m.content }}{{ m.tool_calls }}{% endfor %}{{ tools }}{# <think> <tool_call> #}`
		srv := serverOf(t, m)
		var c wireChat
		if checkAnyAnswer(t, srv, s, "/v1/chat/completions", body, &c) && len(c.Choices) == 0 {
			t.Errorf("no choices in the answer to %s", body)
		}
	})
}
