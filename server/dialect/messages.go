package dialect

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/loopserve/loopserve/server/api"
	"github.com/loopserve/loopserve/server/generate"
)

// messagesRequest is one of POST /v1/messages.
type messagesRequest struct {
	request

	warnings []string // what of it does not act
}

// ReadMessages makes a chat of a body of POST /v1/messages.
func ReadMessages(b api.Body, v *api.Values) (Request, error) {
	r := &messagesRequest{request: newRequest(b, "messages", "system", "stop_sequences", "thinking", "output_config", "metadata", "tools", "tool_choice", "mcp_servers")}
	r.names = [][2]string{{"stop", "stop_sequences"}, {"response_format.json_schema", "output_config.format"}, {"response_format", "output_config.format"}}
	if raw := v.Raw("system"); raw != nil {
		text, err := r.texts(raw, "system", "system")
		if err != nil {
			return nil, err
		}
		r.add(&message{Role: "system", Content: text, where: "system"})
	}
	if err := r.readMessages(v.Raw("messages")); err != nil {
		return nil, err
	}
	list, err := tools(v.Raw("tools"), "input_schema", "custom", "")
	if err != nil {
		return nil, err
	}
	r.set("tools", list)
	if v.Has("stop_sequences") {
		r.set("stop", v.Texts("stop_sequences"))
	}
	if form := v.Object("output_config.format"); form != nil {
		r.set("response_format", fields{"type": form["type"], "json_schema": form})
	}
	if effort := v.Text("output_config.effort"); effort != "" && v.Effort() == "" {
		r.set("reasoning_effort", strings.Replace(effort, "max", "xhigh", 1))
	}
	if err := r.readThinking(v); err != nil {
		return nil, err
	}
	return r, r.readChoice(v.Object("tool_choice"))
}

// readThinking sets the switch that templates have for it.
func (r *messagesRequest) readThinking(v *api.Values) error {
	kind := v.Text("thinking.type")
	if kind == "" {
		return nil
	}
	args := fields{}
	for name, value := range v.Object("chat_template_kwargs") {
		args[name] = value
	}
	if args["enable_thinking"] != nil {
		return api.Conflict("thinking", "chat_template_kwargs.enable_thinking", "leave one of the two out")
	}
	args["enable_thinking"] = kind != "disabled"
	r.set("chat_template_kwargs", args)
	if v.Has("thinking.budget_tokens") {
		r.warnings = append(r.warnings, "thinking.budget_tokens has no effect: max_tokens bounds reasoning and answer together, and loops sets the computation of each token")
	}
	return nil
}

func (r *messagesRequest) readChoice(choice api.Body) error {
	if choice == nil {
		return nil
	}
	kind, err := choice.Text("type")
	if err != nil {
		return api.Inside("tool_choice", err)
	}
	switch kind {
	case "auto", "none":
		r.set("tool_choice", kind)
	case "any":
		r.set("tool_choice", "required")
	case "tool":
		r.set("tool_choice", fields{"type": "function", "function": fields{"name": choice["name"]}})
	default:
		return api.Bad("tool_choice.type", api.CodeValue, "tool_choice.type is %s: it must be one of auto, any, tool, none", api.Quote(kind))
	}
	if string(choice["disable_parallel_tool_use"]) == "true" {
		r.set("parallel_tool_calls", false)
	}
	return nil
}

// block is one of a message's content.
type block struct {
	Type, Text, Thinking, ID, Name string
	Input, Content                 json.RawMessage
	ToolUseID                      string `json:"tool_use_id"`
}

func (r *messagesRequest) readMessages(raw json.RawMessage) error {
	var list []struct {
		Role    string
		Content json.RawMessage
	}
	if raw[0] != '[' || json.Unmarshal(raw, &list) != nil {
		return api.Bad("messages", api.CodeType, `messages is %s: it must be a list of {"role", "content"}`, api.Show(raw))
	}
	for i, m := range list {
		where := fmt.Sprintf("messages[%d]", i)
		switch {
		case m.Role != "user" && m.Role != "assistant":
			return api.Bad("messages", api.CodeValue, "%s.role is %s: it must be user or assistant; put system text into the field system", where, api.Quote(m.Role))
		case m.Content == nil || m.Content[0] == '"':
			r.add(&message{Role: m.Role, Content: m.Content, where: where})
			continue
		}
		if err := r.readBlocks(m.Role, m.Content, where); err != nil {
			return err
		}
	}
	n := len(r.messages) - 1
	if n < 0 || r.messages[n].Role != "assistant" || r.messages[n].ToolCalls != nil {
		return nil
	}
	switch said := string(r.messages[n].Content); {
	case said != "" && said != `""`:
		if r.body["add_generation_prompt"] == nil {
			r.set("continue_final_message", true) // the answer goes on with what it says
		}
	case r.messages[n].thought == nil: // nothing to go on with
		r.messages = r.messages[:n]
	}
	return nil
}

