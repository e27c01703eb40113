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
	var forms []Form
	for _, read := range []func(*api.Values) ([]Form, error){responseFormat, structuredOutputs, plainForms} {
		more, err := read(v)
		if err != nil {
			return err
		}
		forms = append(forms, more...)
	}
	if len(forms) == 0 {
		return nil
	}
	if len(forms) > 1 {
		return api.Conflict(forms[0].Field, forms[1].Field, "an answer has one form: leave one of the two out")
	}
	return p.Hold(forms[0])
}

// Hold holds the answer to a form.
func (p *Plan) Hold(w Form) error {
	m := p.Model
	switch {
	case p.form != nil:
		return api.Conflict(w.Field, p.formField, "an answer has one form: leave one of the two out")
	case p.IgnoreEOS:
		return api.Conflict(w.Field, "ignore_eos", "an answer of a form ends where the form does: leave ignore_eos out")
	case len(p.Sampling.Allowed) > 0:
		return api.Conflict(w.Field, "allowed_token_ids", "both say which tokens may come: leave one of the two out")
	case len(m.StopIDs)+len(p.StopIDs) == 0:
		return api.Bad(w.Field, "unsupported_field", "%s: model %s has no token that ends a text: give one in stop_token_ids", w.Field, m.Name)
	}
	form, err := m.compiled().Machine(w.Source, w.Compile)
	switch {
	case errors.Is(err, constrain.ErrVocabulary):
		return api.Bad(w.Field, "unsupported_constraint",
			"%s: model %s cannot write any text of this form: its vocabulary lacks characters that all of them need: ask for another form, or use another model", w.Field, m.Name)
	case err != nil:
		return api.Bad(w.Field, api.CodeValue, "%s: %s", w.Field, strings.TrimPrefix(err.Error(), constrain.ErrForm.Error()+": "))
	}
	p.form, p.formField = form, w.Field
	return nil
}

// Held says whether a form holds the answer from its first token on.
func (p *Plan) Held() bool { return p.form != nil }

// formOf reads a field's value as a form of a kind.
func formOf(kind, field string, raw json.RawMessage) ([]Form, error) {
	switch kind {
	case "json":
		return schemaForm(field, raw)
	case "regex":
		return regexForm(field, raw)
	case "choice":
		return choiceForm(field, raw)
	case "json_object":
		return objectForm(field), nil
	}
	return nil, api.Bad(field, "unsupported_field", "%s is not supported: use json, json_object, regex or choice", field)
}

func schemaForm(field string, raw json.RawMessage) ([]Form, error) {
	if raw[0] == '"' { // the schema's text
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return nil, api.Bad(field, api.CodeType, "%s is %s: it must be a JSON schema", field, api.Show(raw))
		}
		raw = json.RawMessage(strings.TrimSpace(text))
	}
	return []Form{{field, "schema " + string(raw), func() (*constrain.Form, error) { return constrain.Schema(raw) }}}, nil
}

func objectForm(field string) []Form {
	return []Form{{field, "object", func() (*constrain.Form, error) { return constrain.JSON(true), nil }}}
}

func regexForm(field string, raw json.RawMessage) ([]Form, error) {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return nil, api.Bad(field, api.CodeType, "%s is %s: it must be a string, a regular expression", field, api.Show(raw))
	}
	return []Form{{field, "regex " + text, func() (*constrain.Form, error) { return constrain.Regex(text) }}}, nil
}

func choiceForm(field string, raw json.RawMessage) ([]Form, error) {
	var texts []string
	if raw[0] != '[' || json.Unmarshal(raw, &texts) != nil {
		return nil, api.Bad(field, api.CodeType, "%s is %s: it must be a list of strings", field, api.Show(raw))
	}
	return []Form{{field, "choice " + string(raw), func() (*constrain.Form, error) { return constrain.Choice(texts) }}}, nil
}

// responseFormat reads OpenAI's field.
func responseFormat(v *api.Values) ([]Form, error) {
	const field = "response_format"
	o := v.Object(field)
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
		return objectForm(field), nil
	case "json_schema":
		s, err := o.Object("json_schema")
		if err != nil {
			return nil, api.Inside(field, err)
		}
		if !s.Has("schema") {
			return nil, api.Bad(field+".json_schema", "missing_field", `response_format.json_schema.schema is missing: give {"name", "schema"}`)
		}
		return schemaForm(field, s["schema"])
	}
	return nil, api.Bad(field+".type", api.CodeValue, "response_format.type is %s: it must be text, json_object or json_schema", api.Show(orMissing(o["type"])))
}

func orMissing(raw json.RawMessage) json.RawMessage {
	if raw == nil {
		return json.RawMessage("missing")
	}
	return raw
}

// structuredOutputs reads vLLM's field, which holds one of several.
func structuredOutputs(v *api.Values) ([]Form, error) {
	const field = "structured_outputs"
	o := v.Object(field)
	if o == nil {
		return nil, nil
	}
	var out []Form
	for _, name := range slices.Sorted(maps.Keys(o)) {
		if !o.Has(name) || string(o[name]) == "false" {
			continue
		}
		w, err := formOf(name, field+"."+name, o[name])
		if err != nil {
			return nil, err
		}
		out = append(out, w...)
	}
	return out, nil
}

// plainForms reads fields of the body itself.
func plainForms(v *api.Values) ([]Form, error) {
	var out []Form
	for _, f := range []struct{ name, kind string }{
		{"guided_json", "json"}, {"guided_regex", "regex"}, {"guided_choice", "choice"}, {"json_schema", "json"}, {"regex", "regex"}, {"choice", "choice"},
	} {
		if !v.Has(f.name) {
			continue
		}
		w, err := formOf(f.kind, f.name, v.Raw(f.name))
		if err != nil {
			return nil, err
		}
		out = append(out, w...)
	}
	return out, nil
}
