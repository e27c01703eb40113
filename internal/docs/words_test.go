package docs

import (
	"regexp"
	"strings"
	"testing"
)

// ownWords are words that readers from the field had to learn, with the field's. Code keeps some as names, so code spans and
// blocks are not looked at; docs/depth.md's glossary maps them. ADRs keep the words of their day.
var ownWords = []struct{ own, field string }{
	{`ticks?`, "engine step"},
	{`latents?`, "hidden state"},
	{`planes?`, "per-loop KV cache"},
	{`guess(es|ed|ing)?`, "draft token"},
	{`with fills|are filled`, "KV propagation"},
	{`form only|of a form`, "structured output"},
	{`in (any )?company`, "beside other requests"},
	{`(reference|parity) vectors?`, "reference tests"},
	{`lockstep`, "static batching by depth"},
	{`loop debt`, "backlog"},
	{`laws?`, "batch invariance"},
	{`parked|parks`, "backpressured"},
	{`goldens?|golden (vector|case|file)s?`, "reference tests"},
	{`processor time`, "CPU time"},
	{`most memory`, "peak RSS"},
	{`by the clock`, "wall time"},
	{`least and most`, "min and max"},
}

var (
	paths    = regexp.MustCompile(`[\w.-]*[/#][\w./#-]*`) // and links, whatever files are called
	titles   = regexp.MustCompile(`(?i)latent thoughts|latent reasoning|latent-diff|lockstep \(static batching|control plane|law of large numbers|scaling laws?`)
	glossary = regexp.MustCompile(`(?ims)^## (glossary|words)\b.*?(^## |\z)`)
)

func TestDocsSpeakTheFieldsWords(t *testing.T) {
	for _, p := range pages(t) {
		if strings.HasPrefix(p.Path, "docs/adr/") {
			continue
		}
		text := p.Prose
		if p.Path == "docs/depth.md" {
			text = glossary.ReplaceAllStringFunc(text, blank)
		}
		text = titles.ReplaceAllStringFunc(paths.ReplaceAllStringFunc(text, blank), blank)
		for _, w := range ownWords {
			for _, at := range regexp.MustCompile(`(?i)\b(`+w.own+`)\b`).FindAllStringIndex(text, -1) {
				t.Errorf("%s:%d: %q: write %q", p.Path, p.Line(at[0]), text[at[0]:at[1]], w.field)
			}
		}
	}
}
