package dialect

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/loopserve/loopserve/server/api"
	"github.com/loopserve/loopserve/server/generate"
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

// spelling is how a kind of part is written: what it is called as an item and as a part of it, and its events. A call has no
// parts; a thought is one of content, or of the summary that the client asked for.
type spelling struct{ prefix, item, list, part, event, partEvent, index, text string }

var spellings = []spelling{
	thought: {"rs_", "reasoning", "content", "reasoning_text", "reasoning_text", "content_part", "content_index", "text"},
	words:   {"msg_", "message", "content", "output_text", "output_text", "content_part", "content_index", "text"},
	call:    {"fc_", "function_call", "", "", "function_call_arguments", "", "", "arguments"},
}

var summed = spelling{"rs_", "reasoning", "summary", "summary_text", "reasoning_summary_text", "reasoning_summary_part", "summary_index", "text"}

// response is the answer of POST /v1/responses.
type response struct {
	*generate.Sequences
	parts

	asked     *responseRequest
	sequence  int
	items     []any // that are done
	logprobs  func(*generate.ChatLogprobs, *generate.Delta) *generate.ChatLogprobs
	waiting   *generate.ChatLogprobs // of tokens whose text has not come yet
	told      *generate.ChatLogprobs // of the part
	completed int64                  // Unix seconds
	failed    *api.Error
}

func (r *responseRequest) Answer(g *generate.Sequences) Answer {
	return &response{Sequences: g, asked: r, items: []any{}, logprobs: g.ChatLogprobs()}
}

func (r *response) event(kind string, data fields) Event {
	data["type"], data["sequence_number"] = "response."+kind, r.sequence
	r.sequence++
	return Event{"response." + kind, data}
}

func (r *response) Begin() []Event {
	whole := r.Whole()
	return []Event{r.event("created", fields{"response": whole}), r.event("in_progress", fields{"response": whole})}
}

func (r *response) Add(d *generate.Delta) []Event {
	if r.waiting = r.logprobs(r.waiting, d); d.Thinks && d.Text == "" { // a thought may be hidden, so that no part takes them
		r.waiting = nil
	}
	if d.Finish != "" {
		r.completed = time.Now().Unix()
	}
	return r.add(d, r.Sequences, r)
}

func (r *response) End() []Event {
	return []Event{r.event(r.status(), fields{"response": r.Whole()})}
}

func (r *response) Fail(e *api.Error) []Event {
	r.failed = e
	return r.End()
}

func (r *response) spelling(p *part) *spelling {
	if p.kind == thought && r.asked.values.Has("reasoning.summary") {
		return &summed
	}
	return &spellings[p.kind]
}

// piece is a part of an item.
func (r *response) piece(p *part) fields {
	f := fields{"type": r.spelling(p).part, "text": p.text}
	if p.kind == words {
		f["annotations"], f["logprobs"] = []any{}, contentOf(r.told)
	}
	return f
}

func contentOf(l *generate.ChatLogprobs) any {
	if l == nil {
		return []any{}
	}
	return l.Content
}

// item is a part as an item of the output.
func (r *response) item(p *part, status string) fields {
	s := r.spelling(p)
	f := fields{"id": p.id, "type": s.item, "status": status}
	switch p.kind {
	case call:
		f["call_id"], f["name"], f["arguments"] = p.call.ID, p.call.Function.Name, p.text
		return f
	case thought:
		f["summary"], f["content"], f["encrypted_content"] = []any{}, []any{}, nil
	case words:
		f["role"] = "assistant"
	}
	f[s.list] = []any{}
	if status != "in_progress" {
		f[s.list] = []any{r.piece(p)}
	}
	return f
}

// at says where an event's part is.
func (r *response) at(p *part, more fields) fields {
	more["item_id"], more["output_index"] = p.id, p.index
	if s := r.spelling(p); s.index != "" {
		more[s.index] = 0
	}
	return more
}

