package docs

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// Page is a Markdown file.
type Page struct {
	Path   string          // from the repository's root, with slashes
	Text   string          // the file
	Prose  string          // Text with fenced blocks, code spans and comments blanked: offsets and lines are Text's
	Spans  []string        // code spans, without their backticks
	Blocks []Block         // fenced blocks
	Links  []Link          // of Markdown, of HTML, and of reference definitions
	Anchor map[string]bool // what a link's fragment can name
}

// Block is a fenced block.
type Block struct {
	Info  string // what follows the opening fence
	Line  int    // of its first line, from 1
	Lines []string
}

// Link is where a page points.
type Link struct {
	Target string
	Line   int
}

// Pages reads the pages that are held: those at the root, docs/ and READMEs of models/ and scripts/.
func Pages(root string) ([]*Page, error) {
	var names []string
	here, err := filepath.Glob(filepath.Join(root, "*.md"))
	if err != nil {
		return nil, err
	}
	for _, name := range here {
		names = append(names, filepath.Base(name))
	}
	for _, dir := range []string{"docs", "models", "scripts"} {
		err := fs.WalkDir(os.DirFS(root), dir, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || path.Ext(name) != ".md" || dir != "docs" && path.Base(name) != "README.md" {
				return err
			}
			names = append(names, name)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	var pages []*Page
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			return nil, err
		}
		pages = append(pages, Parse(name, string(text)))
	}
	return pages, nil
}

var (
	fence   = regexp.MustCompile("^ *(```+|~~~+)(.*)$")
	comment = regexp.MustCompile(`(?s)<!--.*?-->`)
	span    = regexp.MustCompile("``.+?``|`(?:[^`\n]|\n[^`\n])+`")
	link    = regexp.MustCompile(`\]\(<?([^()\s<>]+(?:\([^()\s]*\)[^()\s]*)?)>?(?:\s+"[^"]*")?\)|(?m:^ {0,3}\[[^\]\n]+\]:\s+(\S+))|(?:href|src)="([^"]+)"`)
	heading = regexp.MustCompile(`(?m)^ {0,3}#{1,6} +(.+?)(?: +#+)? *$`)
	named   = regexp.MustCompile(`<[a-z][^>]* (?:id|name)="([^"]+)"`)
	label   = regexp.MustCompile(`!?\[([^\]]*)\]\([^)]*\)`)
)

// Parse reads the text of a page.
func Parse(name, text string) *Page {
	p := &Page{Path: name, Text: text, Anchor: map[string]bool{}}
	var prose strings.Builder
	var open string
	for i, line := range strings.SplitAfter(text, "\n") {
		bare := strings.TrimRight(line, "\n")
		m := fence.FindStringSubmatch(bare)
		switch {
		case open == "" && m == nil:
			prose.WriteString(line)
			continue
		case open == "":
			open = m[1]
			p.Blocks = append(p.Blocks, Block{Info: strings.TrimSpace(m[2]), Line: i + 2})
		case m != nil && strings.HasPrefix(m[1], open) && strings.TrimSpace(m[2]) == "":
			open = ""
		default:
			b := &p.Blocks[len(p.Blocks)-1]
			b.Lines = append(b.Lines, bare)
		}
		prose.WriteString(blank(line))
	}
	outside := comment.ReplaceAllStringFunc(prose.String(), blank)
	for _, s := range span.FindAllString(outside, -1) {
		p.Spans = append(p.Spans, strings.Join(strings.Fields(strings.Trim(s, "`")), " "))
	}
	p.Prose = span.ReplaceAllStringFunc(outside, blank)
	for _, m := range link.FindAllStringSubmatchIndex(p.Prose, -1) {
		for i := 2; i < len(m); i += 2 {
			if m[i] >= 0 {
				p.Links = append(p.Links, Link{p.Prose[m[i]:m[i+1]], p.Line(m[i])})
			}
		}
	}
	seen := map[string]int{}
	for _, m := range heading.FindAllStringSubmatch(outside, -1) {
		slug := Slug(m[1])
		if n := seen[slug]; n > 0 {
			p.Anchor[slug+"-"+strconv.Itoa(n)] = true
		}
		seen[slug]++
		p.Anchor[slug] = true
	}
	for _, m := range named.FindAllStringSubmatch(p.Prose, -1) {
		p.Anchor[m[1]] = true
	}
	return p
}

// Line is the line of an offset in Text or Prose, from 1.
func (p *Page) Line(offset int) int { return 1 + strings.Count(p.Text[:offset], "\n") }

// blank replaces all but line ends by as many spaces.
func blank(s string) string {
	b := []byte(s)
	for i := range b {
		if b[i] != '\n' {
			b[i] = ' '
		}
	}
	return string(b)
}

// Slug is the anchor that GitHub gives a heading: its text in lower case, without punctuation, blanks as hyphens.
func Slug(heading string) string {
	heading = label.ReplaceAllString(heading, "$1")
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-', r == '_', unicode.IsLetter(r), unicode.IsNumber(r), unicode.IsMark(r):
			return unicode.ToLower(r)
		}
		return -1
	}, heading)
}
