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
	{"suffix", []string{`""`}, ""},
	{"guided_grammar", nil, "use structured_outputs with json, regex or choice"},
	{"grammar", []string{`""`}, "use structured_outputs with json, regex or choice"},
	{"tools", []string{"[]"}, ""},
	{"use_beam_search", []string{"false"}, ""},
	{"bad_words", []string{"[]"}, ""},
	{"truncate_prompt_tokens", nil, "shorten the prompt before sending it"},
	{"prompt_embeds", nil, "send text or token ids"},
	{"chat_template", nil, "templates come from the model only"},
	{"prefill_loops", nil, "set loops, which holds for the prompt, too"},
}

// checkSupported refuses what this version cannot do.
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
	return nil
}

func compact(raw json.RawMessage) string {
	var out bytes.Buffer
	if json.Compact(&out, raw) != nil {
		return string(raw)
	}
	return out.String()
}
