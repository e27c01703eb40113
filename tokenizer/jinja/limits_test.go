package jinja

import (
	"errors"
	"strings"
	"testing"
)

// TestLimits: each limit holds by itself, and its error names it, its size and the line.
func TestLimits(t *testing.T) {
	for _, tt := range []struct {
		what, tpl string
		limits    Limits
		line      int
	}{
		{"source bytes", strings.Repeat("x", 65), Limits{Source: 64}, 0},
		{"nesting", "\n{{ ((((((1)))))) }}", Limits{Nesting: 8}, 2},
		{"nesting", strings.Repeat("{% if 1 %}\n", 9), Limits{Nesting: 8}, 7},
		{"depth", "{% macro f(n) %}\n{{ f(n + 1) }}{% endmacro %}{{ f(1) }}", Limits{Depth: 40}, 2},
		{"depth", "\n{{ [[[[[[1]]]]]] }}", Limits{Depth: 5}, 2},
		{"steps", "{% for i in range(1000) %}\n{% set x = i %}{% endfor %}", Limits{Steps: 500}, 1},
		{"memory", "\n{{ 'ab' * 1000 }}", Limits{Memory: 1000}, 2},
		{"output", "{% for i in range(100) %}\n{{ '0123456789' }}{% endfor %}", Limits{Output: 500}, 2},
	} {
		tmpl, err := Parse(tt.tpl, tt.limits)
		if err == nil {
			_, err = tmpl.Render(t.Context(), nil, Options{})
		}
		var over *LimitError
		if !errors.As(err, &over) || over.What != tt.what {
			t.Errorf("%q gives %v, want the limit of %s", tt.tpl, err, tt.what)
			continue
		}
		if over.Limit <= 0 || over.Line != tt.line && tt.what != "steps" {
			t.Errorf("%q: limit %d at line %d, want line %d", tt.tpl, over.Limit, over.Line, tt.line)
		}
	}
}

// TestRangeLimit is the sandbox's own, with its words.
func TestRangeLimit(t *testing.T) {
	tmpl, err := Parse("{{ range(11)|list }}", Limits{Range: 10})
	if err != nil {
		t.Fatal(err)
	}
	_, err = tmpl.Render(t.Context(), nil, Options{})
	if err == nil || !strings.Contains(err.Error(), "OverflowError: Range too big. The sandbox blocks ranges larger than MAX_RANGE (10).") {
		t.Errorf("got %v", err)
	}
}

// TestAllowanceGrows: the same loop over the messages fits however many there are.
func TestAllowanceGrows(t *testing.T) {
	tmpl, err := Parse("{% for m in messages %}{{ m.content|trim|upper|lower }}{% endfor %}", Limits{Steps: 1000, Memory: 1000, Output: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 10, 100, 1000} {
		l := &List{}
		for range n {
			m := NewDict()
			m.Set("content", strings.Repeat("héllo ", 20))
			l.Items = append(l.Items, m)
		}
		vars := NewDict()
		vars.Set("messages", l)
		r := newRender(t.Context(), tmpl.limits, vars, Options{})
		if _, err := tmpl.run(r); err != nil {
			t.Errorf("%d messages: %v", n, err)
		}
		if used := r.limits.Steps - r.steps; used > r.limits.Steps/2 {
			t.Errorf("%d messages used %d of %d steps", n, used, r.limits.Steps)
		}
	}
}

// TestRepeatable: a render changes neither the template nor the variables, and uses as much the second time.
func TestRepeatable(t *testing.T) {
	const tpl = "{% set ns = namespace(n=0) %}{% for k, v in d|dictsort %}{% set ns.n = ns.n + v %}{{ k }}{% endfor %}{{ ns.n }}{{ l|sort }}{{ d|tojson }}{{ l }}"
	vars, err := FromJSON([]byte(`{"d": {"b": 2, "a": 1}, "l": [3, 1, 2]}`))
	if err != nil {
		t.Fatal(err)
	}
	tmpl, err := Parse(tpl, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var first *render
	for range 3 {
		r := newRender(t.Context(), tmpl.limits, vars.(*Dict), Options{})
		got, err := tmpl.run(r)
		if want := `ab3[1, 2, 3]{"b": 2, "a": 1}[3, 1, 2]`; err != nil || got != want {
			t.Fatalf("got %q, %v; want %q", got, err, want)
		}
		if first == nil {
			first = r
		}
		if r.steps != first.steps || r.memory != first.memory || r.output != first.output {
			t.Errorf("left %d steps, %d bytes, %d of output; at first %d, %d, %d", r.steps, r.memory, r.output, first.steps, first.memory, first.output)
		}
	}
}
