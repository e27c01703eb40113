package dialect

import (
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"github.com/loopserve/loopserve/server/api"
	"github.com/loopserve/loopserve/server/generate"
)

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
		"reasoning": fields{"effort": api.OrNull(v.Effort()), "summary": api.OrNull(v.Text("reasoning.summary"))},
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
