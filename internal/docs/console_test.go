package docs

import (
	"slices"
	"strings"
	"testing"
)

func TestSteps(t *testing.T) {
	p := Parse("x.md", "```console\n$ one \\\n  more\nanswer\n\n$ two '{\n> }'\n```\n```sh\n$ three\nmake run  # in background\n```\n```console\nno command\n```\n")
	want := []Step{{"one \\\n  more", 2, []string{"answer", ""}}, {"two '{\n}'", 6, nil}, {"make run  # in background", 11, nil}, {"", 14, []string{"no command"}}}
	if got := p.Steps(); !slices.EqualFunc(got, want, func(a, b Step) bool {
		return a.Command == b.Command && a.Line == b.Line && slices.Equal(a.Want, b.Want)
	}) {
		t.Errorf("steps %+v, want %+v", got, want)
	}
}

func TestMatches(t *testing.T) {
	for _, tt := range []struct {
		name, want, got string
		ok              bool
	}{
		{"the same", "a\nb", "a\nb", true},
		{"another answer", `{"text":"1368"}`, `{"text":"1687"}`, false},
		{"a line more", "a", "a\nb", false},
		{"a line less", "a\nb", "a", false},
		{"any lines", "a\n...\nz", "a\nb\nc\nz", true},
		{"none of any lines", "…\na", "a", true},
		{"what follows any lines", "...\nz", "a\ny", false},
		{"anything in a line", `{"id":…,"text":"1368"...}`, `{"id":"c-1","text":"1368","x":1}`, true},
		{"another part", `{"id":…,"text":"1368"...}`, `{"id":"c-1","text":"1687","x":1}`, false},
		{"another end", "a...b", "abc", false},
		{"no overlap", "ab...ba", "aba", false},
		{"blanks at the end", "a ", "a", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Matches(strings.Split(tt.want, "\n"), strings.Split(tt.got, "\n")); got != tt.ok {
				t.Errorf("Matches is %t, want %t", got, tt.ok)
			}
		})
	}
}
