package chat

import (
	"context"
	"encoding/json"
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

// What a probe says: no template writes such words by itself. Ids have nine letters and digits, since Mistral's have.
const (
	probeText = "ΩprobeΩ"
	probeTool = `[{"type":"function","function":{"name":"pingone","description":"d","parameters":{"type":"object",` +
		`"properties":{"keyone":{"type":"string"},"keytwo":{"type":"string"}},"required":["keyone"]}}}]`
	probeCall  = `{"id":"probeid01","type":"function","function":{"name":"pingone","arguments":{"keyone":"valueone","keytwo":"valuetwo"}}}`
	probeOther = `{"id":"probeid02","type":"function","function":{"name":"pingtwo","arguments":{"keyone":"valueone","keytwo":"valuetwo"}}}`
	probeBare  = `{"id":"probeid01","type":"function","function":{"name":"pingone","arguments":{}}}`
)

var (
	probeID     = regexp.MustCompile(`probeid0\d`)
	probeObject = regexp.MustCompile(`(?s)^(.*?)\{\s*"keyone".*?"valuetwo"\s*\}(.*)$`)
	probeList   = regexp.MustCompile(`(?s)^(.*?)keyone(.*?)valueone(.*?)keytwo.*?valuetwo(.*)$`)
)

// probe finds the syntax in what the template makes of a conversation with a call, of one with two, and of one whose call
// has no arguments. It fails where the template writes no calls, or writes them in no such way.
func (t *Template) probe(ctx context.Context, kwargs map[string]any) (s constrain.CallSyntax, ok bool) {
	render := func(fields string) string { // nothing where it fails
		text, _ := t.render(ctx, jinja.Chat{
			Messages: json.RawMessage(`[{"role":"user","content":"q"},{"role":"assistant",` + fields + `}]`),
			Tools:    json.RawMessage(probeTool), BOS: t.bos, EOS: t.eos, Special: t.special, Kwargs: kwargs,
		})
		return text
	}
	head, tail, found := strings.Cut(render(`"content":"`+probeText+`"`), probeText)
	if !found {
		return s, false
	}
	ends := []string{t.eos}
	for _, id := range t.model.StopIDs {
		ends = append(ends, t.model.Token(&id))
	}
	// turn is what stands where a model writes.
	turn := func(calls string) string {
		text := probeID.ReplaceAllString(render(`"content":"","tool_calls":[`+calls+`]`), constrain.CallID)
		text = strings.TrimSuffix(text[len(commonPrefix(text, head)):], tail)
		for _, end := range ends {
			if end != "" {
				text, _, _ = strings.Cut(text, end)
			}
		}
		return strings.TrimSpace(text)
	}
	one := turn(probeCall)
	open, rest, found := strings.Cut(one, "pingone")
	if !found || open == "" { // a bare name is not told from text
		return s, false
	}
	s.Open, s.Most = open, 1
	// Templates that print arguments as Python does mean JSON.
	if parts := probeObject.FindStringSubmatch(strings.ReplaceAll(rest, "'", `"`)); parts != nil {
		s.Middle, s.Close = parts[1], parts[2]
	} else {
		_, none, _ := strings.Cut(turn(probeBare), "pingone")
		if !oneByOne(&s, rest, none) {
			return s, false
		}
	}
	behind, found := strings.CutPrefix(turn(probeCall+","+probeOther), strings.TrimSuffix(one, s.Close))
	if between, _, isTwo := strings.Cut(behind, "pingtwo"); found && isTwo {
		several(&s, between)
	}
	return s, true
}

// Texts are compared by character and split between tags: tagEnd is what a text that begins inside a tag has up to the next
// one, tagBegin the tag that a text ends inside of.
var (
	tagEnd   = regexp.MustCompile(`^[^<]*>[^<]*<`)
	tagBegin = regexp.MustCompile(`<[^<>]*$`)
)

// several splits Open and Close of a single call by what stands between two: the parts that it shares with them are a
// call's, and the others come once.
func several(s *constrain.CallSyntax, between string) {
	open := tagEnd.ReplaceAllString(commonSuffix(s.Open, between), "<")
	last := tagBegin.ReplaceAllString(commonPrefix(s.Close, between), "")
	if len(open)+len(last) > len(between) {
		return
	}
	s.Begin, s.Open = strings.TrimSuffix(s.Open, open), open
	s.End, s.Close = strings.TrimPrefix(s.Close, last), last
	s.Between, s.Most = between[len(last):len(between)-len(open)], -1
}

// oneByOne takes a call's text behind its name apart, whose arguments are no object, with the text of one that has none
// beside. It fails where no mark ends a value.
func oneByOne(s *constrain.CallSyntax, some, none string) bool {
	parts := probeList.FindStringSubmatch(some)
	if parts == nil || none == "" {
		return false
	}
	first, value, next, end := parts[1], parts[2], parts[3], parts[4]
	a := &s.Arguments
	a.Open, a.Middle = tagEnd.ReplaceAllString(commonSuffix(first, next), "<"), value
	s.Middle = strings.TrimSuffix(first, a.Open)
	s.Close = strings.TrimPrefix(none, s.Middle)
	a.Close = strings.TrimSuffix(end, s.Close)
	a.Between = strings.TrimSuffix(strings.TrimPrefix(next, a.Close), a.Open)
	if strings.Trim(value, ` "'`) == "=" {
		a.Python, a.Middle, a.Close = true, "=", ""
		a.Between = strings.Trim(a.Between, `"'`)
		return true
	}
	mark := a.Mark()
	whole := s.Middle+s.Close == none && a.Close+s.Close == end && a.Close+a.Between+a.Open == next
	return whole && mark != "" && strings.Count(mark, mark[:1]) == 1 && strings.TrimSpace(value) != ""
}

// commonPrefix is the longest text that a and b begin with.
func commonPrefix(a, b string) string {
	for !strings.HasPrefix(b, a) {
		a = a[:len(a)-1]
	}
	return a
}

// commonSuffix is the longest text that a and b end with.
func commonSuffix(a, b string) string {
	for !strings.HasSuffix(b, a) {
		a = a[1:]
	}
	return a
}
