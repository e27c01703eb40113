package jinja

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// hostile templates must each end in an error, soon and in little memory, whatever the conversation. An engine without
// limits would hang, exhaust memory or overflow the stack on most of them. hit is the limit that ends one, or the class
// of its error.
var hostile = []struct{ name, tpl, hit string }{
	{"nested loops", nest("{% for i in range(100000) %}", 8, "x", "{% endfor %}"), "steps"},
	{"nested loops without output", nest("{% for i in range(100000) %}", 8, "{% set x = i %}", "{% endfor %}"), "steps"},
	{"loop over a filter", "{% for i in range(100000) %}{% for j in range(100000)|select('odd')|map('string') %}{% endfor %}{% endfor %}", "steps"},
	{"loop that grows a namespace", "{% set ns = namespace(l=[1]) %}{% for i in range(100000) %}{% set ns.l = ns.l + ns.l %}{% endfor %}{{ ns.l|length }}", "steps"},
	{"namespace attributes", "{% set ns = namespace() %}{% for i in range(100000) %}{% for j in range(100000) %}{% set ns.a = [i, j, ns.a] %}{% endfor %}{% endfor %}", "steps"},
	{"doubling string", "{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}", "memory"},
	{"doubling string by ~", "{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}", "memory"},
	{"doubling by format", "{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = '%s%s' % (ns.s, ns.s) %}{% endfor %}", "UnsupportedError"},
	{"doubling by str.format", "{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = '{0}{0}'.format(ns.s) %}{% endfor %}", "UnsupportedError"},
	{"doubling by replace", "{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = ns.s.replace('a', 'aa').replace('b', 'bb') %}{% endfor %}", "steps"},
	{"doubling by join", "{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = [ns.s, ns.s]|join %}{% endfor %}", "memory"},
	{"doubling by set block", nest("{% set x %}", 1, "ab", "{% endset %}") + strings.Repeat("{% set x %}{{ x }}{{ x }}{% endset %}", 60) + "{{ x }}", "output"},
	{"doubling by escape", "{% set ns = namespace(s='<>') %}{% for i in range(99) %}{% set ns.s = (ns.s ~ ns.s)|forceescape|string %}{% endfor %}", "UnsupportedError"},
	{"doubling by tojson", "{% set ns = namespace(s='\"') %}{% for i in range(99) %}{% set ns.s = ns.s|tojson %}{% endfor %}", "steps"},
	{"doubling by repr", "{% set ns = namespace(s=[1]) %}{% for i in range(99) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s }}", "steps"},
	{"doubling tree compared", "{% set ns = namespace(s=[1], t=[1]) %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% set ns.t = [ns.t, ns.t] %}{% endfor %}{{ ns.s == ns.t }}", "steps"},
	{"doubling tree as JSON", "{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s|tojson }}", "steps"},
	{"doubling tree as a key", "{% set ns = namespace(s=(1,)) %}{% for i in range(60) %}{% set ns.s = (ns.s, ns.s) %}{% endfor %}{{ {ns.s: 1}|length }}", "UnsupportedError"},
	{"recursive macro", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "depth"},
	{"recursive macros in turn", "{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}{{ f() }}{% endmacro %}{{ f() }}", "depth"},
	{"branching macro", "{% macro f() %}{{ f() if false else '' }}{% if true %}{{ f() }}{{ f() }}{% endif %}{% endmacro %}{{ f() }}", "depth"},
	{"macro that takes itself", "{% macro f(g) %}{{ g(g) }}{% endmacro %}{{ f(f) }}", "depth"},
	{"recursive caller", "{% macro f() %}{{ caller() }}{% endmacro %}{% macro h() %}{% call f() %}{{ h() }}{% endcall %}{% endmacro %}{{ h() }}", "depth"},
	{"macro tree", "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}", "steps"},
	{"namespace in itself", "{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}", "UnsupportedError"},
	{"deep list", "{% set ns = namespace(l=[]) %}{% for i in range(100000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}", "steps"},
	{"deep list as JSON", "{% set ns = namespace(l=[]) %}{% for i in range(5000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l|tojson }}", "depth"},
	{"deep tuple as a key", "{% set ns = namespace(l=()) %}{% for i in range(5000) %}{% set ns.l = (ns.l,) %}{% endfor %}{{ {ns.l: 1} }}", "UnsupportedError"},
	{"deep lists compared", "{% set ns = namespace(l=[], m=[]) %}{% for i in range(5000) %}{% set ns.l = [ns.l] %}{% set ns.m = [ns.m] %}{% endfor %}{{ ns.l == ns.m }}", "depth"},
	{"deep generators", "{% set ns = namespace(g=[1]) %}{% for i in range(9999) %}{% set ns.g = ns.g|map('string') %}{% endfor %}{{ ns.g|list }}", "steps"},
	{"two million parentheses", "{{ " + strings.Repeat("(", 2_000_000) + " }}", "source bytes"},
	{"many parentheses", "{{ " + strings.Repeat("(", 100_000) + "1" + strings.Repeat(")", 100_000) + " }}", "nesting"},
	{"many brackets", "{{ " + strings.Repeat("[", 100_000) + " }}", "nesting"},
	{"many braces", "{{ " + strings.Repeat("{1:", 50_000) + " }}", "nesting"},
	{"many nots", "{{ " + strings.Repeat("not ", 60_000) + "1 }}", "nesting"},
	{"many signs", "{{ " + strings.Repeat("-", 200_000) + "1 }}", "nesting"},
	{"many ifs", strings.Repeat("{% if 1 %}", 20_000), "nesting"},
	{"many conditions", "{{ " + strings.Repeat("1 if 0 else ", 20_000) + "1 }}", "nesting"},
	{"many attributes", "{{ x" + strings.Repeat(".a", 100_000) + " }}", "nesting"},
	{"many filters", "{{ x" + strings.Repeat("|list", 40_000) + " }}", "nesting"},
	{"many calls", "{{ x" + strings.Repeat("()", 100_000) + " }}", "nesting"},
	{"huge range", "{{ range(10**15)|list }}", "OverflowError"},
	{"negative huge range", "{{ range(0, -(10**18), -1)|list }}", "OverflowError"},
	{"many ranges", "{{ range(100000)|list + range(100000)|list + range(100000)|list + range(100000)|list + range(100000)|list + range(100000)|list }}", "steps"},
	{"repeated string", "{{ 'a' * 10**9 }}", "memory"},
	{"repeated string, overflow", "{{ 'aaaaaaaa' * 4611686018427387904 }}", "memory"},
	{"repeated list", "{{ [1, 2] * 10**9 }}", "UnsupportedError"},
	{"repeated tuple", "{{ (1,) * 9223372036854775807 }}", "UnsupportedError"},
	{"integer power", "{{ 10 ** (10 ** 10) }}", "UnsupportedError"},
	{"integer power chain", "{{ 7 ** (7 ** (7 ** 7)) }}", "UnsupportedError"},
	{"integer squares", "{% set ns = namespace(n=9) %}{% for i in range(99) %}{% set ns.n = ns.n * ns.n %}{% endfor %}", "UnsupportedError"},
	{"big integers in a loop", "{% set n = 3 ** 8000 %}{% for i in range(100000) %}{% for j in range(100000) %}{% set x = n * 1 // 3 % n %}{% endfor %}{% endfor %}", "UnsupportedError"},
	{"big integers as text", "{% set n = 3 ** 8000 %}{% for i in range(100000) %}{% for j in range(100000) %}{% set x = n|string %}{% endfor %}{% endfor %}", "UnsupportedError"},
	{"format width", "{{ '%1000000000d' % 1 }}", "UnsupportedError"},
	{"format star width", "{{ '%*d' % (1000000000, 1) }}", "UnsupportedError"},
	{"format precision", "{{ '%.1000000000f' % 1 }}", "UnsupportedError"},
	{"format spec width", "{{ '{:1000000000}'.format('a') }}", "UnsupportedError"},
	{"format spec nested", "{{ '{:{}}'.format('a', 1000000000) }}", "UnsupportedError"},
	{"many format widths", "{{ '" + strings.Repeat("%16000000d", 100) + "' % (" + strings.Repeat("1,", 100) + ") }}", "UnsupportedError"},
	{"indent", "{{ 'a\\nb'|indent(10**9) }}", "memory"},
	{"indent of many lines", "{{ ('a\\n' * 100000)|indent(100000, true) }}", "memory"},
	{"tojson indent", "{{ [1]|tojson(indent=10**9) }}", "memory"},
	{"tojson indent, deep", "{{ [[[[[[[[1]]]]]]]]|tojson(indent=3000000) }}", "memory"},
	{"center", "{{ 'a'|center(10**9) }}", "UnsupportedError"},
	{"str.center", "{{ 'a'.center(10**9, 'é') }}", "UnsupportedError"},
	{"zfill", "{{ 'a'.zfill(10**9) }}", "UnsupportedError"},
	{"expandtabs", "{{ '\\t\\t'.expandtabs(10**9) }}", "UnsupportedError"},
	{"batch fill", "{{ [1]|batch(10**9, 'x')|list }}", "UnsupportedError"},
	{"slices", "{{ [1]|slice(10**9)|list }}", "UnsupportedError"},
	{"replace of nothing", "{{ ('a' * 10000).replace('', 'b' * 10000) }}", "memory"},
	{"join", "{{ ('x' * 100000).join(range(100000)|map('string')) }}", "steps"},
	{"searches", "{% set s = 'a' * 1000000 %}{% for i in range(100000) %}{% set x = (s + 'b') in s %}{{ 'b' in s }}{% endfor %}", "steps"},
	{"comparisons", "{% set s = 'a' * 1000000 %}{% set t = 'a' * 1000000 %}{% for i in range(100000) %}{% set x = s == t %}{% endfor %}", "steps"},
	{"list searches", "{% set l = range(100000)|list %}{% for i in l %}{% set x = -1 in l %}{% endfor %}", "steps"},
	{"case mapping", "{% set s = 'a' * 1000000 %}{% for i in range(100000) %}{% set x = s|upper %}{% endfor %}", "steps"},
	{"lengths", "{% set s = 'é' * 1000000 %}{% for i in range(100000) %}{% set x = s|length %}{% endfor %}", "steps"},
	{"indexes", "{% set s = 'é' * 1000000 %}{% for i in range(100000) %}{% set x = s[5] %}{% endfor %}", "steps"},
	{"splits", "{% set s = ', ' * 1000000 %}{% for i in range(100000) %}{% set x = s.split(',') %}{% endfor %}", "memory"},
	{"sorts", "{% set l = range(100000)|map('string')|list %}{% for i in range(100000) %}{% set x = l|sort %}{% endfor %}", "steps"},
	{"groups", "{% for i in range(100000) %}{% set x = [{'a':1},{'a':2}]|groupby('a') %}{% for j in range(100000) %}{% endfor %}{% endfor %}", "UnsupportedError"},
	{"big output", "{% for i in range(100000) %}{{ 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' }}{% endfor %}" + strings.Repeat("x", 100000), "steps"},
	{"big output in blocks", "{% for i in range(100000) %}{% filter upper %}" + strings.Repeat("x", 10000) + "{% endfilter %}{% endfor %}", "steps"},
	{"big source", strings.Repeat("x", 1<<20), "source bytes"},
	{"attribute tricks", "{{ ''.__class__.__mro__[1].__subclasses__() }}", "SecurityError"},
	{"attribute tricks by item", "{{ ''['__class__']['__mro__'] }}", "SecurityError"},
	{"attribute tricks by filter", "{{ (''|attr('__class__'))|attr('__base__') }}", "UnsupportedError"},
	{"attribute tricks by map", "{{ ['']|map(attribute='__class__.__mro__')|list }}", "SecurityError"},
	{"attribute tricks by format", "{{ '{0.__class__.__mro__}'.format('') }}", "UnsupportedError"},
	{"attribute tricks on a function", "{{ range.__globals__['os'] }}", "SecurityError"},
	{"attribute tricks on a macro", "{% macro f() %}{% endmacro %}{{ f.__call__.__globals__.os }}", "SecurityError"},
	{"attribute tricks on undefined", "{{ x.__init__.__globals__.os }}", "SecurityError"},
	{"change a list", "{{ messages.append(1) }}", "SecurityError"},
	{"change a dict", "{{ messages[0].update({}) }}", "SecurityError"},
	{"include a file", "{% include '/etc/passwd' %}", "UnsupportedError"},
	{"import a file", "{% import '/etc/passwd' as x %}", "UnsupportedError"},
	{"from a file", "{% from '/etc/passwd' import x %}", "UnsupportedError"},
	{"extend a file", "{% extends '/etc/passwd' %}", "UnsupportedError"},
	{"unclosed comment", strings.Repeat("{#", 100_000), "TemplateSyntaxError"},
	{"unclosed raw", "{% raw %}" + strings.Repeat("{% ", 80_000), "TemplateSyntaxError"},
	{"unclosed string", "{{ '" + strings.Repeat("\\'", 100_000), "TemplateSyntaxError"},
	{"many star arguments", "{{ dict(*range(100000)|list) }}", "UnsupportedError"},
	{"arguments by the million", "{% macro f() %}{{ varargs|length }}{% endmacro %}{% for i in range(100000) %}{{ f(*range(100000)) }}{% endfor %}", "UnsupportedError"},
	{"many scopes", strings.Repeat("{% with a = 1 %}", 15_000), "UnsupportedError"},
	{"lipsum", "{{ lipsum(10**9) }}", "UnsupportedError"},
	{"strftime", "{{ strftime_now('%c' * 10**8) }}", "memory"},
	{"loop length of a generator", "{% for i in range(100000)|map('string') %}{% for j in range(100000)|map('string') %}{{ loop.length }}{% endfor %}{% endfor %}", "steps"},
	{"doubling by the format filter", "{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = '%s%s'|format(ns.s, ns.s) %}{% endfor %}", "memory"},
	{"doubling by safe", "{% set ns = namespace(s='<') %}{% for i in range(99) %}{% set ns.s = ns.s|safe + ns.s|string + '<' %}{% endfor %}", "steps"},
	{"doubling by the join method", "{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = ns.s.join([ns.s, ns.s]) %}{% endfor %}", "memory"},
	{"doubling by indent", "{% set ns = namespace(s='a\\n') %}{% for i in range(99) %}{% set ns.s = (ns.s ~ ns.s)|indent(8, true) %}{% endfor %}", "steps"},
	{"doubling by a macro", "{% macro f(x) %}{{ x }}{{ x }}{% endmacro %}{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = f(ns.s) %}{% endfor %}", "output"},
	{"doubling list by sum", "{% set ns = namespace(l=[1]) %}{% for i in range(99) %}{% set ns.l = [ns.l, ns.l]|sum(start=[]) %}{% endfor %}", "UnsupportedError"},
	{"lines", "{% set s = '\\n' * 1000000 %}{% for i in range(100000) %}{% set x = s.splitlines() %}{% endfor %}", "UnsupportedError"},
	{"words", "{% set s = 'a ' * 500000 %}{% for i in range(100000) %}{% set x = s.split() %}{% endfor %}", "steps"},
	{"characters", "{% set s = 'a' * 100000 %}{% for i in range(100000) %}{% for c in s %}{% endfor %}{% endfor %}", "steps"},
	{"strips", "{% set s = ' ' * 1000000 %}{% for i in range(100000) %}{% set x = s.strip() %}{% endfor %}", "steps"},
	{"many strip characters", "{% set s = 'b' * 100000 %}{% for i in range(100000) %}{% set x = s.strip('a' * 1000 + 'b') %}{% endfor %}", "steps"},
	{"unique", "{% set l = range(50000)|map('string')|list %}{% for i in range(100000) %}{% set x = l|unique|list %}{% endfor %}", "steps"},
	{"dict of many keys", "{% set ns = namespace(d={}) %}{% for i in range(100000) %}{% set ns.d = dict(ns.d.items()|list + [[i, i]]) %}{% endfor %}", "UnsupportedError"},
	{"many names", "{% set a0 = 1 %}" + manyNames(7000) + "{% for i in range(100000) %}{% for j in range(100000) %}{{ a0 }}{% endfor %}{% endfor %}", "steps"},
	{"reversed slices", "{% set l = range(100000)|list %}{% for i in l %}{% set x = l[::-1] %}{% endfor %}", "steps"},
	{"escapes in JSON", "{% set s = '\\x01' * 100000 %}{% for i in range(100000) %}{% set x = s|tojson %}{% endfor %}", "steps"},
	{"big integer literal", "{{ " + strings.Repeat("9", 100_000) + " }}", "TemplateSyntaxError"},
	{"overflow", "{{ 9223372036854775807 + 1 }}", "UnsupportedError"},
	{"overflow of the least", "{{ (-9223372036854775807 - 1) // -1 }}", "UnsupportedError"},
}

