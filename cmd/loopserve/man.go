package main

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// manCommand is for packages. Cobra's own writer of manual pages goes by way of Markdown, which loses the <bundle> of a synopsis as
// an HTML tag, and would link a Markdown parser into the binary.
func manCommand() *cobra.Command {
	return &cobra.Command{
		Use: "man <folder>", Short: "Write the manual pages", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			return writeManual(cmd.Root(), args[0])
		},
	}
}

// writeManual writes loopserve.1 and loopserve-COMMAND.1 of each command that help lists.
func writeManual(cmd *cobra.Command, folder string) error {
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			if err := writeManual(sub, folder); err != nil {
				return err
			}
		}
	}
	return os.WriteFile(filepath.Join(folder, manName(cmd)+".1"), manPage(cmd), 0o644)
}

func manName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// manPage is man(7)'s source of the page of a command.
func manPage(cmd *cobra.Command) []byte {
	var b bytes.Buffer
	cmd.InitDefaultHelpFlag()
	fmt.Fprintf(&b, ".TH %s 1 \"\" \"loopserve %s\" \"User Commands\"\n", strings.ToUpper(roff(manName(cmd))), versionText())
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(manName(cmd)), roff(cmd.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n", roff(cmd.UseLine()))
	fmt.Fprintf(&b, ".SH DESCRIPTION\n%s\n", roff(cmp.Or(cmd.Long, cmd.Short+".")))
	var also []string
	if cmd.HasParent() {
		also = append(also, manName(cmd.Parent()))
	}
	if cmd.HasAvailableSubCommands() {
		b.WriteString(".SH COMMANDS\n")
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() {
				fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(sub.Name()), roff(sub.Short))
				also = append(also, manName(sub))
			}
		}
	}
	b.WriteString(".SH OPTIONS\n")
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		if d := f.DefValue; strings.Trim(d, "[0s]") != "" && d != "false" && !strings.Contains(usage, "default") {
			usage += " (default: " + d + ")"
		}
		b.WriteString(".TP\n")
		if f.Shorthand != "" {
			fmt.Fprintf(&b, "\\fB\\-%s\\fP, ", f.Shorthand)
		}
		fmt.Fprintf(&b, "\\fB%s\\fP \\fI%s\\fP\n%s\n", roff("--"+f.Name), roff(value), roff(usage))
	})
	if cmd.HasExample() {
		fmt.Fprintf(&b, ".SH EXAMPLES\n.nf\n%s\n.fi\n", roff(cmd.Example))
	}
	for i, name := range also {
		also[i] = "\\fB" + roff(name) + "\\fP(1)"
	}
	fmt.Fprintf(&b, ".SH SEE ALSO\n%s\n", strings.Join(also, ",\n"))
	return b.Bytes()
}

// asItIs is how man(7) spells what a terminal of UTF-8 would be shown other characters for: groff_char(7).
var asItIs = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`, "\t", "    ")

// roff is text that troff prints as it is.
func roff(text string) string {
	lines := strings.Split(asItIs.Replace(text), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
