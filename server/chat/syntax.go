package chat

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/loopserve/loopserve/runtime/constrain"
	"github.com/loopserve/loopserve/tokenizer/jinja"
)

// The forms of calls that models are known for.
var (
	hermes = constrain.CallSyntax{
		Open: "<tool_call>\n{\"name\": \"", Middle: `", "arguments": `, Close: "}\n</tool_call>", Between: "\n", Most: -1,
	}
	qwenCoder = constrain.CallSyntax{
		Open: "<tool_call>\n<function=", Middle: ">\n", Close: "</function>\n</tool_call>", Between: "\n", Most: -1,
		Arguments: constrain.ArgumentSyntax{Open: "<parameter=", Middle: ">\n", Close: "\n</parameter>\n"},
	}
	mistral = constrain.CallSyntax{
		Begin: "[TOOL_CALLS][", Open: `{"name": "`, Middle: `", "arguments": `, Close: "}", Between: ", ", End: "]", Most: -1,
	}
	pythonic = constrain.CallSyntax{
		Begin: "[", Middle: "(", Close: ")", Between: ", ", End: "]", Most: -1,
		Arguments: constrain.ArgumentSyntax{Middle: "=", Between: ", ", Python: true},
	}
	llama = constrain.CallSyntax{Open: `{"name": "`, Middle: `", "parameters": `, Close: "}", Most: 1}
)

// syntax is how the template teaches calls to be written: as it writes those of a conversation's past. Where it writes
// none, the words that it teaches with say which of the known forms it is.
func (t *Template) syntax(ctx context.Context, kwargs map[string]any) constrain.CallSyntax {
	if s, ok := t.probe(ctx, kwargs); ok {
		return s
	}
	for _, known := range []struct {
		word   string
		syntax constrain.CallSyntax
	}{{"<function=", qwenCoder}, {callOpen, hermes}, {"[TOOL_CALLS]", mistral}, {"func_name1(", pythonic}} {
		if t.mentions(known.word) {
			return known.syntax
		}
	}
	return llama
}

// What a probe says: no template writes such words by itself.
const (
	probeText = "ΩprobeΩ"
	probeTool = `[{"type":"function","function":{"name":"pingone","description":"d","parameters":{"type":"object",` +
		`"properties":{"keyone":{"type":"string"},"keytwo":{"type":"string"}},"required":["keyone"]}}}]`
	noArguments   = `{}`
	someArguments = `{"keyone":"valueone","keytwo":"valuetwo"}`
)

// probeCall is a call of a probe's. Ids have nine letters and digits, since Mistral's have.
func probeCall(name, id, arguments string) string {
	return fmt.Sprintf(`{"id":"%s","type":"function","function":{"name":"%s","arguments":%s}}`, id, name, arguments)
}

// probe finds the syntax in what the template makes of a conversation with a call, of one with two, and of one whose call
// has no arguments. It fails where the template writes no calls, or writes them in no such way.
func (t *Template) probe(ctx context.Context, kwargs map[string]any) (s constrain.CallSyntax, ok bool) {
	render := func(fields string) (string, bool) {
		text, err := t.render(ctx, jinja.Chat{
			Messages: json.RawMessage(`[{"role":"user","content":"q"},{"role":"assistant",` + fields + `}]`),
			Tools:    json.RawMessage(probeTool), BOS: t.bos, EOS: t.eos, Special: t.special, Kwargs: kwargs,
		})
		return text, err == nil
	}
	plain, ok := render(`"content":"` + probeText + `"`)
	head, tail, found := strings.Cut(plain, probeText)
	if !ok || !found {
		return s, false
	}
	// turn is what stands where a model writes.
	turn := func(calls ...string) string {
		text, _ := render(`"content":"","tool_calls":[` + strings.Join(calls, ",") + `]`)
		text = strings.NewReplacer("probeid01", constrain.CallID, "probeid02", constrain.CallID).Replace(text)
		text = text[len(commonPrefix(text, head)):]
		text = strings.TrimSuffix(text, tail)
		for _, end := range t.ends() {
			if at := strings.Index(text, end); end != "" && at >= 0 {
				text = text[:at]
			}
		}
		return strings.TrimSpace(text)
	}
	one := turn(probeCall("pingone", "probeid01", someArguments))
	open, rest, found := strings.Cut(one, "pingone")
	if !found || open == "" { // a bare name is not told from text
		return s, false
	}
	s.Most = 1
	last := "" // what follows the arguments of the last call
	if s.Middle, last, ok = cutObject(rest); !ok {
		_, none, _ := strings.Cut(turn(probeCall("pingone", "probeid01", noArguments)), "pingone")
		if s.Middle, s.Arguments, last, ok = argumentsOf(rest, none); !ok {
			return s, false
		}
	}
	s.Open, s.Close = open, last
	two := turn(probeCall("pingone", "probeid01", someArguments), probeCall("pingtwo", "probeid02", someArguments))
	between, _, found := strings.Cut(strings.TrimPrefix(two, strings.TrimSuffix(one, last)), "pingtwo")
	if found && strings.HasPrefix(two, strings.TrimSuffix(one, last)) {
		several(&s, between)
	}
	return s, true
}