func manyNames(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "{%% set a%d = 1 %%}", i)
	}
	return b.String()
}

func nest(open string, n int, body, end string) string {
	return strings.Repeat(open, n) + body + strings.Repeat(end, n)
}

// hostileMemory bounds what one hostile template makes the process allocate in all, freed or not: the render's own count
// could forget something.
const hostileMemory = 64 << 20

// runHostile parses and renders a template over a short conversation. The render is nil where the parse failed.
func runHostile(tb testing.TB, tpl string, limits Limits) (r *render, allocated uint64, err error) {
	tb.Helper()
	msgs, err := FromJSON([]byte(`[{"role":"user","content":"hi"}]`))
	if err != nil {
		tb.Fatal(err)
	}
	vars := NewDict()
	vars.Set("messages", msgs)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	tmpl, err := Parse(tpl, limits)
	if err == nil {
		r = newRender(tb.Context(), tmpl.limits, vars, Options{})
		_, err = tmpl.run(r)
	}
	runtime.ReadMemStats(&after)
	return r, after.TotalAlloc - before.TotalAlloc, err
}

// hitOf is the limit that an error names, or its class.
func hitOf(err error) string {
	var over *LimitError
	if errors.As(err, &over) {
		return over.What
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Class
	}
	return fmt.Sprint(err)
}

