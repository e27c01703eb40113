package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/loopserve/loopserve/internal/docs"
)

// What the pages type after loopserve are commands and flags that there are.
func TestDocsTypeFlagsThatThereAre(t *testing.T) {
	pages, err := docs.Pages("../..")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, p := range pages {
		if p.Path == "CHANGELOG.md" || strings.HasPrefix(p.Path, "docs/adr/") { // what was typed in its day
			continue
		}
		typed := p.Spans
		for _, b := range p.Blocks {
			if slices.Contains([]string{"", "sh", "bash", "console"}, b.Info) {
				typed = append(typed, strings.Split(strings.ReplaceAll(strings.Join(b.Lines, "\n"), "\\\n", " "), "\n")...)
			}
		}
		for _, line := range typed {
			for _, args := range calls(line) {
				checked++
				if wrong := unknown(args); wrong != "" {
					t.Errorf("%s: %q: there is no %s", p.Path, line, wrong)
				}
			}
		}
	}
	if checked < 50 {
		t.Errorf("%d commands were checked: are they still read?", checked)
	}
}

// before are words that a command may follow.
var before = regexp.MustCompile(`^(\$|sudo|time|exec|env|[A-Z_]+=.*)$`)

// calls are the arguments of each loopserve that a shell's line runs.
func calls(line string) [][]string {
	var found [][]string
	first, on := true, false // whether a command may begin here; whether it is ours
	for _, word := range shellWords(line) {
		if inner := strings.TrimLeft(word, "<($"); inner != word {
			word, first, on = inner, true, false
		}
		switch {
		case strings.HasPrefix(word, "#"):
			return found
		case strings.Trim(word, "|;&") == "":
			first, on = true, false
		case first && (word == "loopserve" || strings.HasSuffix(word, "/loopserve")):
			found, first, on = append(found, nil), false, true
		case on:
			found[len(found)-1] = append(found[len(found)-1], strings.TrimRight(word, ";)"))
		default:
			first = first && before.MatchString(word)
		}
	}
	return found
}

// shellWords splits at blanks outside of quotes. What was quoted is no flag, and keeps its quotes.
func shellWords(line string) []string {
	var words []string
	var word strings.Builder
	var quote rune
	for _, r := range line + " " {
		switch {
		case quote == 0 && r == ' ':
			if word.Len() > 0 {
				words = append(words, word.String())
			}
			word.Reset()
			continue
		case quote == r:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote = r
		}
		word.WriteRune(r)
	}
	return words
}

// unknown is the first command or flag of args that loopserve does not have.
func unknown(args []string) string {
	cmd := root()
	cmd.InitDefaultCompletionCmd(args...)
	cmd.InitDefaultHelpCmd()
	for len(args) > 0 {
		i := slices.IndexFunc(cmd.Commands(), func(c *cobra.Command) bool { return c.Name() == args[0] || c.HasAlias(args[0]) })
		if i < 0 {
			break
		}
		cmd, args = cmd.Commands()[i], args[1:]
	}
	if !cmd.HasParent() && len(args) > 0 && len(args[0]) > 1 && !strings.HasPrefix(args[0], "-") && strings.ToLower(args[0]) == args[0] && strings.Trim(args[0], "abcdefghijklmnopqrstuvwxyz-") == "" {
		return "command " + args[0]
	}
	cmd.InitDefaultHelpFlag()
	cmd.InitDefaultVersionFlag()
	for _, word := range args {
		name, _, _ := strings.Cut(word, "=")
		switch long, isLong := strings.CutPrefix(name, "--"); {
		case isLong && long != "" && cmd.Flag(long) == nil:
			return cmd.CommandPath() + " --" + long
		case !isLong && len(name) == 2 && name[0] == '-' && name != "--" && cmd.Flags().ShorthandLookup(name[1:]) == nil:
			return cmd.CommandPath() + " " + name
		}
	}
	return ""
}

func TestUnknownIsFound(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"bin/loopserve serve --models models --max-rows=8 # --no-comment", ""},
		{"loopserve serv --models models", "command serv"},
		{"FOO=1 loopserve serve --no-such x", "loopserve serve --no-such"},
		{"loopserve export ./x -o models/x -Q", "loopserve export -Q"},
		{"loopserve bench mixed --classes 8x2 | tee --append f", ""},
		{"loopserve version && loopserve run '--quoted'  --looops 8", "loopserve run --looops"},
		{"source <(loopserve completion --shell bash)", "loopserve completion --shell"},
		{"helm install NAME deploy/helm/loopserve --set x # loopserve --no-such", ""},
		{"loopserve --version", ""},
	} {
		got := ""
		for _, args := range calls(tt.line) {
			if got == "" {
				got = unknown(args)
			}
		}
		if got != tt.want {
			t.Errorf("%q: unknown is %q, want %q", tt.line, got, tt.want)
		}
	}
}
