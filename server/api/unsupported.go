package api

import (
	"slices"
)

// unserved is a field that a route has no use for, with the values of it that ask for nothing.
type unserved struct {
	field    string
	harmless []string // JSON, compacted; null always is
	instead  string
}

// asked says whether a body wants the field to do something.
func (u *unserved) asked(b Body) bool {
	return b.Has(u.field) && !slices.Contains(u.harmless, Compact(b[u.field]))
}

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

// CheckSupported refuses what this version cannot do.
func CheckSupported(b Body, chat bool) error {
	for _, u := range unsupported {
		if chat && u.field == "tools" { // a template may take them: readTools
			continue
		}
		if u.field == "n_predict" && (b.Has("max_tokens") || b.Has("max_completion_tokens")) {
			continue // clients of several servers send every name that one of them knows
		}
		if u.asked(b) {
			return Bad(u.field, "unsupported_field", "%s is %s: the field is not supported by this version: %s",
				u.field, Show(b[u.field]), u.instead)
		}
	}
	return nil
}

// chatUnsupported are fields of completions and of OpenAI's chat that are of no use in a chat here.
var chatUnsupported = []unserved{
	{"echo", []string{"false"}, leaveOut},
	{"best_of", []string{"1"}, "set n"},
	{"prompt_logprobs", []string{"false"}, "use /v1/completions with echo"},
	{"functions", []string{"[]"}, "use tools"},
	{"function_call", []string{`"none"`, `"auto"`}, "use tools"},
	{"modalities", []string{`["text"]`}, "models served here read and write text only"},
	{"audio", nil, "models served here read and write text only"},
	{"prediction", nil, "set draft_loops"},
	{"web_search_options", nil, leaveOut},
}

// CheckChat refuses what a chat does not take.
func CheckChat(b Body) error {
	for _, u := range chatUnsupported {
		if u.asked(b) {
			return Bad(u.field, "unsupported_field", "%s is %s: a chat does not take the field: %s", u.field, Show(b[u.field]), u.instead)
		}
	}
	return nil
}
