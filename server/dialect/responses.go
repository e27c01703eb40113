package dialect

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/loopserve/loopserve/server/api"
)

// logprobsOfText is the one word of include that asks for something here.
const logprobsOfText = "message.output_text.logprobs"

// included are the words of include. All but the first name what tools of OpenAI's own servers bring, or what encrypts a
// thought: here it is in plain text already.
var included = []string{
	logprobsOfText, "reasoning.encrypted_content", "message.input_image.image_url", "computer_call_output.output.image_url",
	"file_search_call.results", "web_search_call.results", "web_search_call.action.sources", "code_interpreter_call.outputs",
}

// responseRequest is one of POST /v1/responses.
type responseRequest struct {
	request

	values *api.Values
	items  []json.RawMessage // of the conversation so far, and of input
	bytes  int               // of them that references brought
}

// ReadResponse makes a chat of a response's body. Earlier responses are looked up in kept.
func ReadResponse(b api.Body, v *api.Values, kept *Shelf) (_ Request, err error) {
	r := &responseRequest{values: v, request: newRequest(b, "input", "instructions", "previous_response_id", "store", "max_output_tokens", "text",
		"top_logprobs", "include", "metadata", "stream_options", "tools", "tool_choice", "truncation", "background")}
	r.names = [][2]string{
		{"messages", "input"}, {"max_tokens", "max_output_tokens"}, {"response_format.json_schema", "text.format"}, {"response_format", "text.format"},
	}
	if v.Has("instructions") {
		r.add(&message{Role: "developer", Content: v.Raw("instructions"), where: "instructions"})
	}
	if id := v.Text("previous_response_id"); id != "" {
		if r.items, err = kept.history(id); err != nil {
			return nil, err
		}
	}
	if err := r.readInput(v.Raw("input"), kept); err != nil {
		return nil, err
	}
	list, err := tools(v.Raw("tools"), "parameters", "function")
	if err != nil {
		return nil, err
	}
	r.set("tools", list)
	if err := r.readChoice(v.Raw("tool_choice")); err != nil {
		return nil, err
	}
	if v.Has("max_output_tokens") {
		r.set("max_tokens", v.Int("max_output_tokens"))
	}
	if form := v.Object("text.format"); form != nil {
		r.set("response_format", fields{"type": form["type"], "json_schema": form})
	}
	for i, word := range v.Texts("include") {
		if !slices.Contains(included, word) {
			return nil, api.Bad("include", api.CodeValue, "include[%d] is %s: it must be one of %s", i, api.Quote(word), strings.Join(included, ", "))
		}
		if word == logprobsOfText {
			r.set("logprobs", true)
			r.set("top_logprobs", v.Int("top_logprobs"))
		}
	}
	if v.Int("top_logprobs") > 0 && r.body["logprobs"] == nil {
		return nil, api.Bad("top_logprobs", api.CodeValue, `top_logprobs has no effect without "include": [%q]: set include, or leave top_logprobs out`, logprobsOfText)
	}
	return r, nil
}

// readChoice reads tool_choice: a function is named at its top level.
func (r *responseRequest) readChoice(raw json.RawMessage) error {
	if raw == nil || raw[0] == '"' {
		r.set("tool_choice", raw)
		return nil
	}
	var choice struct{ Type, Name string }
	if json.Unmarshal(raw, &choice) != nil || choice.Type != "function" {
		return api.Bad("tool_choice", api.CodeValue, `tool_choice is %s: it must be "auto", "none", "required", or {"type": "function", "name"}`, api.Show(raw))
	}
	r.set("tool_choice", fields{"type": "function", "function": fields{"name": choice.Name}})
	return nil
}

// readInput adds input to the items, and makes messages of all of them.
func (r *responseRequest) readInput(raw json.RawMessage, kept *Shelf) error {
	before := len(r.items)
	switch raw[0] {
	case '"':
		item, _ := api.Encode(fields{"role": "user", "content": raw}) // JSON that was parsed
		r.items = append(r.items, item)
	case '[':
		r.items = slices.AppendSeq(r.items, api.Items(raw))
	default:
		return api.Bad("input", api.CodeType, `input is %s: it must be a string, or a list of items as {"role", "content"}`, api.Show(raw))
	}
	if len(r.items) == before {
		return api.Bad("input", "empty_prompt", "input is an empty list: give at least one item")
	}
	for i := range r.items {
		where := fmt.Sprintf("input[%d]", i-before)
		if i < before {
			where = fmt.Sprintf("item %d of previous_response_id", i)
		}
		if err := r.readItem(&r.items[i], where, kept); err != nil {
			return err
		}
	}
	return nil
}

// item is one of input, of any type.
type item struct {
	Type, ID, Role  string
	Content         json.RawMessage
	CallID          string `json:"call_id"`
	Name, Arguments string
	Output          json.RawMessage
	Summary         []struct{ Text string }
}

// readItem adds an item to the talk. What refers to another item becomes that.
func (r *responseRequest) readItem(raw *json.RawMessage, where string, kept *Shelf) error {
	var it item
	read := func() bool { it = item{}; return (*raw)[0] == '{' && json.Unmarshal(*raw, &it) == nil }
	if !read() {
		return api.Bad("input", api.CodeType, `%s is %s: it must be an item, as {"role", "content"}`, where, api.Show(*raw))
	}
	if it.Type == "item_reference" || it.Type == "" && it.Role == "" && it.ID != "" {
		found, err := kept.item(it.ID, where)
		if err != nil {
			return err
		}
		if r.bytes += len(found); r.bytes > mostBytes {
			return api.Bad("input", api.CodeValue, "%s refers to the item %s: with it the items referred to have more than %d bytes: refer to fewer", where, api.Quote(it.ID), mostBytes)
		}
		*raw = found
		read()
	}
	missing := func(name string) error {
		return api.Bad("input", api.CodeMissing, "%s.%s is missing: give a string", where, name)
	}
	switch it.Type {
	case "", "message":
		if it.Role != "assistant" {
			r.add(&message{Role: it.Role, Content: it.Content, where: where})
			return nil
		}
		m := r.assistant(where, true)
		m.Content, m.where = it.Content, where
	case "reasoning":
		if text := it.thought(); text != "" {
			m := r.assistant(where, true)
			m.thought = append(m.thought, text...)
		}
	case "function_call":
		if it.Name == "" || it.CallID == "" {
			return missing(map[bool]string{true: "name", false: "call_id"}[it.Name == ""])
		}
		r.call(where, it.CallID, it.Name, it.Arguments)
	case "function_call_output":
		if it.CallID == "" || it.Output == nil {
			return missing(map[bool]string{true: "call_id", false: "output"}[it.CallID == ""])
		}
		r.add(&message{Role: "tool", Content: it.Output, CallID: it.CallID, where: where})
	default:
		return api.Bad("input", "unsupported_field", "%s.type is %s: the items are message, function_call, function_call_output, reasoning and item_reference", where, api.Quote(it.Type))
	}
	return nil
}

// thought is a reasoning item's text: the whole where it is there, else what sums it up.
func (it *item) thought() string {
	var content []struct{ Text string }
	_ = json.Unmarshal(it.Content, &content) // what is no list has no text
	if len(content) == 0 {
		content = it.Summary
	}
	texts := make([]string, len(content))
	for i, c := range content {
		texts[i] = c.Text
	}
	return strings.Join(texts, "\n")
}
