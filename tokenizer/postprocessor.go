package tokenizer

import (
	"encoding/json"
	"fmt"
	"slices"
)

// affixes is what the post-processors put around a text's ids when special
// tokens are asked for: ids, with the text in every gap between two lists.
// One list alone would drop the text; a plain text is [nil, nil].
type affixes struct{ parts [][]int32 }

// wrap puts outer around f.
func (f affixes) wrap(outer affixes) affixes {
	out := [][]int32{slices.Clone(outer.parts[0])}
	for _, after := range outer.parts[1:] {
		last := len(out) - 1
		out[last] = append(out[last], f.parts[0]...)
		for _, part := range f.parts[1:] {
			out = append(out, slices.Clone(part))
		}
		last = len(out) - 1
		out[last] = append(out[last], after...)
	}
	return affixes{out}
}

func parsePostProcessor(raw json.RawMessage) (affixes, error) {
	f := affixes{parts: [][]int32{nil, nil}}
	err := eachComponent("post_processor", "processors", raw, func(kind string, v template) error {
		switch kind {
		case "ByteLevel": // trims offsets, which nobody asks for here
			return nil
		case "TemplateProcessing":
			outer, err := v.affixes()
			// Each text gap doubles what is inside; no real file has more than one.
			if err == nil && len(f.parts)*len(outer.parts) > 64 {
				err = fmt.Errorf("the text occurs more than 64 times in it")
			}
			if err != nil {
				return fmt.Errorf("post_processor TemplateProcessing: %w", err)
			}
			f = f.wrap(outer)
			return nil
		}
		return unsupported("post_processor %q", kind)
	})
	return f, err
}

// template is TemplateProcessing; only the part for a single text matters.
type template struct {
	Single        []templatePiece `json:"single"`
	SpecialTokens map[string]struct {
		IDs []int32 `json:"ids"`
	} `json:"special_tokens"`
}

type templatePiece struct {
	SpecialToken *struct {
		ID string `json:"id"`
	}
	Sequence *struct {
		ID string `json:"id"`
	}
}

func (t template) affixes() (affixes, error) {
	f := affixes{parts: [][]int32{nil}}
	for i, p := range t.Single {
		switch {
		case p.Sequence != nil && p.SpecialToken == nil:
			if p.Sequence.ID != "A" {
				return f, fmt.Errorf("single: piece %d is sequence %q, want A", i, p.Sequence.ID)
			}
			f.parts = append(f.parts, nil)
		case p.SpecialToken != nil && p.Sequence == nil:
			special, ok := t.SpecialTokens[p.SpecialToken.ID]
			if !ok {
				return f, fmt.Errorf("single: piece %d is %q, which is missing from special_tokens", i, p.SpecialToken.ID)
			}
			last := len(f.parts) - 1
			f.parts[last] = append(f.parts[last], special.IDs...)
		default:
			return f, fmt.Errorf("single: piece %d is neither SpecialToken nor Sequence", i)
		}
	}
	if len(f.parts) < 2 {
		return f, fmt.Errorf("single: sequence A is missing")
	}
	return f, nil
}

// setBOS and setEOS make the affixes begin or end with the token, or not.
func (f *affixes) setBOS(id int32, want bool) {
	first := f.parts[0]
	has := len(first) > 0 && first[0] == id
	switch {
	case want && !has:
		f.parts[0] = append([]int32{id}, first...)
	case !want && has:
		f.parts[0] = first[1:]
	}
}

func (f *affixes) setEOS(id int32, want bool) {
	last := &f.parts[len(f.parts)-1]
	has := len(*last) > 0 && (*last)[len(*last)-1] == id
	switch {
	case want && !has:
		*last = append(slices.Clone(*last), id)
	case !want && has:
		*last = (*last)[:len(*last)-1]
	}
}
