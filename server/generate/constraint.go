package generate

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/loopserve/loopserve/runtime/constrain"
	"github.com/loopserve/loopserve/server/api"
)

// Form is the form that a request wants its answers to have.
type Form struct {
	Field   string // as errors name it
	Source  string // kind and text: equal ones are compiled once
	Compile func() (*constrain.Form, error)
}

// compiled is the cache of the model's compiled forms. Special tokens and those that end a sequence are no text.
func (m *Model) compiled() *constrain.Cache {
	m.once.Do(func() {
		m.forms = constrain.NewCache(func() *constrain.Vocabulary {
			return constrain.NewVocabulary(m.Vocab, func(id int32) []byte {
				if m.Tokenizer.IsSpecial(id) || slices.Contains(m.StopIDs, id) {
					return nil
				}
				return m.Tokenizer.TokenBytes(id)
			})
		})
	})
	return m.forms
}

// readConstraint reads the one form that a request may give, under OpenAI's name, vLLM's, its older ones, or SGLang's.
func (p *Plan) readConstraint(v *api.Values) error {
	list, err := constraintsOf(v)
	switch {
	case err != nil || len(list) == 0:
		return err
	case len(list) > 1:
		return api.Conflict(list[0].field, list[1].field, "an answer takes one structured output: leave one of the two out")
	}
	form, err := list[0].form()
	if err != nil {
		return err
	}
	return p.Hold(form)
}

// Hold holds the answer to a form.
func (p *Plan) Hold(w Form) error {
	m := p.Model
	switch {
	case p.form != nil && (w.Field != "tool_choice" || !strings.HasPrefix(p.formField, "response_format")): // a call has no text to be of that form
		return api.Conflict(w.Field, p.formField, "an answer takes one structured output: leave one of the two out")
	case p.IgnoreEOS:
		return api.Conflict(w.Field, "ignore_eos", "structured output ends where it is complete: leave ignore_eos out")
	case len(p.Sampling.Allowed) > 0:
		return api.Conflict(w.Field, "allowed_token_ids", "both say which tokens may come: leave one of the two out")
	case len(m.StopIDs)+len(p.StopIDs) == 0:
		return api.Bad(w.Field, "unsupported_field", "%s: model %s has no token that ends a text: give one in stop_token_ids", w.Field, m.Name)
	}
	form, err := m.compiled().Automaton(w.Source, w.Compile)
	switch {
	case errors.Is(err, constrain.ErrVocabulary):
		return api.Bad(w.Field, "unsupported_constraint",
			"%s: model %s cannot write any such output: its vocabulary lacks characters that every one needs: ask for another, or use another model", w.Field, m.Name)
	case err != nil:
		return api.Bad(w.Field, api.CodeValue, "%s: %s", w.Field, strings.TrimPrefix(err.Error(), constrain.ErrForm.Error()+": "))
	}
	p.form, p.formField = form, w.Field
	return nil
}

// Held says whether a form holds the answer from its first token on.
func (p *Plan) Held() bool { return p.form != nil }

// constraint is a form as a body asks for it.
type constraint struct {
	kind, field string
	value       json.RawMessage
}

// constraintsOf finds what asks for a form: response_format is OpenAI's, structured_outputs vLLM's, which holds one of
// several; the others are fields of the body itself.
func constraintsOf(v *api.Values) ([]constraint, error) {
	out, err := responseFormat(v.Object("response_format"))
	if err != nil {
		return nil, err
	}
	o := v.Object("structured_outputs")
	for _, name := range slices.Sorted(maps.Keys(o)) {
		if o.Has(name) && string(o[name]) != "false" {
			out = append(out, constraint{name, "structured_outputs." + name, o[name]})
		}
	}
	for _, f := range []struct{ name, kind string }{
		{"guided_json", "json"},
		{"guided_regex", "regex"},
		{"guided_choice", "choice"},
		{"json_schema", "json"},
		{"regex", "regex"},
		{"choice", "choice"},
		{"guided_grammar", "grammar"},
		{"grammar", "grammar"},
		{"ebnf", "grammar"},
	} {
		if v.Has(f.name) && (f.kind != "grammar" || string(v.Raw(f.name)) != `""`) { // llama.cpp's clients send an empty one
			out = append(out, constraint{f.kind, f.name, v.Raw(f.name)})
		}
	}
	return out, nil
}

func responseFormat(o api.Body) ([]constraint, error) {
	const field = "response_format"
	if o == nil {
		return nil, nil
	}
	kind, err := o.Text("type")
	if err != nil {
		return nil, api.Inside(field, err)
	}
	switch kind {
	case "text":
		return nil, nil
	case "json_object":
		return []constraint{{kind, field, nil}}, nil
	case "json_schema":
		s, err := o.Object("json_schema")
		if err != nil {
			return nil, api.Inside(field, err)
		}
		if !s.Has("schema") {
			return nil, api.Bad(field+".json_schema", "missing_field", `response_format.json_schema.schema is missing: give {"name", "schema"}`)
		}
		return []constraint{{"json", field, s["schema"]}}, nil
	}
	given := "missing"
	if o["type"] != nil {
		given = api.Show(o["type"])
	}
	return nil, api.Bad(field+".type", api.CodeValue, "response_format.type is %s: it must be text, json_object or json_schema", given)
}

// form is what is compiled of it.
func (c constraint) form() (Form, error) {
	var text string
	var texts []string
	want := ""
	f := Form{Field: c.field, Source: c.kind + " " + string(c.value)}
	switch c.kind {
	case "json":
		schema := c.value
		if json.Unmarshal(schema, &text) == nil { // the schema's text
			schema = json.RawMessage(strings.TrimSpace(text))
		}
		f.Compile = func() (*constrain.Form, error) { return constrain.Schema(schema) }
	case "json_object":
		f.Compile = func() (*constrain.Form, error) { return constrain.JSON(true), nil }
	case "regex":
		if json.Unmarshal(c.value, &text) != nil {
			want = "a string, a regular expression"
		}
		f.Compile = func() (*constrain.Form, error) { return constrain.Regex(text) }
	case "grammar":
		if json.Unmarshal(c.value, &text) != nil {
			want = "a string, a grammar"
		}
		f.Compile = func() (*constrain.Form, error) { return constrain.Grammar(text) }
	case "choice":
		if json.Unmarshal(c.value, &texts) != nil {
			want = "a list of strings"
		}
		f.Compile = func() (*constrain.Form, error) { return constrain.Choice(texts) }
	default:
		return f, api.Bad(c.field, "unsupported_field", "%s is not supported: use json, json_object, regex, choice or grammar", c.field)
	}
	if want != "" {
		return f, api.Bad(c.field, api.CodeType, "%s is %s: it must be %s", c.field, api.Show(c.value), want)
	}
	return f, nil
}