// readBlocks reads a message's content. The results of tools are messages of their own, before what else a user says.
func (r *messagesRequest) readBlocks(role string, raw json.RawMessage, where string) error {
	var blocks []block
	if raw[0] != '[' || json.Unmarshal(raw, &blocks) != nil {
		return api.Bad("messages", api.CodeType, "%s.content is %s: it must be a string or a list of blocks", where, api.Show(raw))
	}
	m := &message{Role: role, where: where}
	var texts []string
	for i, b := range blocks {
		at := fmt.Sprintf("%s.content[%d]", where, i)
		switch {
		case b.Type == "text":
			texts = append(texts, b.Text)
		case b.Type == "tool_result" && role == "user":
			content, err := r.texts(b.Content, "messages", at+".content")
			if err != nil {
				return err
			}
			r.add(&message{Role: "tool", Content: content, CallID: b.ToolUseID, where: at})
		case b.Type == "tool_use" && role == "assistant":
			m.ToolCalls = append(m.ToolCalls, generate.ToolCall{ID: b.ID, Type: "function", Function: generate.Function{Name: b.Name, Arguments: string(b.Input)}})
			m.calls = append(m.calls, at)
		case b.Type == "thinking" && role == "assistant":
			m.thought = append(m.thought, b.Thinking...)
		case b.Type == "redacted_thinking": // what nobody can read
		default:
			return api.Bad("messages", "unsupported_field", "%s is of type %s, which a message of the role %s cannot have here: models served here read text only", at, api.Quote(b.Type), role)
		}
	}
	if texts != nil {
		m.Content, _ = api.Encode(strings.Join(texts, "\n")) // a text is never refused
	}
	if m.Content != nil || m.ToolCalls != nil || m.thought != nil || len(blocks) == 0 {
		r.add(m)
	}
	return nil
}

// texts are a string, or the text of a list of blocks, as a string.
func (r *messagesRequest) texts(raw json.RawMessage, param, where string) (json.RawMessage, error) {
	if raw == nil {
		return json.RawMessage(`""`), nil
	}
	if raw[0] == '"' {
		return raw, nil
	}
	var blocks []block
	if raw[0] != '[' || json.Unmarshal(raw, &blocks) != nil {
		return nil, api.Bad(param, api.CodeType, "%s is %s: it must be a string or a list of blocks of text", where, api.Show(raw))
	}
	texts := make([]string, len(blocks))
	for i, b := range blocks {
		if texts[i] = b.Text; b.Type != "text" {
			return nil, api.Bad(param, "unsupported_field", "%s[%d] is of type %s: models served here read text only", where, i, api.Quote(b.Type))
		}
	}
	return api.Encode(strings.Join(texts, "\n"))
}

// messages is the answer of POST /v1/messages.
type messages struct {
	*generate.Sequences
	parts

	stops []string
}

func (r *messagesRequest) Answer(g *generate.Sequences) Answer {
	g.Warnings = append(g.Warnings, r.warnings...)
	return &messages{Sequences: g, stops: g.Stop}
}

func event(kind string, data fields) Event {
	data["type"] = kind
	return Event{kind, data}
}

func (m *messages) Begin() []Event {
	return []Event{event("message_start", fields{"message": m.Whole()}), event("ping", fields{})}
}

func (m *messages) Add(d *generate.Delta) []Event { return m.add(d, m.Sequences, m) }

func (m *messages) End() []Event {
	whole := m.whole()
	delta := fields{"delta": fields{"stop_reason": whole["stop_reason"], "stop_sequence": whole["stop_sequence"]}}
	for _, name := range []string{"usage", "timings", "loops", "lens", "token_ids", "prompt_token_ids"} {
		if whole[name] != nil {
			delta[name] = whole[name]
		}
	}
	return []Event{event("message_delta", delta), event("message_stop", fields{})}
}

// Fail is Anthropic's error.
func (m *messages) Fail(e *api.Error) []Event { return []Event{{"error", e.Anthropic("")}} }

var blockTypes = []string{thought: "thinking", words: "text", call: "tool_use"}

// block is a part as a block of content.
func (m *messages) block(p *part, text string) fields {
	f := fields{"type": blockTypes[p.kind]}
	switch p.kind {
	case thought:
		f["thinking"], f["signature"] = text, ""
	case words:
		f["text"] = text
	case call:
		f["id"], f["name"], f["input"] = p.call.ID, p.call.Function.Name, fields{}
		if json.Valid([]byte(text)) { // arguments that were cut off are none
			f["input"] = json.RawMessage(text)
		}
	}
	return f
}

func (m *messages) begin(p *part) []Event {
	return []Event{event("content_block_start", fields{"index": p.index, "content_block": m.block(p, "")})}
}

func (m *messages) more(p *part, piece string) []Event {
	delta := []fields{
		thought: {"type": "thinking_delta", "thinking": piece}, words: {"type": "text_delta", "text": piece},
		call: {"type": "input_json_delta", "partial_json": piece},
	}[p.kind]
	return []Event{event("content_block_delta", fields{"index": p.index, "delta": delta})}
}

func (m *messages) end(p *part) []Event {
	return []Event{event("content_block_stop", fields{"index": p.index})}
}

// Whole is the message as it is now.
func (m *messages) Whole() any { return m.whole() }

func (m *messages) whole() fields {
	u := m.Usage
	cached := u.PromptTokensDetails.CachedTokens
	f := fields{
		"id": m.ID, "type": "message", "role": "assistant", "model": m.Model.Name, "content": []any{}, "stop_reason": nil, "stop_sequence": nil,
		"usage": fields{
			"input_tokens": u.PromptTokens - cached, "cache_read_input_tokens": cached, "cache_creation_input_tokens": 0, "output_tokens": u.CompletionTokens,
			"prompt_tokens_details": u.PromptTokensDetails, "completion_tokens_details": u.CompletionTokensDetails,
		},
	}
	if len(m.Warnings) > 0 {
		f["warnings"] = m.Warnings
	}
	if m.finish == "" {
		return f
	}
	f["stop_reason"] = map[string]string{"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}[m.finish]
	if text, ok := m.reason.(string); ok && slices.Contains(m.stops, text) {
		f["stop_reason"], f["stop_sequence"] = "stop_sequence", text
	}
	content := []any{}
	for _, p := range m.list {
		content = append(content, m.block(p, p.text))
	}
	f["content"] = content
	return m.show(f, m.Sequences)
}