// ends are the texts of tokens that end an answer.
func (t *Template) ends() (out []string) {
	out = append(out, t.eos)
	for _, id := range t.model.StopIDs {
		out = append(out, t.model.Token(&id))
	}
	return out
}

// several splits Open and Close of a single call by what stands between two: the parts that it shares with them are a
// call's, and the others come once.
func several(s *constrain.CallSyntax, between string) {
	open, last := fromTag(commonSuffix(s.Open, between)), toTag(commonPrefix(s.Close, between))
	if len(open)+len(last) > len(between) {
		return
	}
	s.Begin, s.Open = strings.TrimSuffix(s.Open, open), open
	s.End, s.Close = strings.TrimPrefix(s.Close, last), last
	s.Between, s.Most = between[len(last):len(between)-len(open)], -1
}

// cutObject cuts a text around the probe's arguments as an object, in JSON or as Python prints it.
func cutObject(text string) (before, after string, ok bool) {
	text = strings.ReplaceAll(text, "'", `"`)
	for at := range len(text) {
		if text[at] != '{' {
			continue
		}
		d := json.NewDecoder(strings.NewReader(text[at:]))
		var arguments map[string]any
		if d.Decode(&arguments) == nil && arguments["keytwo"] == "valuetwo" {
			return text[:at], text[at+int(d.InputOffset()):], true
		}
	}
	return "", "", false
}

// argumentsOf takes a call's text behind its name apart, with the text of one that has no arguments beside.
func argumentsOf(some, none string) (middle string, a constrain.ArgumentSyntax, last string, ok bool) {
	parts := regexp.MustCompile(`(?s)^(.*?)keyone(.*?)valueone(.*?)keytwo.*?valuetwo(.*)$`).FindStringSubmatch(some)
	if parts == nil || none == "" {
		return "", a, "", false
	}
	first, value, next, end := parts[1], parts[2], parts[3], parts[4]
	a.Open, a.Middle = fromTag(commonSuffix(first, next)), value
	middle = strings.TrimSuffix(first, a.Open)
	last = strings.TrimPrefix(none, middle)
	a.Close = strings.TrimSuffix(end, last)
	a.Between = strings.TrimSuffix(strings.TrimPrefix(next, a.Close), a.Open)
	if strings.Trim(value, ` "'`) == "=" {
		a.Python, a.Middle, a.Close = true, "=", ""
		a.Between = strings.Trim(a.Between, `"'`)
		return middle, a, last, true
	}
	mark := a.Mark()
	whole := middle+last == none && a.Close+last == end && a.Close+a.Between+a.Open == next
	return middle, a, last, whole && mark != "" && strings.Count(mark, mark[:1]) == 1 && strings.TrimSpace(value) != ""
}

func commonPrefix(a, b string) string {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return a[:n]
}

func commonSuffix(a, b string) string {
	n := 0
	for n < min(len(a), len(b)) && a[len(a)-1-n] == b[len(b)-1-n] {
		n++
	}
	return a[len(a)-n:]
}

// fromTag leaves out the end of a tag that a text begins inside.
func fromTag(text string) string {
	open, closed := strings.Index(text, "<"), strings.Index(text, ">")
	if closed >= 0 && closed < open {
		return text[open:]
	}
	return text
}

// toTag leaves out the beginning of a tag that a text ends inside.
func toTag(text string) string {
	if at := strings.LastIndex(text, "<"); at > strings.LastIndex(text, ">") {
		return text[:at]
	}
	return text
}
