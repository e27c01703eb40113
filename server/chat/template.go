package chat

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"

	"github.com/loopserve/loopserve/server/api"
	"github.com/loopserve/loopserve/server/generate"
	"github.com/loopserve/loopserve/tokenizer"
	"github.com/loopserve/loopserve/tokenizer/jinja"
)

// plainTemplate serves models that have no chat template of their own. Such a model knows no turns, so it reads what
// it would read in a completion: the last question alone, and the beginning of an answer where there is one.
const plainTemplate = `{%- set ns = namespace(start=0) -%}
{%- for m in messages -%}{%- if m.role == 'user' -%}{%- set ns.start = loop.index0 -%}{%- endif -%}{%- endfor -%}
{%- for m in messages[ns.start:] -%}{{ m.content or '' }}{%- endfor -%}`

// Template is a model's chat template, compiled when it is first used.
type Template struct {
	model    *generate.Model
	source   string
	special  map[string]string
	bos, eos string
	compiled func() (*jinja.Template, error)
	tools    *Template        // the one for requests with tools, where the model has one
	marks    map[int32]string // special tokens that are marks of a thought, which decoders would leave out
}

// New is the model's own, or a plain one where it has none.
func New(m *generate.Model) *Template {
	config := m.Tokenizer.Config() // what Hugging Face's own code reads
	t := &Template{model: m, bos: config.BOS, eos: config.EOS, marks: marksOf(m.Tokenizer, thinkOpen, thinkClose)}
	t.special = map[string]string{"unk_token": config.UNK, "pad_token": config.PAD}
	maps.DeleteFunc(t.special, func(_, text string) bool { return text == "" })
	t.compile(cmp.Or(m.ChatTemplate, plainTemplate))
	if source := config.ChatTemplates["tool_use"]; source != "" {
		tools := *t
		tools.compile(source)
		t.tools = &tools
	}
	return t
}

// marksOf finds the marks that are special tokens of their own.
func marksOf(t tokenizer.Tokenizer, marks ...string) map[int32]string {
	out := map[int32]string{}
	for _, mark := range marks {
		ids, err := t.Encode(mark, false)
		if err != nil || len(ids) != 1 || !t.IsSpecial(ids[0]) {
			continue
		}
		if text, ok := t.IDToToken(ids[0]); ok && text == mark {
			out[ids[0]] = mark
		}
	}
	return out
}

func (t *Template) compile(source string) {
	t.source = source
	t.compiled = sync.OnceValues(func() (*jinja.Template, error) { return jinja.Parse(source, jinja.Limits{}, jinja.Generation) })
}

// mentions says whether the template has a variable: a rough look, which never misses one.
func (t *Template) mentions(name string) bool { return strings.Contains(t.source, name) }

// Prompt is a conversation as the model reads it.
type Prompt struct {
	Warnings []string // what of the request does not act

	template *Template
	given    jinja.Chat // what the template got
	text     string
	tools    toolOptions
}