// TestHostile: each hostile template ends at the limit, or with the error, that its row names, and has used no more than
// its limits. Steps, not a clock, bound the time: BenchmarkHostile tells what they cost.
func TestHostile(t *testing.T) {
	var most uint64
	for _, h := range hostile {
		t.Run(h.name, func(t *testing.T) {
			r, allocated, err := runHostile(t, h.tpl, Limits{})
			most = max(most, allocated)
			if got := hitOf(err); got != h.hit {
				t.Errorf("ends with %s (%v), want %s", got, err, h.hit)
			}
			if err != nil && len(err.Error()) > 400 {
				t.Errorf("the message has %d bytes", len(err.Error()))
			}
			if allocated > hostileMemory {
				t.Errorf("allocated %d MiB, over %d MiB", allocated>>20, hostileMemory>>20)
			}
			if r == nil {
				return
			}
			// The charge that went over is the last.
			if r.memory < 0 || r.depth > r.limits.Depth+1 || r.steps < -int64(len(h.tpl))-1<<18 {
				t.Errorf("left: %d steps, %d bytes, at depth %d", r.steps, r.memory, r.depth)
			}
		})
	}
	t.Logf("%d templates; most memory %d KiB", len(hostile), most>>10)
}

// BenchmarkHostile shows the time that the limits allow: the whole table, and its worst.
func BenchmarkHostile(b *testing.B) {
	worst := time.Duration(0)
	for b.Loop() {
		for _, h := range hostile {
			start := time.Now()
			if _, _, err := runHostile(b, h.tpl, Limits{}); err == nil {
				b.Fatalf("%s: no error", h.name)
			}
			worst = max(worst, time.Since(start))
		}
	}
	b.ReportMetric(float64(worst.Microseconds())/1000, "ms-worst")
}

// TestParenthesesPastTheSourceLimit: nesting holds by itself, too.
func TestParenthesesPastTheSourceLimit(t *testing.T) {
	_, allocated, err := runHostile(t, "{{ "+strings.Repeat("(", 2_000_000)+" }}", Limits{Source: 1 << 24})
	if got := hitOf(err); got != "nesting" {
		t.Errorf("ends with %s, want nesting", got)
	}
	if allocated > hostileMemory {
		t.Errorf("allocated %d bytes", allocated)
	}
}

// TestCancel: a render ends with its context.
func TestCancel(t *testing.T) {
	tmpl, err := Parse(hostile[1].tpl, Limits{Steps: 1 << 40, Memory: 1 << 40})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := tmpl.Render(ctx, nil, Options{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the context's error", err)
	}
}
