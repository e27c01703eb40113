package docs

import (
	"slices"
	"testing"
)

func TestParse(t *testing.T) {
	p := Parse("x.md", "# A [page](https://x.y) of `code`, k⊗L\n\n## Twice\n## Twice\n<a id=\"here\"></a>\n"+
		"Text with `a [no](link.md)` and [two](b.md#c) ![i](i.svg \"title\") <!-- [gone](gone.md) -->\n"+
		"```sh\n# no heading\n[no](no.md)\n```\n[ref]: c.md\n")
	for _, want := range []string{"a-page-of-code-kl", "twice", "twice-1", "here"} {
		if !p.Anchor[want] {
			t.Errorf("no anchor %s in %v", want, p.Anchor)
		}
	}
	if p.Anchor["no-heading"] {
		t.Error("a comment in a block is taken for a heading")
	}
	want := []Link{{"https://x.y", 1}, {"b.md#c", 6}, {"i.svg", 6}, {"c.md", 11}}
	if !slices.Equal(p.Links, want) {
		t.Errorf("links %v, want %v", p.Links, want)
	}
	if !slices.Equal(p.Spans, []string{"code", "a [no](link.md)"}) {
		t.Errorf("spans %q", p.Spans)
	}
	if len(p.Blocks) != 1 || p.Blocks[0].Info != "sh" || p.Blocks[0].Line != 8 || len(p.Blocks[0].Lines) != 2 {
		t.Errorf("blocks %+v", p.Blocks)
	}
}
