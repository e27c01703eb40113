package jinja

import (
	"errors"
	"strings"
	"testing"
)

// TestErrors: what is wrong, in which words, and on which line.
func TestErrors(t *testing.T) {
	for _, tt := range []struct {
		tpl, class, msg string
		line            int
	}{
		// Syntax.
		{"a\n{{ }}", "TemplateSyntaxError", "Expected an expression, got 'end of print statement'", 2},
		{"{{ 1 +\n }}", "TemplateSyntaxError", "unexpected 'end of print statement'", 2},
		{"{{ 1 2 }}", "TemplateSyntaxError", "expected token 'end of print statement', got 'integer'", 1},
		{"{{ (1, 2 }}", "TemplateSyntaxError", "expected token ')', got '}'", 1},
		{"{{ [1, 2) }}", "TemplateSyntaxError", "expected token ',', got ')'", 1},
		{"\n\n{{ 'abc }}", "TemplateSyntaxError", `unexpected char "'" at 5`, 3},
		{"{{ $ }}", "TemplateSyntaxError", "unexpected char '$' at 3", 1},
		{"{{ x. }}", "TemplateSyntaxError", "expected name or number", 1},
		{"{{ x[ }}", "TemplateSyntaxError", "unexpected", 1},
		{"{{ f(a=1, 2) }}", "TemplateSyntaxError", "invalid syntax for function call expression", 1},
		{"{{ f(*a) }}", "UnsupportedError", "a call with *", 1},
		{"{{ x is a is b }}", "TemplateSyntaxError", "You cannot chain multiple tests with is", 1},
		{"{{ 1", "TemplateSyntaxError", "unexpected end of template, expected 'end of print statement'.", 1},
		{"{# x\n", "TemplateSyntaxError", "Missing end of comment tag", 1},
		{"\n{% raw %}x", "TemplateSyntaxError", "Missing end of raw directive", 2},
		{"{% if x %}\n", "TemplateSyntaxError", "Jinja was looking for the following tags: 'elif' or 'else' or 'endif'. The innermost block that needs to be closed is 'if'.", 1},
		{"{% for x in l %}{% endif %}", "TemplateSyntaxError", "Encountered unknown tag 'endif'.", 1},
		{"{% for x of l %}{% endfor %}", "TemplateSyntaxError", "expected token 'in', got 'of'", 1},
		{"{% set true = 1 %}", "TemplateSyntaxError", "can't assign to 'const'", 1},
		{"{% set 1 = 2 %}", "TemplateSyntaxError", "can't assign to 'integer'", 1},
		{"{% break %}", "TemplateSyntaxError", "'break' outside loop", 1},
		{"{% for x in l %}{% macro f() %}{% continue %}{% endmacro %}{% endfor %}", "TemplateSyntaxError", "'continue' outside loop", 1},
		{"{% macro f(a=1, b) %}{% endmacro %}", "TemplateSyntaxError", "non-default argument follows default argument", 1},
		{"{% call n %}{% endcall %}", "TemplateSyntaxError", "expected call", 1},
		{"{% call f().x %}{% endcall %}", "TemplateSyntaxError", "expected call", 1},
		{"{% call (1, f()) %}{% endcall %}", "TemplateSyntaxError", "", 1},
		{"{% 1 %}", "TemplateSyntaxError", "tag name expected", 1},
		{"{% nope %}", "TemplateSyntaxError", "Encountered unknown tag 'nope'.", 1},
		// Running.
		{"a\nb\n{{ nope.x }}", "UndefinedError", "'nope' is undefined", 3},
		{"{{ d\n.nope.x }}", "UndefinedError", "'dict object' has no attribute 'nope'", 2},
		{"{{ l[9]\n[0] }}", "UndefinedError", "list object has no element 9", 2},
		{"\n{{ none.x.y }}", "UndefinedError", "'None' has no attribute 'x'", 2},
		{"\n{% for x in n %}{% endfor %}", "TypeError", "'int' object is not iterable", 2},
		{"{% if 1 %}\n{% set a, b = l %}{% endif %}", "ValueError", "too many values to unpack (expected 2)", 2},
		{"{% set n.x = 1 %}", "TemplateRuntimeError", "cannot assign attribute on non-namespace object", 1},
		{"{{ 'a'\n+ n }}", "TypeError", `can only concatenate str (not "int") to str`, 2},
		{"\n{{ 1 // 0 }}", "ZeroDivisionError", "division by zero", 2},
		{"\n{{ n() }}", "TypeError", "'int' object is not callable", 2},
		{"\n{{ s|replace('a') }}", "TypeError", "replace() missing a required argument: 'new'", 2},
		{"\n{{ s|trim(1, 2) }}", "TypeError", "trim() takes not more than 1 argument(s)", 2},
		{"\n{{ s|trim(x=1) }}", "TypeError", "trim() takes no keyword argument 'x'", 2},
		{"\n{{ s|trim('a', chars='b') }}", "TypeError", "trim() got multiple values for argument 'chars'", 2},
		{"{% macro f(a) %}{% endmacro %}\n{{ f(1, 2) }}", "TypeError", "macro 'f' takes not more than 1 argument(s)", 2},
		{"{% macro f(a) %}{% endmacro %}\n{{ f(b=2) }}", "TypeError", "macro 'f' takes no keyword argument 'b'", 2},
		{"{% macro f(a) %}\n{{ a.x }}{% endmacro %}\n{{ f() }}", "UndefinedError", "parameter 'a' was not provided", 2},
		{"{% macro f() %}\n{{ caller() }}{% endmacro %}{{ f() }}", "UndefinedError", "No caller defined", 2},
		{"\n{{ raise_exception('no ' ~ s) }}", "TemplateError", "no text", 2},
		{"\n{{ l.append(1) }}", "SecurityError", "access to attribute 'append' of 'list' object is unsafe.", 2},
		{"\n{{ s.__class__.__mro__ }}", "SecurityError", "access to attribute '__class__' of 'str' object is unsafe.", 2},
		// Refused or unknown, where it is reached.
		{"\n{{ s|nope }}", "TemplateAssertionError", "No filter named 'nope'.", 2},
		{"{% if 1 %}\n{{ s is nope }}{% endif %}", "TemplateRuntimeError", "No test named 'nope' found.", 2},
		{"\n{{ s|center }}", "UnsupportedError", "the filter 'center' is not supported in chat templates", 2},
		{"\n{{ s.zfill(3) }}", "UnsupportedError", "the attribute str.zfill is not supported in chat templates", 2},
		{"\n{% include 'x' %}", "UnsupportedError", "the tag 'include' is not supported in chat templates", 2},
		{"\n{% for x in l recursive %}{% endfor %}", "UnsupportedError", "a recursive for loop is not supported in chat templates", 2},
		{"\n{{ 0xff }}", "UnsupportedError", "in another base than ten", 2},
		{"\n{{ cycler(1) }}", "UnsupportedError", "the function 'cycler' is not supported in chat templates", 2},
		{"\n{{ 9223372036854775807 + 1 }}", "UnsupportedError", "9223372036854775807 + 1, which does not fit 64 bits", 2},
	} {
		_, err := rendered(t, tt.tpl)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%q gives %v, want a %s", tt.tpl, err, tt.class)
			continue
		}
		if e.Class != tt.class || !strings.Contains(e.Msg, tt.msg) || e.Line != tt.line {
			t.Errorf("%q gives line %d: %s: %s\nwant line %d: %s: …%s…", tt.tpl, e.Line, e.Class, e.Msg, tt.line, tt.class, tt.msg)
		}
	}
}