func (r *response) begin(p *part) []Event {
	s := r.spelling(p)
	p.id, r.told = s.prefix+strings.ToLower(rand.Text()), nil
	out := []Event{r.event("output_item.added", fields{"output_index": p.index, "item": r.item(p, "in_progress")})}
	if s.partEvent != "" {
		out = append(out, r.event(s.partEvent+".added", r.at(p, fields{"part": r.piece(&part{kind: p.kind})})))
	}
	return out
}

func (r *response) more(p *part, piece string) []Event {
	f := r.at(p, fields{"delta": piece})
	if p.kind == words {
		f["logprobs"] = contentOf(r.waiting)
		if r.told == nil {
			r.told = r.waiting
		} else if r.waiting != nil {
			r.told.Content = append(r.told.Content, r.waiting.Content...)
		}
	}
	r.waiting = nil
	return []Event{r.event(r.spelling(p).event+".delta", f)}
}

func (r *response) end(p *part) []Event {
	s, status := r.spelling(p), "completed"
	if p.cut {
		status = "incomplete"
	}
	item := r.item(p, status)
	r.items = append(r.items, item)
	done := r.at(p, fields{s.text: p.text})
	switch p.kind {
	case words:
		done["logprobs"] = contentOf(r.told)
	case call:
		done["name"] = p.call.Function.Name
	}
	out := []Event{r.event(s.event+".done", done)}
	if s.partEvent != "" {
		out = append(out, r.event(s.partEvent+".done", r.at(p, fields{"part": r.piece(p)})))
	}
	return append(out, r.event("output_item.done", fields{"output_index": p.index, "item": item}))
}

func (r *response) status() string {
	switch {
	case r.failed != nil:
		return "failed"
	case r.finish == "length":
		return "incomplete"
	case r.finish == "":
		return "in_progress"
	}
	return "completed"
}

// Whole is the response as it is now.
func (r *response) Whole() any {
	v := r.asked.values
	f := fields{
		"id": r.ID, "object": "response", "created_at": r.Created, "completed_at": nil, "model": r.Model.Name, "status": r.status(), "output": slices.Clone(r.items),
		"error": nil, "incomplete_details": nil, "background": false, "truncation": "disabled", "service_tier": "default", "usage": nil,
		"instructions": v.Raw("instructions"), "previous_response_id": v.Raw("previous_response_id"), "user": v.Raw("user"),
		"max_output_tokens": v.Raw("max_output_tokens"), "top_logprobs": v.Int("top_logprobs"), "store": v.Bool("store"),
		"temperature": v.Number("temperature"), "top_p": v.Number("top_p"), "parallel_tool_calls": v.Bool("parallel_tool_calls"),
		"reasoning": fields{"effort": orNull(v.Effort()), "summary": orNull(v.Text("reasoning.summary"))},
		"metadata":  given(v, "metadata", fields{}), "tools": given(v, "tools", []any{}), "tool_choice": given(v, "tool_choice", "auto"),
		"text": given(v, "text", fields{"format": fields{"type": "text"}}),
	}
	if len(r.Warnings) > 0 {
		f["warnings"] = r.Warnings
	}
	switch r.status() {
	case "in_progress":
		return f
	case "failed":
		f["error"] = fields{"code": "server_error", "message": r.failed.Message, "loopserve_code": r.failed.Code}
		return f
	case "incomplete":
		f["incomplete_details"] = fields{"reason": "max_output_tokens"}
	case "completed":
		f["completed_at"] = r.completed
	}
	u := r.Usage
	f["usage"] = fields{
		"input_tokens": u.PromptTokens, "input_tokens_details": u.PromptTokensDetails,
		"output_tokens": u.CompletionTokens, "output_tokens_details": u.CompletionTokensDetails, "total_tokens": u.TotalTokens,
	}
	return r.show(f, r.Sequences)
}

// given is a field as it was sent, or what stands for it.
func given(v *api.Values, name string, byDefault any) any {
	if raw := v.Raw(name); raw != nil {
		return raw
	}
	return byDefault
}

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}
