package api

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/internal/docs"
)

func TestDocsAreTheTable(t *testing.T) {
	part := func(name, text string) docs.Part {
		return docs.Part{Begin: "<!-- fields: " + name + " -->\n", End: "<!-- end -->", Text: text + "\n"}
	}
	parts := []docs.Part{part("refused", refusedTable())}
	for name, rows := range map[string][]Field{
		"depth":       served(slices.Concat(depthRows[1:], scheduleRows), Completions),
		"completions": served(slices.Concat(depthRows[:1], otherRows[len(scheduleRows):]), Completions),
		"chats":       less(served(otherRows, Chat), served(otherRows, Completions)),
		"responses":   less(served(table, Responses), served(table, Chat)),
		"messages":    less(served(table, Messages), served(table, Chat)),
		"embeddings":  served(otherRows[len(scheduleRows):], Embeddings),
		"bench":       served(table[1:], Bench),
	} {
		parts = append(parts, part(name, fieldTable(rows)))
	}
	docs.Hold(t, "../../docs/api.md", *update, "go generate ./server/api", parts...)
}

// less leaves the rows out that other ones tell already.
func less(rows, others []Field) []Field {
	return slices.DeleteFunc(slices.Clone(rows), func(f Field) bool {
		return slices.ContainsFunc(others, func(o Field) bool { return o.Name == f.Name && o.told().help == f.told().help })
	})
}

// fieldTable is a table of docs/api.md; what a body must have comes first, and other names of a field stand in its row.
func fieldTable(rows []Field) string {
	var b strings.Builder
	b.WriteString("| field | type | default | |\n|---|---|---|---|")
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(x, y Field) int { return rank(x) - rank(y) })
	names := map[string]string{}
	for i := range rows {
		f := &rows[i]
		of := f.Name
		if m := sameAs.FindStringSubmatch(f.told().help); m != nil && slices.ContainsFunc(rows, func(o Field) bool { return o.Name == m[1] }) {
			of = m[1]
		}
		names[of] += ", `" + f.Name + "`"
	}
	for i := range rows {
		f := &rows[i]
		if names[f.Name] == "" {
			continue
		}
		def := ""
		switch d := f.Default.(type) {
		case nil:
			if f.Kind == Bool && !strings.Contains(f.told().help, "Default: ") {
				def = "false"
			}
		case string:
			def = "`" + d + "`"
		default:
			def = fmt.Sprint(d)
		}
		fmt.Fprintf(&b, "\n| %s | %s | %s | %s |", names[f.Name][2:], f.typeName(), def, strings.ReplaceAll(f.told().help, "|", `\|`))
	}
	return b.String()
}

// sameAs is the description of another name of a field.
var sameAs = regexp.MustCompile("^As `(\\w+)`\\.$")

func rank(f Field) int {
	if f.Name == "model" || f.Missing != "" {
		return 0
	}
	return 1
}

// typeName is a field's type in docs.
func (f *Field) typeName() string {
	switch f.Kind {
	case Bool:
		return "boolean"
	case Int:
		switch {
		case f.Range != nil:
			return "integer, at least 1"
		case f.Lo == 0 && f.Hi == 0:
			return "integer"
		}
		return strings.TrimPrefix(integerRange(int64(f.Lo), int64(f.Hi)), "an ")
	case Depth:
		if f.Auto != 0 {
			return "integer, or `auto`"
		}
		return "integer"
	case Number:
		if f.Above {
			return "number above " + plain(f.Lo) + ", at most " + plain(f.Hi)
		}
		return "number from " + plain(f.Lo) + " to " + plain(f.Hi)
	case Text:
		if len(f.Words) > 0 {
			return "`" + strings.Join(f.Words, "`, `") + "`"
		}
		return "string"
	case Object:
		return "object"
	case TextList:
		return "string or list"
	case IDList, DepthList:
		return "list of integers"
	case IntList:
		return "integer or list"
	}
	if m := schemaType.FindStringSubmatch(f.told().rest); m != nil {
		return m[1]
	}
	return ""
}

var schemaType = regexp.MustCompile(`^, "type": \[?"(\w+)"`)

// refusedTable lists fields that are not served, those of one remedy together and two remedies a line.
func refusedTable() string {
	var b strings.Builder
	b.WriteString("| field | instead | field | instead |\n|---|---|---|---|")
	var remedies []string
	names := map[string][]string{}
	for i := range refusedRows {
		f := &refusedRows[i]
		if f.Routes&Completions == 0 {
			continue
		}
		if names[f.Remedy] == nil {
			remedies = append(remedies, f.Remedy)
		}
		names[f.Remedy] = append(names[f.Remedy], "`"+f.Name+"`")
	}
	for i, r := range remedies {
		if i%2 == 0 {
			b.WriteString("\n|")
		}
		fmt.Fprintf(&b, " %s | %s |", strings.Join(names[r], ", "), r)
	}
	return b.String()
}
