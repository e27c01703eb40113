package server

import (
	"bytes"
	"encoding/json"
	"slices"
)

// unserved is a field that a route has no use for, with the values of it that ask for nothing.
type unserved struct {
	field    string
	harmless []string // JSON, compacted; null always is
	instead  string
}

// asked says whether a body wants the field to do something.
func (u *unserved) asked(b body) bool {
	return b.has(u.field) && !slices.Contains(u.harmless, compact(b[u.field]))
}

const leaveOut = "leave the field out"

// unsupported lists the fields that would change the answer and that this version does not serve. They are refused by
// name: an answer that silently lacks what was asked for is worse than none. A field leaves this table with the change
// that implements it.
var unsupported = []unserved{
	{"suffix", []string{`""`}, leaveOut},
	{"guided_grammar", nil, "use structured_outputs with json, regex or choice"},
	{"grammar", []string{`""`}, "use structured_outputs with json, regex or choice"},
	{"tools", []string{"[]"}, leaveOut},
	{"use_beam_search", []string{"false"}, leaveOut},
	{"bad_words", []string{"[]"}, leaveOut},
	{"truncate_prompt_tokens", nil, "shorten the prompt before sending it"},
	{"prompt_embeds", nil, "send text or token ids"},
	{"chat_template", nil, "templates come from the model only"},
	{"prefill_loops", nil, "set loops, which holds for the prompt, too"},
	// llama.cpp's and SGLang's
	{"n_predict", nil, "set max_tokens"},
	{"n_probs", []string{"0"}, "set logprobs"},
	{"repeat_penalty", one, "set repetition_penalty"},
	{"typical_p", one, leaveOut},
	{"dynatemp_range", zero, leaveOut},
	{"xtc_probability", zero, leaveOut},
	{"dry_multiplier", zero, leaveOut},
	{"mirostat", zero, leaveOut},
	{"lora", []string{"[]"}, leaveOut},
	{"lora_path", nil, leaveOut},
	{"ebnf", nil, "use structured_outputs with json, regex or choice"},
	{"stop_regex", []string{"[]", `""`}, "set stop"},
}

var zero, one = []string{"0", "0.0"}, []string{"1", "1.0"}

// checkSupported refuses what this version cannot do.
func checkSupported(b body, chat bool) error {
	for _, u := range unsupported {
		if chat && u.field == "tools" { // a template may take them: readTools
			continue
		}
		if u.field == "n_predict" && (b.has("max_tokens") || b.has("max_completion_tokens")) {
			continue // clients of several servers send every name that one of them knows
		}
		if u.asked(b) {
			return badField(u.field, "unsupported_field", "%s is %s: the field is not supported by this version: %s",
				u.field, show(b[u.field]), u.instead)
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