// Read renders a request's conversation. args are names that it may set beside the usual ones.
func (t *Template) Read(ctx context.Context, v *api.Values, args []string) (*Prompt, error) {
	tools, err := readTools(v)
	if err != nil {
		return nil, err
	}
	if tools.list != nil && t.tools != nil {
		t = t.tools
	}
	p := &Prompt{template: t, tools: tools}
	last, err := p.read(v, args)
	if err == nil {
		p.text, err = t.render(ctx, p.given)
	}
	if err == nil && v.Bool("continue_final_message") {
		p.text, err = cutAfter(p.text, last)
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// offer shows the tools to the model. A template without a place for them cannot: where a call is asked for they are
// described in the conversation; else they are left out, since clients send what they have with every question, and a model
// that learnt of no tools answers better without.
func (p *Prompt) offer(talk *conversation) error {
	switch {
	case p.tools.list == nil:
	case p.template.mentions("tools"):
		p.given.Tools = p.tools.list
	case p.tools.forced:
		return talk.introduce(p.tools.prompt())
	default:
		p.tools = toolOptions{}
		p.Warnings = append(p.Warnings, fmt.Sprintf("tools are left out: the chat template of model %s does not use tools; tool_choice required describes them in the prompt", p.template.model.Name))
	}
	return nil
}

// answerForm is how an answer to the prompt is taken apart.
func (p *Prompt) answerForm(ctx context.Context, v *api.Values) answerForm {
	t, f := p.template, answerForm{hidden: !v.Bool("include_reasoning")}
	if v.Text("reasoning_format") != "none" {
		f.thinks = t.mentions(thinkOpen) || t.mentions(thinkClose)
		f.opened = f.thinks && strings.HasSuffix(strings.TrimRight(p.text, blank), thinkOpen)
	}
	if p.tools.list != nil {
		syntax := hermes // which prompt teaches
		if p.given.Tools != nil {
			syntax = t.syntax(ctx, p.given.Kwargs)
		}
		f.calls, f.single = newPatterns(syntax, p.tools.tools), p.tools.single
	}
	return f
}

// read reads what the template gets, and the text of the last message.
func (p *Prompt) read(v *api.Values, args []string) (last string, err error) {
	t, developer := p.template, "system"
	if t.mentions("developer") {
		developer = "developer"
	}
	talk, err := readMessages(v.Raw("messages"), developer)
	if err != nil {
		return "", err
	}
	resume, chat := v.Bool("continue_final_message"), &p.given
	*chat = jinja.Chat{
		BOS: t.bos, EOS: t.eos, Special: t.special,
		AddGenerationPrompt: v.Bool("add_generation_prompt") || !resume && !v.Has("add_generation_prompt"),
	}
	if resume && chat.AddGenerationPrompt {
		return "", api.Conflict("continue_final_message", "add_generation_prompt", "a message is continued or a new one begun: leave one of the two out")
	}
	if chat.Documents, err = t.documents(v.Raw("documents")); err != nil {
		return "", err
	}
	if chat.Kwargs, err = t.kwargs(v, args); err != nil {
		return "", err
	}
	if err = p.offer(&talk); err != nil {
		return "", err
	}
	chat.Messages, err = json.Marshal(talk.messages)
	return talk.last, err
}

func (t *Template) render(ctx context.Context, chat jinja.Chat) (string, error) {
	model := t.model.Name
	parsed, err := t.compiled()
	if err != nil {
		return "", api.Bad("messages", "chat_template_failed", "the chat template of model %s cannot be run here: %s: send the text itself to /v1/completions", model, err.Error())
	}
	text, err := parsed.RenderChat(ctx, chat)
	var over *jinja.LimitError
	raised, isRaised := jinja.Raised(err)
	switch {
	case err == nil:
		return text, nil
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case isRaised:
		return "", api.Bad("messages", api.CodeValue, "the chat template of model %s refuses the conversation: %s", model, raised)
	case errors.As(err, &over): // of steps, memory or output: no clock decides
		return "", api.Bad("messages", "request_too_large", "the chat template of model %s exceeded its limits: send a shorter conversation", model)
	}
	return "", api.Bad("messages", "chat_template_failed", "the chat template of model %s failed on the conversation: %s: change the messages, or send the text itself to /v1/completions", model, err.Error())
}

// cutAfter ends a rendered conversation with the last message's text, so that the model goes on with it: what a template
// puts behind a message is gone. The rule is Hugging Face's: the last place where the stripped text stands, with its
// trailing space where the template kept it.
func cutAfter(text, last string) (string, error) {
	bare := strings.TrimSpace(last)
	at := strings.LastIndex(text, bare)
	if bare == "" || at < 0 {
		return "", api.Bad("continue_final_message", api.CodeValue, "continue_final_message is true, but the prompt that the template makes does not contain the last message's text, so there is nothing to continue: give a text, or leave the field out")
	}
	if whole := strings.TrimLeft(last, " \t\r\n\v\f"); strings.HasPrefix(text[at:], whole) {
		return text[:at+len(whole)], nil
	}
	return text[:at+len(bare)], nil
}

func (t *Template) documents(raw json.RawMessage) (json.RawMessage, error) {
	switch {
	case raw == nil:
		return nil, nil
	case raw[0] != '[':
		return nil, api.Bad("documents", api.CodeType, "documents is %s: it must be a list of objects", api.Show(raw))
	case !t.mentions("documents"):
		return nil, api.Bad("documents", "unsupported_field", "documents is given, but the chat template of model %s does not use documents: put them into a message", t.model.Name)
	}
	return raw, nil
}

// IDs are the conversation's tokens.
func (p *Prompt) IDs(addSpecial bool) ([]int32, error) {
	m := p.template.model
	ids, err := m.Tokenizer.Encode(p.text, addSpecial)
	if err != nil {
		return nil, api.Bad("messages", "cannot_tokenize", "messages cannot be tokenized: %s: change the text", err.Error())
	}
	if len(ids) == 0 {
		return nil, api.Bad("messages", "empty_prompt", "messages make an empty prompt: model %s needs at least one token to start from", m.Name)
	}
	return ids, nil
}

// Prompts is what the model goes on from. It adds to the plan what the conversation and the request's body say of its answer.
func (p *Prompt) Prompts(ctx context.Context, v *api.Values, plan *generate.Plan) ([]generate.Prompt, error) {
	form := p.answerForm(ctx, v)
	plan.Warnings = append(plan.Warnings, p.Warnings...)
	if p.tools.forced {
		if err := plan.Hold(p.tools.answerForm(form.calls.CallSyntax)); err != nil {
			return nil, err
		}
	}
	if plan.Held() { // from the first token on, so nothing comes before
		form.thinks, form.opened = false, false
	}
	if form.thinks || form.calls != nil {
		plan.Parser = func() generate.Parser { return newParser(form) }
		plan.Marks = maps.Clone(p.template.marks)
	}
	if form.calls != nil {
		maps.Copy(plan.Marks, marksOf(p.template.model.Tokenizer, form.calls.tags()...))
	}
	if err := plan.Model.CheckLength(p.text, "messages", "messages"); err != nil {
		return nil, err
	}
	ids, err := p.IDs(plan.AddSpecial)
	if err != nil {
		return nil, err
	}
	plan.Heed(ids, p.text, "messages")
	prompt, err := plan.ChatPrompt(ids)
	return []generate.Prompt{prompt}, err
}
