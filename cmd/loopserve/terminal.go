package main

import (
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// isTerminal says whether somebody looks at what is written to w, or types what is read from it.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// width is that of a terminal, in characters; 0 of a file or a pipe, which have none.
func width(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return columns
}

// The colours of text on a terminal.
const (
	bold   = "1"
	red    = "31"
	yellow = "33"
)

// paint colours text where w shows colours, and NO_COLOR (https://no-color.org) does not ask for none.
func paint(w io.Writer, colour, text string) string {
	if !isTerminal(w) || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// wrap cuts text into lines of at most so many characters, after a space where there is one in the second half of a line.
func wrap(text string, most int) (lines []string) {
	rest := []rune(text)
	for most > 0 && len(rest) > most {
		at := most
		if space := strings.LastIndexByte(string(rest[:most]), ' '); space > 0 {
			if n := utf8.RuneCountInString(string(rest[:most])[:space+1]); n > most/2 {
				at = n
			}
		}
		lines, rest = append(lines, string(rest[:at])), rest[at:]
	}
	return append(lines, string(rest))
}

// aligned draws the tables of a text in Markdown for a terminal: columns below each other, under a line, without bars.
// Cells whose column is marked with a colon stand at the right.
func aligned(w io.Writer, markdown string) string {
	var out strings.Builder
	lines := strings.SplitAfter(markdown, "\n")
	for len(lines) > 0 {
		n := 0
		for n < len(lines) && strings.HasPrefix(lines[n], "|") {
			n++
		}
		if n < 2 { // no table: at least a head and its marks
			out.WriteString(lines[0])
			lines = lines[1:]
			continue
		}
		out.WriteString(table(w, lines[:n]))
		lines = lines[n:]
	}
	return out.String()
}

func table(w io.Writer, lines []string) string {
	rows, widths := make([][]string, len(lines)), []int{}
	for i, line := range lines {
		for j, cell := range strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|") {
			cell = strings.TrimSpace(cell)
			rows[i] = append(rows[i], cell)
			if j == len(widths) {
				widths = append(widths, 0)
			}
			if i != 1 {
				widths[j] = max(widths[j], utf8.RuneCountInString(cell))
			}
		}
	}
	var out strings.Builder
	for i, row := range rows {
		line := ""
		for j, cell := range row {
			pad := strings.Repeat(" ", max(0, widths[j]-utf8.RuneCountInString(cell)))
			switch {
			case i == 1:
				cell = strings.Repeat("─", widths[j])
			case j < len(rows[1]) && strings.HasSuffix(rows[1][j], ":"):
				cell = pad + cell
			default:
				cell += pad
			}
			line += cell + "  "
		}
		if line = strings.TrimRight(line, " "); i == 0 {
			line = paint(w, bold, line)
		}
		out.WriteString(line + "\n")
	}
	return out.String()
}
