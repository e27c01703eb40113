package jinja

import (
	"strings"
	"testing"
)

// rendered parses and renders a template over no variables but s, n and l.
func rendered(t testing.TB, tpl string) (string, error) {
	t.Helper()
	tmpl, err := Parse(tpl, Limits{}, Generation)
	if err != nil {
		return "", err
	}
	vars, err := FromJSON([]byte(`{"s": "text", "n": 3, "l": [3, 1, 2], "d": {"a": 1}}`))
	if err != nil {
		t.Fatal(err)
	}
	return tmpl.Render(t.Context(), vars.(*Dict), Options{Now: fixedNow})
}

// TestWhitespace is trim_blocks, lstrip_blocks and their signs.
func TestWhitespace(t *testing.T) {
	for _, tt := range []struct{ name, tpl, want string }{
		{"newline behind a block goes", "{% if 1 %}\nx\n{% endif %}\ny", "x\ny"},
		{"only one newline goes", "{% if 1 %}\n\nx{% endif %}", "\nx"},
		{"newline behind a variable stays", "{{ n }}\nx", "3\nx"},
		{"newline behind a comment goes", "{# c #}\nx", "x"},
		{"blanks before a block go", "a\n  {% if 1 %}x{% endif %}", "a\nx"},
		{"blanks before the first block go", "  {% if 1 %}x{% endif %}", "x"},
		{"blanks before a comment go", "a\n\t {# c #}b", "a\nb"},
		{"blanks before a variable stay", "a\n  {{ n }}", "a\n  3"},
		{"text before a block keeps its blanks", "a  {% if 1 %}x{% endif %}", "a  x"},
		{"blanks between two blocks of a line stay", "{% if 1 %}  {% endif %}|", "  |"},
		{"blanks go when a block's newline went", "{% if 1 %}\n  {% endif %}|", "|"},
		{"minus eats all before", "a \n\n {%- if 1 %}x{% endif %}", "ax"},
		{"minus eats all behind", "{% if 1 -%} \n\n x{% endif %}", "x"},
		{"minus at a variable", "a {{- n -}} b", "a3b"},
		{"minus at a comment", "a {#- c -#} b", "ab"},
		{"plus keeps the blanks", "a\n  {%+ if 1 %}x{% endif %}", "a\n  x"},
		{"plus keeps the newline", "{% if 1 +%}\nx{% endif %}", "\nx"},
		{"a number with a minus is no sign", "{{-1}}{{ - 1}}", "1-1"},
		{"wide blanks count as blanks", "a\u00a0\u2003{{- n }}", "a3"},
		{"the last newline goes", "x\n", "x"},
		{"one of the last newlines goes", "x\n\n", "x\n"},
		{"newlines of Windows and of old Macs", "a\r\nb\rc", "a\nb\nc"},
		{"raw", "{% raw %}{{ x }}{% if %}{# c #}{% endraw %}|", "{{ x }}{% if %}{# c #}|"},
		{"raw with minus", "a {%- raw -%} {{ x }} {%- endraw -%} b", "a{{ x }}b"},
		{"raw keeps its first newline", "{% raw %}\nx{% endraw %}\ny", "\nxy"},
		{"a brace is text", "{ {a} }} %} #}", "{ {a} }} %} #}"},
		{"a closing brace in a text", "{{ '}}' }}{{ '%}' }}", "}}%}"},
		{"a dict before the closing", "{{ {'a': {}} }}", "{'a': {}}"},
		{"a comment with tags", "{# {{ x }} {% if %} #}y", "y"},
		{"generation is its body", "{% generation %}\n x {% endgeneration %}\n|", " x |"},
	} {
		if got, err := rendered(t, tt.tpl); err != nil || got != tt.want {
			t.Errorf("%s: %q gives %q, %v; want %q", tt.name, tt.tpl, got, err, tt.want)
		}
	}
}

// TestTokens shows what a source is cut into.
func TestTokens(t *testing.T) {
	for _, tt := range []struct{ src, want string }{
		{"a{{ b }}c", "a <begin of print statement> b <end of print statement> c"},
		{"{%if a.b[0]%}", "<begin of statement block> if a . b [ 0 ] <end of statement block>"},
		{"{{a//b**c!=d}}", "<begin of print statement> a // b ** c != d <end of print statement>"},
		{"{{ a<=b>=c==d }}", "<begin of print statement> a <= b >= c == d <end of print statement>"},
		{"{{ 1 1.5 1e3 1.5e-3 1_000 d.1.2 }}", "<begin of print statement> 1 1.5 1e3 1.5e-3 1_000 d . 1 . 2 <end of print statement>"},
		{"{{ 'a' \"b\" '' }}", "<begin of print statement> a b  <end of print statement>"},
		{"{{ né _x x1 }}", "<begin of print statement> né _x x1 <end of print statement>"},
		{"{{ {'a': [1]} }}", "<begin of print statement> { a : [ 1 ] } <end of print statement>"},
	} {
		l := newLexer(tt.src)
		var got []string
		for tok := l.next(); tok.kind != tokEOF; tok = l.next() {
			if tok.text == "" && tok.kind != tokString {
				got = append(got, "<"+tok.kind+">")
				continue
			}
			got = append(got, tok.text)
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.src, s, tt.want)
		}
	}
}

// TestEscapes are Python's in a literal; an unknown one stays.
func TestEscapes(t *testing.T) {
	for in, want := range map[string]string{
		`\n\t\r\a\b\f\v`: "\n\t\r\a\b\f\v", `\\`: `\`, `\'\"`: `'"`, `\x41\u00e9\U0001F600`: "Aé😀",
		`\q\é`: `\q\é`, `\xe9`: "é", `é`: "é",
	} {
		if got, err := rendered(t, `{{ "`+strings.ReplaceAll(in, `\'\"`, `\'\"`)+`" }}`); err != nil || got != want {
			t.Errorf("%s gives %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{`\x4`, `\u12`, `\U0011`, `\UFFFFFFFF`, `\xzz`, `\N{DASH}`, `\101`, `\0`, "\\\n"} {
		if got, err := rendered(t, `{{ "`+in+`" }}`); err == nil {
			t.Errorf("%s gives %q, want an error", in, got)
		}
	}
}
