package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Every command has a manual page that tells each of its flags, and a shell completes both.
func TestManualAndCompletionsTellEveryFlag(t *testing.T) {
	folder := t.TempDir()
	top := root()
	top.SetArgs([]string{"man", folder})
	if err := top.ExecuteContext(t.Context()); err != nil { // adds cobra's own commands, too
		t.Fatal(err)
	}
	seen := map[string]bool{}
	var walk func(cmd *cobra.Command, path []string)
	walk = func(cmd *cobra.Command, path []string) {
		text, err := os.ReadFile(filepath.Join(folder, manName(cmd)+".1"))
		if err != nil {
			t.Error(err)
			return
		}
		seen[manName(cmd)+".1"] = true
		page := string(text)
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Hidden {
				return
			}
			_, usage := pflag.UnquoteUsage(f)
			if !strings.Contains(page, `\fB`+roff("--"+f.Name)+`\fP`) || !strings.Contains(page, roff(usage)) {
				t.Errorf("%s.1 lacks --%s or its meaning", manName(cmd), f.Name)
			}
			if f.Value.Type() == "int" && f.DefValue != "0" && !strings.Contains(usage, "default") && !strings.Contains(page, roff(usage+" (default: "+f.DefValue+")")) {
				t.Errorf("%s.1 lacks the default of --%s", manName(cmd), f.Name)
			}
			if !completions(t, append(path, "--"+f.Name))["--"+f.Name] { // not "--": that offers what is required, alone
				t.Errorf("%s --%s<TAB> offers no such flag", cmd.CommandPath(), f.Name)
			}
		})
		if !strings.Contains(page, roff(cmd.UseLine())) || !strings.Contains(page, roff(cmd.Short)) {
			t.Errorf("%s.1 lacks its synopsis or what the command does", manName(cmd))
		}
		offered := completions(t, append(path, ""))
		for _, sub := range cmd.Commands() {
			if !sub.IsAvailableCommand() {
				continue
			}
			if !offered[sub.Name()] || !strings.Contains(page, "\n.B "+roff(sub.Name())+"\n") {
				t.Errorf("%s: %s is not offered, or not in the page", cmd.CommandPath(), sub.Name())
			}
			walk(sub, append(path[:len(path):len(path)], sub.Name()))
		}
	}
	walk(top, nil)
	written, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	if len(written) != len(seen) || len(seen) < 15 {
		t.Errorf("%d pages are written for %d commands", len(written), len(seen))
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if script := output(t, "completion", shell); !strings.Contains(script, "__complete") {
			t.Errorf("completion %s asks no command for completions", shell)
		}
	}
}

// completions are what a shell is offered after these words, the last of which is being typed.
func completions(t *testing.T, words []string) map[string]bool {
	t.Helper()
	offered := map[string]bool{}
	for line := range strings.Lines(output(t, append([]string{"__complete"}, words...)...)) {
		word, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
		offered[strings.TrimSuffix(word, "=")] = true
	}
	return offered
}

func output(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	cmd := root()
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(t.Output())
	if err := cmd.ExecuteContext(t.Context()); err != nil {
		t.Fatalf("loopserve %v: %v", args, err)
	}
	return out.String()
}

func TestRoffIsPrintedAsItIs(t *testing.T) {
	if got, want := roff(".conf and \\n\n'quoted' `too`\n-o ^ ~"), "\\&.conf and \\en\n\\(aqquoted\\(aq \\(gatoo\\(ga\n\\-o \\(ha \\(ti"; got != want {
		t.Errorf("roff is %q, want %q", got, want)
	}
}
