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

// hostile templates must each end in an error, quickly and in little memory,
// whatever the conversation. A well-behaved engine without limits would hang,
// exhaust memory or overflow the stack on most of them.
var hostile = []struct{ name, tpl string }{
	{"nested loops", nest("{% for i in range(100000) %}", 8, "x", "{% endfor %}")},
	{"nested loops without output", nest("{% for i in range(100000) %}", 8, "{% set x = i %}", "{% endfor %}")},
	{"loop over a filter", "{% for i in range(100000) %}{% for j in range(100000)|select('odd')|map('string') %}{% endfor %}{% endfor %}"},
	{"loop that grows a namespace", "{% set ns = namespace(l=[1]) %}{% for i in range(100000) %}{% set ns.l = ns.l + ns.l %}{% endfor %}{{ ns.l|length }}"},
	{"namespace attributes", "{% set ns = namespace() %}{% for i in range(100000) %}{% for j in range(100000) %}{% set ns.a = [i, j, ns.a] %}{% endfor %}{% endfor %}"},
	{"doubling string", "{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}"},
	{"doubling string by ~", "{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}"},
	{"doubling by format", "{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = '%s%s' % (ns.s, ns.s) %}{% endfor %}"},
	{"doubling by str.format", "{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = '{0}{0}'.format(ns.s) %}{% endfor %}"},
	{"doubling by replace", "{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = ns.s.replace('a', 'aa').replace('b', 'bb') %}{% endfor %}"},
	{"doubling by join", "{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = [ns.s, ns.s]|join %}{% endfor %}"},
	{"doubling by set block", nest("{% set x %}", 1, "ab", "{% endset %}") + strings.Repeat("{% set x %}{{ x }}{{ x }}{% endset %}", 60) + "{{ x }}"},
	{"doubling by escape", "{% set ns = namespace(s='<>') %}{% for i in range(99) %}{% set ns.s = (ns.s ~ ns.s)|forceescape|string %}{% endfor %}"},
	{"doubling by tojson", "{% set ns = namespace(s='\"') %}{% for i in range(99) %}{% set ns.s = ns.s|tojson %}{% endfor %}"},
	{"doubling by repr", "{% set ns = namespace(s=[1]) %}{% for i in range(99) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s }}"},
	{"doubling tree compared", "{% set ns = namespace(s=[1], t=[1]) %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% set ns.t = [ns.t, ns.t] %}{% endfor %}{{ ns.s == ns.t }}"},
	{"doubling tree as JSON", "{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s|tojson }}"},
	{"doubling tree as a key", "{% set ns = namespace(s=(1,)) %}{% for i in range(60) %}{% set ns.s = (ns.s, ns.s) %}{% endfor %}{{ {ns.s: 1}|length }}"},
	{"recursive macro", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"},
	{"recursive macros in turn", "{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}{{ f() }}{% endmacro %}{{ f() }}"},
	{"branching macro", "{% macro f() %}{{ f() if false else '' }}{% if true %}{{ f() }}{{ f() }}{% endif %}{% endmacro %}{{ f() }}"},
	{"macro that takes itself", "{% macro f(g) %}{{ g(g) }}{% endmacro %}{{ f(f) }}"},
	{"recursive caller", "{% macro f() %}{{ caller() }}{% endmacro %}{% macro h() %}{% call f() %}{{ h() }}{% endcall %}{% endmacro %}{{ h() }}"},
	{"macro tree", "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}"},
	{"namespace in itself", "{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}"},
	{"deep list", "{% set ns = namespace(l=[]) %}{% for i in range(100000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}"},
	{"deep list as JSON", "{% set ns = namespace(l=[]) %}{% for i in range(5000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l|tojson }}"},
	{"deep tuple as a key", "{% set ns = namespace(l=()) %}{% for i in range(5000) %}{% set ns.l = (ns.l,) %}{% endfor %}{{ {ns.l: 1} }}"},
	{"deep lists compared", "{% set ns = namespace(l=[], m=[]) %}{% for i in range(5000) %}{% set ns.l = [ns.l] %}{% set ns.m = [ns.m] %}{% endfor %}{{ ns.l == ns.m }}"},
	{"deep generators", "{% set ns = namespace(g=[1]) %}{% for i in range(9999) %}{% set ns.g = ns.g|map('string') %}{% endfor %}{{ ns.g|list }}"},
	{"two million parentheses", "{{ " + strings.Repeat("(", 2_000_000) + " }}"},
	{"many parentheses", "{{ " + strings.Repeat("(", 100_000) + "1" + strings.Repeat(")", 100_000) + " }}"},
	{"many brackets", "{{ " + strings.Repeat("[", 100_000) + " }}"},
	{"many braces", "{{ " + strings.Repeat("{1:", 50_000) + " }}"},
	{"many nots", "{{ " + strings.Repeat("not ", 60_000) + "1 }}"},
	{"many signs", "{{ " + strings.Repeat("-", 200_000) + "1 }}"},
	{"many ifs", strings.Repeat("{% if 1 %}", 20_000)},
	{"many conditions", "{{ " + strings.Repeat("1 if 0 else ", 20_000) + "1 }}"},
	{"many attributes", "{{ x" + strings.Repeat(".a", 100_000) + " }}"},
	{"many filters", "{{ x" + strings.Repeat("|list", 40_000) + " }}"},
	{"many calls", "{{ x" + strings.Repeat("()", 100_000) + " }}"},
	{"huge range", "{{ range(10**15)|list }}"},
	{"negative huge range", "{{ range(0, -(10**18), -1)|list }}"},
	{"many ranges", "{{ range(100000)|list + range(100000)|list + range(100000)|list + range(100000)|list + range(100000)|list + range(100000)|list }}"},
	{"repeated string", "{{ 'a' * 10**9 }}"},
	{"repeated string, overflow", "{{ 'aaaaaaaa' * 4611686018427387904 }}"},
	{"repeated list", "{{ [1, 2] * 10**9 }}"},
	{"repeated tuple", "{{ (1,) * 9223372036854775807 }}"},
	{"integer power", "{{ 10 ** (10 ** 10) }}"},
	{"integer power chain", "{{ 7 ** (7 ** (7 ** 7)) }}"},
	{"integer squares", "{% set ns = namespace(n=9) %}{% for i in range(99) %}{% set ns.n = ns.n * ns.n %}{% endfor %}"},
	{"big integers in a loop", "{% set n = 3 ** 8000 %}{% for i in range(100000) %}{% for j in range(100000) %}{% set x = n * 1 // 3 % n %}{% endfor %}{% endfor %}"},
	{"big integers as text", "{% set n = 3 ** 8000 %}{% for i in range(100000) %}{% for j in range(100000) %}{% set x = n|string %}{% endfor %}{% endfor %}"},
	{"format width", "{{ '%1000000000d' % 1 }}"},
	{"format star width", "{{ '%*d' % (1000000000, 1) }}"},
	{"format precision", "{{ '%.1000000000f' % 1 }}"},
	{"format spec width", "{{ '{:1000000000}'.format('a') }}"},
	{"format spec nested", "{{ '{:{}}'.format('a', 1000000000) }}"},
	{"many format widths", "{{ '" + strings.Repeat("%16000000d", 100) + "' % (" + strings.Repeat("1,", 100) + ") }}"},
	{"indent", "{{ 'a\\nb'|indent(10**9) }}"},
	{"indent of many lines", "{{ ('\\n' * 100000)|indent(100000, true, true) }}"},
	{"tojson indent", "{{ [1]|tojson(indent=10**9) }}"},
	{"tojson indent, deep", "{{ [[[[[[[[1]]]]]]]]|tojson(indent=3000000) }}"},
	{"center", "{{ 'a'|center(10**9) }}"},
	{"str.center", "{{ 'a'.center(10**9, 'é') }}"},
	{"zfill", "{{ 'a'.zfill(10**9) }}"},
	{"expandtabs", "{{ '\\t\\t'.expandtabs(10**9) }}"},
	{"batch fill", "{{ [1]|batch(10**9, 'x')|list }}"},
	{"slices", "{{ [1]|slice(10**9)|list }}"},
	{"replace of nothing", "{{ ('a' * 10000).replace('', 'b' * 10000) }}"},
	{"join", "{{ ('x' * 100000).join(range(100000)|map('string')) }}"},
	{"searches", "{% set s = 'a' * 1000000 %}{% for i in range(100000) %}{% set x = (s + 'b') in s %}{{ 'b' in s }}{% endfor %}"},
	{"comparisons", "{% set s = 'a' * 1000000 %}{% set t = 'a' * 1000000 %}{% for i in range(100000) %}{% set x = s == t %}{% endfor %}"},
	{"list searches", "{% set l = range(100000)|list %}{% for i in l %}{% set x = -1 in l %}{% endfor %}"},
	{"case mapping", "{% set s = 'a' * 1000000 %}{% for i in range(100000) %}{% set x = s|upper %}{% endfor %}"},
	{"lengths", "{% set s = 'é' * 1000000 %}{% for i in range(100000) %}{% set x = s|length %}{% endfor %}"},
	{"indexes", "{% set s = 'é' * 1000000 %}{% for i in range(100000) %}{% set x = s[5] %}{% endfor %}"},
	{"splits", "{% set s = ', ' * 1000000 %}{% for i in range(100000) %}{% set x = s.split(',') %}{% endfor %}"},
	{"sorts", "{% set l = range(100000)|map('string')|list %}{% for i in range(100000) %}{% set x = l|sort %}{% endfor %}"},
	{"groups", "{% for i in range(100000) %}{% set x = [{'a':1},{'a':2}]|groupby('a') %}{% for j in range(100000) %}{% endfor %}{% endfor %}"},
	{"big output", "{% for i in range(100000) %}{{ 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' }}{% endfor %}" + strings.Repeat("x", 100000)},
	{"big output in blocks", "{% for i in range(100000) %}{% filter upper %}" + strings.Repeat("x", 10000) + "{% endfilter %}{% endfor %}"},
	{"big source", strings.Repeat("x", 1<<20)},
	{"attribute tricks", "{{ ''.__class__.__mro__[1].__subclasses__() }}"},
	{"attribute tricks by item", "{{ ''['__class__']['__mro__'] }}"},
	{"attribute tricks by filter", "{{ (''|attr('__class__'))|attr('__base__') }}"},
	{"attribute tricks by map", "{{ ['']|map(attribute='__class__.__mro__')|list }}"},
	{"attribute tricks by format", "{{ '{0.__class__.__mro__}'.format('') }}"},
	{"attribute tricks on a function", "{{ range.__globals__['os'] }}"},
	{"attribute tricks on a macro", "{% macro f() %}{% endmacro %}{{ f.__call__.__globals__.os }}"},
	{"attribute tricks on undefined", "{{ x.__init__.__globals__.os }}"},
	{"change a list", "{{ messages.append(1) }}"},
	{"change a dict", "{{ messages[0].update({}) }}"},
	{"include a file", "{% include '/etc/passwd' %}"},
	{"import a file", "{% import '/etc/passwd' as x %}"},
	{"from a file", "{% from '/etc/passwd' import x %}"},
	{"extend a file", "{% extends '/etc/passwd' %}"},
	{"unclosed comment", strings.Repeat("{#", 100_000)},
	{"unclosed raw", "{% raw %}" + strings.Repeat("{% ", 80_000)},
	{"unclosed string", "{{ '" + strings.Repeat("\\'", 100_000)},
	{"many star arguments", "{{ dict(*range(100000)|list) }}"},
	{"arguments by the million", "{% macro f() %}{{ varargs|length }}{% endmacro %}{% for i in range(100000) %}{{ f(*range(100000)) }}{% endfor %}"},
	{"many scopes", strings.Repeat("{% with a = 1 %}", 15_000)},
	{"lipsum", "{{ lipsum(10**9) }}"},
	{"strftime", "{{ strftime_now('%c' * 10**8) }}"},
	{"loop length of a generator", "{% for i in range(100000)|map('string') %}{% for j in range(100000)|map('string') %}{{ loop.length }}{% endfor %}{% endfor %}"},
}

func nest(open string, n int, body, end string) string {
	return strings.Repeat(open, n) + body + strings.Repeat(end, n)
}

const (
	hostileTime   = 100 * time.Millisecond
	hostileMemory = 64 << 20
)

func runHostile(tpl string, limits Limits) (time.Duration, uint64, error) {
	vars := NewDict()
	msgs, err := FromJSON([]byte(`[{"role":"user","content":"hi"}]`))
	if err != nil {
		return 0, 0, err
	}
	vars.Set("messages", msgs)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	tmpl, err := Parse(tpl, limits)
	if err == nil {
		_, err = tmpl.Render(context.Background(), vars, Options{})
	}
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	return took, after.TotalAlloc - before.TotalAlloc, err
}

// TestHostile holds each hostile template to 100 ms and to 64 MiB of memory
// allocated in all, freed or not.
func TestHostile(t *testing.T) {
	var worstTime time.Duration
	var worstMemory uint64
	for _, h := range hostile {
		t.Run(h.name, func(t *testing.T) {
			var took time.Duration
			var memory uint64
			var err error
			// The limit is on the template, not on a machine that was busy for
			// a moment: the best of five counts.
			for range 5 {
				took, memory, err = runHostile(h.tpl, Limits{})
				if took <= hostileTime {
					break
				}
			}
			worstTime = max(worstTime, took)
			worstMemory = max(worstMemory, memory)
			t.Logf("%v, %d KiB: %v", took.Round(time.Microsecond), memory>>10, err)
			if err == nil {
				t.Error("no error")
			}
			if len(fmt.Sprint(err)) > 400 {
				t.Errorf("the message has %d bytes", len(err.Error()))
			}
			if took > hostileTime && !raceEnabled {
				t.Errorf("took %v, over %v", took, hostileTime)
			}
			if memory > hostileMemory {
				t.Errorf("allocated %d MiB, over %d MiB", memory>>20, hostileMemory>>20)
			}
		})
	}
	t.Logf("%d templates; slowest %v, most memory %d KiB", len(hostile), worstTime, worstMemory>>10)
}

// TestParenthesesPastTheSourceLimit: nesting holds by itself, too.
func TestParenthesesPastTheSourceLimit(t *testing.T) {
	took, memory, err := runHostile("{{ "+strings.Repeat("(", 2_000_000)+" }}", Limits{Source: 1 << 24})
	var l *LimitError
	if !errors.As(err, &l) || l.What != "nesting" {
		t.Errorf("got %v, want a nesting limit", err)
	}
	if memory > hostileMemory || took > hostileTime && !raceEnabled {
		t.Errorf("took %v and %d bytes", took, memory)
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
	start := time.Now()
	if _, err := tmpl.Render(ctx, nil, Options{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the context's error", err)
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("took %v to notice", took)
	}
}