// TestPrecedence: operators bind as in Jinja, whose sums hold products, which hold powers, which hold signs.
func TestPrecedence(t *testing.T) {
	for tpl, want := range map[string]string{
		"1 + 2 * 3": "7", "(1 + 2) * 3": "9", "2 * 3 ** 2": "18", "-2 ** 2": "4", "2 ** 3 ** 2": "64", "10 - 3 - 2": "5",
		"1 ~ (2 + 3)": "15", "s + 2 ~ 3": "text23", "1 ~ 2 * 3": "16", "not 1 == 2": "True", "not 1 in l": "False",
		"1 not in l": "False", "1 in l and 9 not in l": "True", "false and 1 or 2": "2", "1 or 2 and 3": "1",
		"1 < 2 < 3": "True", "1 < 3 < 2": "False", "1 < 2 == 2": "True", "-n|string|length": "2", "1 + 2|string|length": "2",
		"'a' ~ 'b'|upper": "aB", "l|length == 3": "True", "n is number and s is string": "True", "n is not none": "True",
		"1 if false else 2 if true else 3": "2", "[1 if true else 2][0]": "1", "n == 3 if true": "True", "l[-1] * 2": "4",
		"not n is odd": "False", "s[0:2] ~ s[-1]": "tet", "(1, 2)[1]": "2", "d.a + d['a']": "2", "'a' 'b'": "ab", "- -1": "1",
	} {
		if got, err := rendered(t, "{{ "+tpl+" }}"); err != nil || got != want {
			t.Errorf("%s gives %q, %v; want %q", tpl, got, err, want)
		}
	}
}
