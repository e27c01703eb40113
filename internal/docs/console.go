package docs

import "strings"

// Step is a command of a console block and what the page says that it prints.
type Step struct {
	Command string
	Line    int // in the page, from 1
	Want    []string
}

// Steps are the commands of a page's console blocks: lines after "$ ", each with those that it goes on in, after a backslash or
// within quotes. Of sh blocks, whose answers no page shows, `make run` is one, too: what follows asks that server.
func (p *Page) Steps() []Step {
	var steps []Step
	for _, b := range p.Blocks {
		for i, line := range b.Lines {
			if b.Info == "sh" && strings.HasPrefix(line, "make run") {
				steps = append(steps, Step{Command: line, Line: b.Line + i})
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
				steps = append(steps, Step{Command: command, Line: b.Line + i})
				more = goesOn(command)
			case len(steps) == first: // of no command: it runs, and fails
				steps = append(steps, Step{Line: b.Line + i, Want: []string{line}})
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

// Matches says whether got is what the page shows: a line … or ... stands for any lines, the same in a line for anything.
func Matches(want, got []string) bool {
	if len(want) == 0 {
		return len(got) == 0
	}
	line := strings.TrimRight(strings.ReplaceAll(want[0], "…", "..."), " ")
	if strings.TrimSpace(line) == "..." {
		for skip := range len(got) + 1 {
			if Matches(want[1:], got[skip:]) {
				return true
			}
		}
		return false
	}
	return len(got) > 0 && matchLine(strings.Split(line, "..."), strings.TrimRight(got[0], " ")) && Matches(want[1:], got[1:])
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
