package docs

import (
	"slices"
	"strings"
	"testing"
)

func TestSteps(t *testing.T) {
	p := Parse("x.md", "```console\n$ one \\\n  more\nanswer\n\n$ two '{\n> }'\n```\n```sh\n$ three\nmake run  # in background\n```\n```console\nno command\n```\n")
	want := []step{{"one \\\n  more", 2, []string{"answer", ""}}, {"two '{\n}'", 6, nil}, {"make run  # in background", 11, nil}, {"", 14, []string{"no command"}}}
	if got := p.steps(); !slices.EqualFunc(got, want, func(a, b step) bool {
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
			if got := matches(strings.Split(tt.want, "\n"), strings.Split(tt.got, "\n")); got != tt.ok {
				t.Errorf("matches is %t, want %t", got, tt.ok)
			}
		})
	}
}

// step is a command of a console block and what the page says that it prints.
type step struct {
	Command string
	Line    int // in the page, from 1
	Want    []string
}

// steps are the commands of a page's console blocks: lines after "$ ", each with those that it goes on in, after a backslash or
// within quotes. Of sh blocks, whose answers no page shows, `make run` is one, too: what follows asks that server.
func (p *Page) steps() []step {
	var steps []step
	for _, b := range p.Blocks {
		for i, line := range b.Lines {
			if b.Info == "sh" && strings.HasPrefix(line, "make run") {
				steps = append(steps, step{Command: line, Line: b.Line + i})
			}
		}
		if b.Info != "console" {
			continue
		}
		first := len(steps)
		more := false
		for i, line := range b.Lines {
			command, begins := strings.CutPrefix(line, "$ ")
			switch {
			case more:
				s := &steps[len(steps)-1]
				s.Command += "\n" + strings.TrimPrefix(line, "> ")
				more = goesOn(s.Command)
			case begins:
				steps = append(steps, step{Command: command, Line: b.Line + i})
				more = goesOn(command)
			case len(steps) == first: // of no command: it runs, and fails
				steps = append(steps, step{Line: b.Line + i, Want: []string{line}})
			default:
				s := &steps[len(steps)-1]
				s.Want = append(s.Want, line)
			}
		}
	}
	return steps
}

// goesOn says whether a shell would ask for another line.
func goesOn(command string) bool {
	return strings.HasSuffix(command, `\`) || strings.Count(command, "'")%2 == 1
}

// matches says whether got is what the page shows: a line … or ... stands for any lines, the same in a line for anything.
func matches(want, got []string) bool {
	if len(want) == 0 {
		return len(got) == 0
	}
	line := strings.TrimRight(strings.ReplaceAll(want[0], "…", "..."), " ")
	if strings.TrimSpace(line) == "..." {
		for skip := range len(got) + 1 {
			if matches(want[1:], got[skip:]) {
				return true
			}
		}
		return false
	}
	return len(got) > 0 && matchLine(strings.Split(line, "..."), strings.TrimRight(got[0], " ")) && matches(want[1:], got[1:])
}

// matchLine says whether text is parts with anything between them.
func matchLine(parts []string, text string) bool {
	text, ok := strings.CutPrefix(text, parts[0])
	if !ok || len(parts) == 1 {
		return ok && text == ""
	}
	last := parts[len(parts)-1]
	for _, part := range parts[1 : len(parts)-1] {
		_, after, found := strings.Cut(text, part)
		if !found {
			return false
		}
		text = after
	}
	return strings.HasSuffix(text, last)
}
