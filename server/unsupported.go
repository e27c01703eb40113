package server

import (
	"bytes"
	"encoding/json"
	"slices"
)

// unsupported lists the fields that would change the answer and that this version does not serve, each with the values
// that ask for nothing. Anything else in them is refused by name: an answer that silently lacks what was asked for is
// worse than none. A field leaves this table with the change that implements it.
var unsupported = []struct {
	field    string
	harmless []string // JSON, compacted; null always is
	instead  string
}{
	{"echo", []string{"false"}, ""},
	{"logprobs", []string{"false"}, ""},
	{"top_logprobs", []string{"0"}, ""},
	{"prompt_logprobs", []string{"false"}, ""},
	{"logit_bias", []string{"{}"}, ""},
	{"presence_penalty", []string{"0", "0.0"}, ""},
	{"frequency_penalty", []string{"0", "0.0"}, ""},
	{"repetition_penalty", []string{"1", "1.0"}, ""},
	{"suffix", []string{`""`}, ""},
	{"response_format", []string{`{"type":"text"}`}, ""},
	{"structured_outputs", []string{"{}"}, ""},
	{"guided_json", nil, ""},
	{"guided_regex", nil, ""},
	{"guided_choice", nil, ""},
	{"guided_grammar", nil, ""},
	{"json_schema", nil, ""},
	{"regex", nil, ""},
	{"choice", nil, ""},
	{"grammar", []string{`""`}, ""},
	{"tools", []string{"[]"}, ""},
	{"use_beam_search", []string{"false"}, ""},
	{"min_tokens", []string{"0"}, ""},
	{"bad_words", []string{"[]"}, ""},
	{"allowed_token_ids", []string{"[]"}, ""},
	{"truncate_prompt_tokens", nil, "shorten the prompt before sending it"},
	{"prompt_embeds", nil, "send text or token ids"},
	{"chat_template", nil, "templates come from the model only"},
	{"prefill_loops", nil, "set loops, which holds for the prompt, too"},
}

// checkSupported refuses what this version cannot do. best_of is only more work where it exceeds n.
func checkSupported(b body, chat bool) error {
	for _, u := range unsupported {
		if chat && u.field == "tools" { // a template may take them: readChat
			continue
		}
		if !b.has(u.field) || slices.Contains(u.harmless, compact(b[u.field])) {
			continue
		}
		remedy := u.instead
		if remedy == "" {
			remedy = "leave the field out"
		}
		return badField(u.field, "unsupported_field", "%s is %s: the field is not supported by this version: %s",
			u.field, show(b[u.field]), remedy)
	}
	if b.has("best_of") && compact(b["best_of"]) != "1" {
		if !b.has("n") || compact(b["best_of"]) != compact(b["n"]) {
			return badField("best_of", "unsupported_field",
				"best_of is %s: only best_of equal to n is supported by this version: leave the field out", show(b["best_of"]))
		}
	}
	return nil
}

func compact(raw json.RawMessage) string {
	var out bytes.Buffer
	if json.Compact(&out, raw) != nil {
		return string(raw)
	}
	return out.String()
}
