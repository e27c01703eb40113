"""Writes snippets.jsonl: small templates and what jinja2 makes of them.

The environment is the one that transformers uses for chat templates, less its
generation tag. Run it with jinja2 3.1.6:  python3 make_snippets.py > snippets.jsonl
With two numbers (seed, count) it writes only that many random expressions.
"""

import datetime
import json
import random
import re
import sys

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[jinja2.ext.loopcontrols])
env.filters["tojson"] = tojson
env.globals["raise_exception"] = raise_exception
env.globals["strftime_now"] = lambda f: datetime.datetime(2026, 1, 2, 3, 4, 5).strftime(f)

CTX = {
    "s": "Hello, wörld!",
    "e": "",
    "n": 7,
    "f": 2.5,
    "b": True,
    "z": None,
    "l": [3, 1, 2],
    "w": ["b", "A", "c"],
    "d": {"b": 1, "a": {"x": [1, 2]}, "items": 5},
    "big": 12345678901234567890,
    "lines": "a\n\n  b\r\nc",
    "m": [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": 1}]},
        {"role": "user", "content": "x < y & 'z'"},
    ],
}

ATOMS = ["s", "e", "n", "f", "b", "z", "l", "w", "d", "big", "m", "nope", "'ab'", "'a,b,c'", "0", "1", "-3", "1.0",
         "1e20", "0.1", "true", "none", "[]", "{}", "[1,'x',none]", "(1,)", "(1,2)", "{'k': 1.5}", "m[0]", "d.a",
         "s[1]", "l[-1]", "range(3)", "'é\\n\"'", "' pad '", "'3'", "'12.5'", "[[1,2],[3,4]]", "d.items()"]
OPS = ["+", "-", "*", "/", "//", "%", "~", "==", "!=", "<", ">=", "in", "not in", "and", "or"]
FILTERS = ["length", "upper", "lower", "title", "capitalize", "trim", "first", "last", "list", "sort", "unique|list",
           "reverse|list", "reverse", "join('-')", "join", "int", "float", "abs", "round", "round(1)", "string",
           "tojson", "tojson(indent=2)", "tojson(sort_keys=true)", "tojson(separators=(',',':'))", "default('D')",
           "default('D', true)", "replace('a','b')", "indent", "indent(2, true)", "escape", "safe", "items|list",
           "dictsort", "map('string')|list", "map('upper')|join", "select|list", "reject|list",
           "select('string')|list", "selectattr('role')|list|length", "map(attribute='role')|list", "batch(2)|list",
           "slice(2)|list", "min", "max", "sum", "wordcount", "center(9)", "truncate(5)", "tojson(ensure_ascii=true)",
           "groupby('role')", "count", "attr('role')", "urlencode", "format(1)"]
TESTS = ["defined", "undefined", "none", "string", "number", "mapping", "iterable", "sequence", "boolean", "true",
         "false", "integer", "float", "callable", "odd", "even", "lower", "upper", "divisibleby 3", "eq 1", "in [1,2]",
         "sameas none", "ne 1", "gt 1", "le 2", "not none", "not string", "escaped", "filter", "test"]
METHODS = ["strip()", "strip('H!')", "lstrip()", "rstrip('b')", "split()", "split(',')", "split(',', 1)",
           "rsplit(',', 1)", "splitlines()", "startswith('H')", "endswith(('b','!'))", "upper()", "lower()", "title()",
           "capitalize()", "swapcase()", "find('l')", "rfind('l')", "index('z')", "count('l')", "replace('l','L',1)",
           "isdigit()", "isalpha()", "isalnum()", "isspace()", "islower()", "isupper()", "istitle()", "zfill(4)",
           "center(8,'*')", "ljust(4)", "rjust(4)", "partition(',')", "rpartition(',')", "removeprefix('a')",
           "removesuffix('b')", "join(['x','y'])", "items()", "keys()", "values()|list", "get('b')", "get('q', 9)",
           "copy()", "append(1)", "pop()", "update({})", "index(1)", "count(1)", "expandtabs()", "casefold()",
           "__class__", "__class__.__mro__", "_x", "format(1,2)", "role", "content", "real", "keys", "isidentifier()",
           "isnumeric()", "isdecimal()", "isascii()", "isprintable()"]
SLICES = ["[0]", "[-1]", "[1:]", "[:-1]", "[::-1]", "[::2]", "[5:2:-1]", "[99]", "['role']", "['b']", "['items']",
          "[1:2]", "[-2:]", "[:99]", "[none:2]", "[true]", "['a']['x']", "[1.0]"]

HAND = r"""
a{% if true %}b{% endif %}c
  {% if true %}  x  {% endif %}  y
  {%- if true -%}  x  {%- endif -%}  y
x  {%+ if true %}\nb{% endif +%}\n c
{# c #}\n x {#- c -#} y
a {{- 1 -}} b {{ 2 }}\n\nc\n
{% raw %}{{ x }}{% if %}{% endraw %}z
  {%- raw -%}  a {{ b }} {%- endraw -%}  z
{% raw %}\n a\n  {% endraw %}\nz
{% for i in [1,2,3] %}{{ loop.index }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }};{% endfor %}
{% for i in l if i > 1 %}{{ loop.index }}/{{ loop.length }}:{{ i }} {{ loop.previtem }}{{ loop.nextitem }};{% else %}none{% endfor %}
{% for i in [] %}x{% else %}none{{ loop }}{% endfor %}
{% for a, b in d.items() %}{{ a }}={{ b }};{% endfor %}
{% for a, (b, c) in [(1,(2,3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}
{% for a, b in [[1,2],[3]] %}{{ a }}{% endfor %}
{% for a, b in [[1,2,3]] %}{{ a }}{% endfor %}
{% for i in range(10) %}{% if i == 2 %}{% continue %}{% elif i > 4 %}{% break %}{% endif %}{{ i }}{% endfor %}
{% for i in 'añb' %}{{ loop.cycle('x','y') }}{{ i }}{% endfor %}
{% for i in [1,1,2] %}{{ loop.changed(i) }}{% endfor %}
{% for i in 5 %}{% endfor %}
{% for i in nope %}x{% endfor %}ok
{% for i in nope.x %}x{% endfor %}ok
{% for i in [1,2] %}{% for j in [3] %}{{ loop.index }}{{ loop.depth }}{% endfor %}{{ loop.index }}{% endfor %}
{% for x in [1,2] %}{{ y is defined }}{% set y = x %}{{ y }}{% endfor %}{{ y is defined }}
{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}
{% set x = 1 %}{% for i in [1,2] %}{{ x }}{% set x = x + 1 %}{{ x }}{% endfor %}{{ x }}
{% set ns = namespace(a=1, b='x') %}{% for i in [1,2] %}{% set ns.a = ns.a + i %}{% endfor %}{{ ns.a }}{{ ns.b }}{{ ns.c }}
{% set q.a = 1 %}
{% set s.a = 1 %}
{% set a, b = 1, 2 %}{{ a }}{{ b }}
{% set a, b = [1] %}{{ a }}
{% set x %}ab{{ n }}{% endset %}{{ x|upper }}{{ x|length }}
{% set x | upper | replace('B','-') %}ab{{ n }}{% endset %}{{ x }}
{% set x = 1, 2 %}{{ x }}
{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a }}
{% with a = 1 %}{% set a = 2 %}{{ a }}{% endwith %}{{ a is defined }}
{% macro f(a, b=2, c='x') %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ f(1) }}|{{ f(1, 3) }}|{{ f(1, c=5) }}|{{ f() }}
{% macro f(a) %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1, 2, 3, z=4) }}
{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1, 2) }}
{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1, b=2) }}
{% macro f(a) %}{{ a }}{% endmacro %}{{ f.name }}{{ f.arguments }}{{ f }}
{% macro f(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ f(1) }}
{% macro f() %}{{ caller(1) }}{% endmacro %}{% call(x) f() %}[{{ x }}]{% endcall %}
{% macro f() %}{{ caller() }}{% endmacro %}{{ f() }}
{% macro f() %}{{ n }}{{ x }}{% endmacro %}{% set x = 5 %}{{ f() }}
{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}
{% macro f(x) -%} {{ x }} {%- endmacro %}[{{ f('a') }}]
{% filter upper %}a{{ n }}b{% endfilter %}
{% filter trim | upper %}  a {% endfilter %}
{% print 1, 'a' %}
{% do 1 %}
{% unknown %}
{% if %}{% endif %}
{% if true %}
{% endif %}
{% for i in [1] %}{% endif %}{% endfor %}
{{ 1 +  }}
{{ (1, 2 }}
{{ [1, 2) }}
{{ 'abc }}
{{ 1 2 }}
{{ }}
{{ a.1 }}{{ l.1 }}
{{ $ }}
{{ 1 if }}
{% set true = 1 %}
{% set 1 = 2 %}
{{ x is nope }}
{{ x|nope }}
{% if false %}{{ x|nope }}{% endif %}ok
{% if true %}{{ x|nope }}{% endif %}ok
{{ x|nope if false else 'ok' }}
{{ 'ok' if true else x|nope }}
{{ x is nope is nope }}
{{ 1 if false }}|{{ (1 if false).x }}
{{ 'a' 'b' }}
{{ "\x41\u00e9\t\q\101" }}
{{ 'a\\nb\'' }}
{{ 1_000 + 0x1f + 0b11 + 0o17 }}{{ 1_0.5 }}{{ 1e3 }}{{ 1.5E-7 }}
{{ 1 < 2 < 3 }}{{ 1 < 3 < 2 }}{{ 1 == 1.0 }}{{ true == 1 }}
{{ not true }}{{ not not e }}{{ not n == 7 }}
{{ 2 ** 3 ** 2 }}{{ -2 ** 2 }}{{ 2 ** -1 }}{{ -7 // 2 }}{{ -7 % 3 }}{{ 7 % -3 }}{{ -7.5 % 2 }}{{ 7.5 // 2 }}
{{ 1 / 0 }}
{{ 1 // 0 }}
{{ 1 % 0 }}
{{ 1.0 / 0 }}
{{ 10 ** 20 }}{{ big + 1 }}{{ big * big }}{{ big // 7 }}{{ big % 1000 }}{{ -big }}
{{ 9223372036854775807 + 1 }}{{ -9223372036854775807 - 2 }}
{{ 'a' ~ 1 ~ none ~ 1.5 ~ nope ~ [1] }}
{{ 'a' + 1 }}
{{ 1 + 'a' }}
{{ 'ab' * 2 }}{{ 2 * 'ab' }}{{ [1] * 2 }}{{ 'a' * -1 }}
{{ 'a' * 'b' }}
{{ [1] + (2,) }}
{{ nope + 1 }}
{{ nope.x }}
{{ nope() }}
{{ nope[0] }}
{{ m[0].nope.x }}
{{ l.append(4) }}
{{ l.append }}|
{{ d.pop('a') }}
{{ d.update({'z': 1}) }}
{{ ''.__class__ }}|
{{ ''.__class__.__mro__ }}
{{ ''['__class__'] }}|
{{ s|attr('__class__') }}|
{{ {}.__class__.__base__ }}
{{ nope.__class__ }}|
{{ range.__globals__ }}|
{{ d.items }}
{{ d['items'] }}|{{ d.b }}|{{ d['keys'] is defined }}
{{ [nope, none, true, 1.0, 'a', "it's", 'q"\'', 'é', '\x00\x7f\u200b\xad\n'] }}
{{ {'a': 1, 2: (1,), none: [], 1.5: {}} }}{{ (1,) }}{{ () }}
{{ {1: 'a', true: 'b', 1.0: 'c'} }}
{{ {[]: 1} }}
{{ 1e16 }}{{ 1e15 }}{{ 0.0001 }}{{ 0.00001 }}{{ 1e100 }}{{ 0.1 + 0.2 }}{{ -0.0 }}{{ 1e308 * 10 }}{{ 123456789.123 }}
{{ s|length }}{{ s[7] }}{{ s[-6:] }}{{ s[::-1] }}{{ s.upper() }}{{ s.find('w') }}
{{ 'straße ǆ ŉ'|upper }}{{ 'ΑΣ ΣΑΣ'|lower }}{{ 'ǆabc'|capitalize }}{{ "they're bill's"|title }}{{ "they're bill's".title() }}
{{ ' a\u00a0\x1c'.strip() }}|{{ 'a\x1cb\x85c\u2028d'.splitlines() }}
{{ '%s %d %5.2f %r %x %%' % ('a', 3.7, 2.345, 'q', 255) }}
{{ '%(a)s' % {'a': 1} }}{{ '%-5s|%05d|%+d' % ('a', 42, 3) }}
{{ '%s' % (1, 2) }}
{{ '%s %s' % 1 }}
{{ '%d' % 'a' }}
{{ '%s'|format('x') }}{{ '%(k)s'|format(k=1) }}{{ '%s'|format }}
{{ '{} {}'.format(1, 'a') }}{{ '{1}{0}'.format(1, 2) }}{{ '{a:>5}|{b:<4}|{c:^5}'.format(a=1, b='x', c='y') }}
{{ '{:.2f} {:,} {:05d} {:x} {:e} {:%}'.format(1.005, 1234567, 42, 255, 12345.678, 0.25) }}
{{ '{0.role}{0[content]}'.format(m[0]) }}
{{ '{0.__class__}'.format('a') }}|
{{ '{0.__class__.x}'.format('a') }}
{{ '{' .format() }}
{{ '{}'.format() }}
{{ '{!r:>6}'.format('a') }}{{ '{{}}'.format() }}{{ '{:{}}'.format('a', 5) }}|
{{ [1, 2]|join(', ') }}{{ m|join(',', attribute='role') }}{{ 'abc'|join('-') }}
{{ m|map(attribute='content')|list }}{{ m|map(attribute='tool_calls', default='-')|list }}
{{ m|selectattr('content', 'string')|map(attribute='content')|join('|') }}
{{ m|selectattr('tool_calls', 'undefined')|list|length }}{{ m|rejectattr('role', 'equalto', 'user')|list|length }}
{{ m|selectattr('nope')|list }}{{ m|selectattr('role', 'in', ['user'])|list|length }}
{{ m|selectattr('role', 'nope')|list }}
{{ m|map('nope')|list }}
{{ m|map|list }}
{{ m|selectattr|list }}
{{ m|selectattr('role')|length }}
{{ (m|selectattr('role'))[0] }}|{{ 'yes' if m|selectattr('nope') else 'no' }}
{% set g = m|map(attribute='role') %}{{ g|list }}{{ g|list }}
{{ [1,2,3]|select('odd')|list }}{{ [1,2,3]|reject('gt', 1)|list }}{{ [0,1,'']|select|list }}
{{ w|sort }}{{ w|sort(case_sensitive=true) }}{{ w|sort(reverse=true) }}{{ m|sort(attribute='role')|map(attribute='role')|list }}
{{ [1,'a']|sort }}
{{ [{'a':1,'b':2},{'a':1,'b':1}]|sort(attribute='a,b') }}
{{ ['a','A','b']|unique|list }}{{ ['a','A']|unique(true)|list }}{{ [1,1.0,true]|unique|list }}
{{ d|dictsort }}
{{ {'b':1,'A':2}|dictsort }}{{ {'b':1,'A':2}|dictsort(true) }}{{ {'b':1,'a':2}|dictsort(by='value') }}
{{ m|groupby('role') }}{% for r, ms in m|groupby('role') %}{{ r }}{{ ms|length }}{% endfor %}{% for g in m|groupby('role') %}{{ g.grouper }}{{ g.list|length }}{% endfor %}
{{ 2.5|round }}{{ 3.5|round }}{{ 2.675|round(2) }}{{ 42|round }}{{ 42.7|round(0, 'floor') }}{{ 42.1|round(0,'ceil') }}{{ 1234|round(-2) }}{{ 2.345|round(1,'floor') }}
{{ '12abc'|int }}{{ ' 12 '|int }}{{ '0x1f'|int(0, 16) }}{{ '1_000'|int }}{{ '3.9'|int }}{{ 3.9|int }}{{ none|int(5) }}{{ 'x'|int(none) }}{{ -3.9|int }}
{{ 'inf'|float }}{{ 'x'|float(1.5) }}{{ '1e3'|float }}{{ true|int }}{{ [] |int }}
{{ nope|int }}
{{ nope|float }}
{{ nope|length }}{{ nope|list }}{{ nope|upper }}{{ nope|string }}{{ nope|join }}{{ nope|first is defined }}{{ nope|items|list }}
{{ nope|tojson }}
{{ nope|abs }}
{{ 5|length }}
{{ none|list }}
{{ none|items|list }}
{{ m|tojson }}
{{ m|tojson(indent=2) }}
{{ {'é': '\u2028<>&\'', 'a': [1.0, 1e20, none, true, big]}|tojson }}
{{ {1: 2, none: 3, true: 4, 1.5: 5}|tojson }}
{{ {(1,2): 3}|tojson }}
{{ [(1,2), range(2)]|tojson }}
{{ (1,2)|tojson }}{{ []|tojson(indent=1) }}{{ [[], {}, [1]]|tojson(indent=1) }}
{{ {'b':1,'a':2}|tojson(sort_keys=true, separators=(',',':')) }}{{ '\x7f\x1f\b\f/'|tojson }}{{ '😀é'|tojson(ensure_ascii=true) }}
{{ 'a\nb\n\nc'|indent(2) }}|{{ 'a\nb\n\nc'|indent(2, true, true) }}|{{ 'a\nb'|indent('> ') }}|{{ 'a\n'|indent }}|
{{ '<b>&"\''|e }}{{ '<'|safe|e }}{{ '<'|e|e }}{{ ('<'|e) + '<' }}{{ '<' + ('<'|e) }}{{ ('<'|e) ~ '<' }}
{{ ['<'|e] }}{{ ('a'|safe).upper() is escaped }}{{ ('a'|safe)|upper is escaped }}
{{ '%s'|safe|string is escaped }}
{{ 'a b c d e f g h'|truncate(9) }}{{ 'a b c d e f g h i j'|truncate(9, true) }}{{ 'abcdef'|truncate(3, end='', leeway=0) }}
{{ [1,2,3,4,5]|batch(2, '-')|list }}{{ [1,2,3,4,5]|slice(3)|list }}{{ [1,2,3,4,5]|slice(2, 0)|list }}{{ [1,2,3]|batch(2)|map('list')|list }}
{{ [1,2]|sum }}{{ [[1],[2]]|sum(start=[]) }}{{ m|map(attribute='role')|map('length')|sum }}
{{ [2,1]|min }}{{ ['b','A']|max }}{{ []|min }}{{ m|max(attribute='role') }}
{{ [1,[2,[3]]][1][1][0] }}{{ d['a']['x'][-1] }}{{ d.a.x.1 }}
{{ l == [3,1,2] }}{{ (1,2) == [1,2] }}{{ {'a':1} == {'a':1.0} }}{{ [1] < [1,2] }}{{ (1,'a') < (1,'b') }}
{{ [1] < 2 }}
{{ none < 1 }}
{{ 'a' < 1 }}
{{ 1 in l }}{{ 'll' in s }}{{ 'b' in d }}{{ 2 in range(3) }}{{ none in [none] }}{{ 1 in d.items() }}
{{ 1 in 'a' }}
{{ 1 in 5 }}
{{ 1 in nope }}
{{ nope == nope2 }}{{ nope == none }}{{ nope != 1 }}{{ nope is none }}{{ nope in [1] }}
{{ nope < 1 }}
{{ nope and 1 }}|{{ nope or 1 }}|{{ 0 or none }}|{{ 1 and 2 }}|{{ e or 'x' }}
{{ range(5)|list }}{{ range(1,5,2)|list }}{{ range(5,0,-2)|list }}{{ range(3) }}{{ range(1,9,3) }}{{ range(5)[-1] }}{{ range(10)[2:8:3]|list }}
{{ range(1000000) }}
{{ range(1.5) }}
{{ range(1,2,0) }}
{{ dict(a=1, b=2) }}{{ dict({'a': 1}, c=3) }}{{ dict([('x', 1)]) }}
{{ dict(a=1)|items|list }}{{ dict() }}{{ namespace(a=1) }}
{% set c = cycler('a','b') %}{{ c.next() }}{{ c.current }}{{ c.next() }}{{ c.next() }}
{% set j = joiner('|') %}{{ j() }}a{{ j() }}b
{{ strftime_now('%Y-%m-%d %H:%M:%S %A %B %d %j %p %I %y %a %b %e %-d %-m %%') }}
{{ raise_exception('x') }}
{{ raise_exception(message='x') }}
{{ s.split('o') }}{{ 'a b  c'.split(' ') }}{{ ' a  b '.split() }}{{ ' a  b c'.split(none, 1) }}{{ ' a  b c '.rsplit(none, 1) }}{{ 'a,b,c'.rsplit(',', 1) }}{{ ''.split() }}{{ ''.split(',') }}{{ 'abc'.split(sep='b', maxsplit=1) }}
{{ 'a'.split('') }}
{{ 'a'.split(1) }}
{{ 'aaa'.replace('a', 'b', 2) }}{{ 'abc'.replace('', '-') }}{{ 'aaa'|replace('a','b',1) }}{{ 'a1'|replace(1,2) }}
{{ 'x'.join([1]) }}
{{ 'x'.nope }}|{{ 'x'.nope is defined }}
{{ 'x'.nope() }}
{{ 5() }}
{{ 'x'.upper(1) }}
{{ s.startswith(1) }}
{{ 'abc'.startswith('b', 1) }}{{ 'abc'.endswith('b', 0, 2) }}{{ 'abc'.find('c', -1) }}{{ 'abc'.count('') }}{{ 'abab'.count('ab', 1) }}
{{ 'abc'.index('z') }}
{{ 'abc'.center(6) }}|{{ 'abc'.center(7, '*') }}|{{ 'ab'.center(5, '-') }}|{{ 'a'|center(4) }}|{{ '-5'.zfill(4) }}
{{ 'a\tb'.expandtabs(4) }}{{ 'Ab'.swapcase() }}{{ 'ß'.casefold() }}{{ 'a-b'.partition('-') }}{{ 'x'.rpartition('-') }}
{{ 'A1'.isalnum() }}{{ '²'.isdigit() }}{{ '½'.isnumeric() }}{{ ''.isdigit() }}{{ ''.isascii() }}{{ 'Ab Cd'.istitle() }}
{{ true is boolean }}{{ 1 is true }}{{ 1 is number }}{{ true is number }}{{ true is integer }}{{ 1.0 is float }}{{ d is mapping }}{{ 'a' is iterable }}{{ 5 is iterable }}{{ d is sequence }}
{{ 3 is divisibleby 3 }}{{ 3 is divisibleby(2) }}{{ 1 is odd }}{{ 2 is eq(2) }}{{ 'A' is upper }}{{ 1 is in [1] }}{{ 1 is not in [1] }}{{ 1 is sameas 1 }}{{ 'upper' is filter }}{{ nope is not defined }}
{{ 'a' is odd }}
{{ (1, 2, 3)[1:] }}{{ [1,2,3,4][::-2] }}{{ 'abc'[5:] }}{{ 'abc'[-99:2] }}{{ l[1:][0] }}
{{ 'abc'[::0] }}
{{ 'abc'['x'] }}|{{ l['x'] }}|{{ l[99] is defined }}|{{ l['append'] is defined }}|{{ 5[0] }}|{{ none.x }}|{{ none['x'] }}
{{ none.x.y }}
{{ l.x.y }}
{{ l[9].y }}
{{ d.q.y }}
{{ (1).real }}{{ 5.5.is_integer() }}{{ true.real }}
{{ f(*[1]) }}
{{ dict(**{'a': 1}) }}{{ '{}{}'.format(*[1,2]) }}{{ '%s'|format(*['x']) }}
{{ m[0] | tojson | length }}{{ -1|abs }}{{ (-1)|abs }}{{ 1 + 2|string|length }}{{ 'a' ~ 'b'|upper }}{{ not 'a' in 'b' }}
{{ 1 if true else 2 if false else 3 }}{{ (1 if false else 2) }}{{ [1 if true else 2] }}
{{ {'a': {'b': 1}}.a.b }}{{ {'a': 1}['a'] }}{{ '}}' }}{{ '%}' }}{{ {'a': {}} }}
{{ "a" }}{{ 'tab\there' }}{{ 'uni\N' }}
{%- set x = [] -%}{{ x + [1] }}
{%- for k in d -%}{{ k }}{%- if not loop.last -%},{%- endif -%}{%- endfor -%}
{% if a is defined and a %}1{% elif n == 7 and not e %}2{% else %}3{% endif %}
\n\n{% if true %}\n\n  x\n{% endif %}\n\n
{{ '' }}\n{{ 'x' }}\n\n
    {# a #}    {% set y = 1 %}    \n    {{ y }}
{%if n==7-%}  t{%endif-%}  u
{{-1}}{{- 1}}{{ 1 -1 }}{{ 1 - -1 }}
a{%- endraw %}
{% endfor %}
{# unclosed
{% raw %}x
{{ 1
{% if x
{{ x | }}
{{ x. }}
{{ x[ }}
{{ f(a=1, 2) }}
{{ f(*a, *b) }}
{% macro f(a=1, b) %}{% endmacro %}
{% macro 1() %}{% endmacro %}
{% call n %}{% endcall %}
{% for %}{% endfor %}
{% for x of y %}{% endfor %}
{% set %}{% endset %}
{% break %}
{% block a %}x{% endblock %}
""".strip("\n").split("\n")


# What the interpreter supports beside ATOMS and SLICES: chosen more often than what it refuses.
KEPT_OPS = ["+", "-", "*", "//", "%", "~", "==", "!=", "<", ">=", "in", "not in", "and", "or"]
KEPT_FILTERS = ["length", "count", "upper", "lower", "title", "capitalize", "trim", "trim('H!')", "first", "last", "list",
                "sort", "unique|list", "join('-')", "join", "int",
                "int(9)", "string", "tojson", "tojson(indent=2)", "tojson(separators=(',',':'))",
                "tojson(ensure_ascii=false)", "default('D')", "default('D', true)", "d([])", "replace('a','b')",
                "replace('l', 'LL')", "indent", "indent(2, true)", "indent('> ')", "safe", "items|list", "dictsort",
                "map('string')|list", "map('upper')|join", "map(attribute='role')|list",
                "map(attribute='x.0')|list", "select|list", "reject|list", "select('string')|list", "reject('none')|list",
                "select('in', [1, 3])|list", "selectattr('role')|list|length", "format(1)", "list|tojson",
                "selectattr('role', 'equalto', 'user')|list|length", "rejectattr('content', 'none')|list|length",
                "string|length", "first|default('-')"]
KEPT_TESTS = ["defined", "undefined", "none", "string", "number", "mapping", "iterable", "sequence", "boolean", "true",
              "false", "integer", "float", "odd", "even", "eq 1", "in [1,2]", "ne 1", "not none", "not string",
              "equalto 'ab'", "not defined"]
KEPT_METHODS = ["strip()", "strip('H!')", "lstrip()", "lstrip('a')", "rstrip('b')", "rstrip()", "split()", "split(',')",
                "split(',', 1)", "split('l')[-1]", "startswith('H')", "endswith('!')", "upper()", "lower()", "title()",
                "capitalize()", "replace('l','L')", "replace('a','')", "join(['x','y'])", "items()", "keys()",
                "values()|list", "get('b')", "get('q', 9)", "append(1)", "pop()", "update({})", "__class__",
                "__class__.__mro__", "_x", "role", "content", "keys", "items()|list", "keys()|list"]

# Snippets of what stays, one a line.
MORE = r"""
{% macro f(a, b=1) %}{{ a }}{{ b }}{% endmacro %}{{ f(*[1, 2]) }}{{ f(*'xy') }}
{% macro f(a) %}{{ a }}{% endmacro %}{{ f(a=1, *[2]) }}
{% set fs = [f, g] %}{% macro f() %}x{% endmacro %}{% macro g() %}y{% endmacro %}{{ fs }}
{% macro f() %}f{% endmacro %}{% macro g() %}g{% endmacro %}{% set fs = [f, g] %}{{ fs[1]() }}{{ fs[0]() }}
{% macro f(x) %}{% for i in x %}{{ i }}{% if i is iterable and i is not string %}{{ f(i) }}{% endif %}{% endfor %}{% endmacro %}{{ f([[1], [2, [3]]]) }}
{% for i in l if i != 1 %}{{ loop.index }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.length }}{{ loop.last }};{% endfor %}
{% set ns = namespace(on=true) %}{% for i in l if ns.on %}{{ i }}{% set ns.on = false %}{% endfor %}
{% for i in l %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }}{{ loop.nextitem }};{% endfor %}
{% for i in l %}{% set x %}{% break %}{% endset %}{% endfor %}after
{% for i in l %}{% filter upper %}a{{ i }}{% if i == 1 %}{% continue %}{% endif %}b{% endfilter %}{% endfor %}
{% for k, v in d|items %}{{ k }}{{ v }}{% endfor %}{% for k in d.keys() %}{{ k }}{% endfor %}
{% set x | trim %} a {% endset %}[{{ x }}]{% set ns = namespace() %}{% set ns.y %}b{% endset %}{{ ns.y }}
{% if m|selectattr('nope') %}a generator is true{% endif %}
{% set g = m|map(attribute='role') %}{{ g|first }}{{ g|list }}{{ g|list }}
{{ d.items() }}{{ d.keys() }}{{ d.values() }}
{{ d.items()|length }}{{ d.keys()|list }}{{ 'b' in d.keys() }}{{ d.keys()[0] }}|
{{ d.keys() == ['b', 'a', 'items'] }}{{ d.keys() is sequence }}{{ d.keys() is iterable }}
{{ ('<' | safe) + '<' }}{{ '<' + ('<' | safe) }}{{ ('<' | safe) + ('<' | safe) }}
{{ ('<' | safe) ~ '<' }}{{ ('<' | safe) == '<' }}{{ ('a' | safe) is string }}{{ ('a' | safe) | tojson }}
{{ big }}{{ big | tojson }}{{ [big] }}{{ big | string | length }}{{ big is integer }}{{ big == big }}{{ big == 1 }}
{{ {'n': big, 'f': 1e20, 'g': 1.0, 'h': 123456789012345680.0}|tojson }}
{{ 12345678901234567890123 }}{{ 9223372036854775807 }}{{ '123456789012345678901' | int }}
{{ 9223372036854775807 - 1 }}{{ -9223372036854775807 - 1 }}{{ 3037000499 * 3037000499 }}{{ 2 ** 62 }}{{ (-2) ** 63 }}
{{ 7 // 2 }}{{ -7 // 2 }}{{ 7 // -2 }}{{ -7 % 3 }}{{ 7 % -3 }}{{ -7 % -3 }}{{ 0 ** 0 }}{{ (-1) ** 5 }}
{{ 1.5 + 1 }}{{ 2 * 0.1 }}{{ 1 - 0.9 }}{{ 3 / 2 }}{{ 1.0 / 3 }}{{ true + 1 }}
{{ 1 == 1.0 }}{{ true == 1 }}{{ 1.5 > 1 }}{{ 'a' < 'b' }}{{ none == none }}{{ nope == none }}
{{ '%s and %s: %d%%' | format('a', [1], 3.9) }}{{ '%s' % (1,) }}{{ '%s' % [1, 2] }}{{ '%s' % {'a': 1} }}
{{ '%s %s' % (1,) }}
{{ '%s' % (1, 2) }}
{{ 'a\u00e9\x41\101\q\'"' }}
{{ 'ß ﬁ ǆ' | upper }}{{ 'ΑΣ' | lower }}{{ 'ὈΔΥΣΣΕΎΣ ΑΣ' | lower }}{{ 'ß' | capitalize }}{{ 'ǆa' | title }}{{ "it's ﬁne" | title }}{{ "it's ßo".title() }}
{{ strftime_now('%Y-%m-%d %H:%M:%S %y %B %b %A %a %d %-d %e %j %I %p %F %T %D %R %c %x %X %%') }}
{{ 'aXbXc'.split('X') }}{{ 'aXbXc'.split('X', 1) }}{{ 'a'.split('X') }}{{ ' a  b '.split() }}{{ ' a  b '.split(none) }}{{ ''.split() }}{{ ''.split('x') }}{{ 'abc'.split(sep='b') }}
{{ 'a\nb\r\nc\rd\u2028e\x85f\n'.splitlines() }}
{{ 'wörld'.find('l') }}{{ 'abc'.find('z') }}{{ 'abc'.find('') }}
{{ 'abc'.startswith(('x', 'a')) }}{{ 'abc'.endswith('bc') }}{{ 'abc'.startswith('') }}
{{ 'xxabxx'.strip('x') }}{{ 'xxabxx'.lstrip('x') }}{{ 'xxabxx'.rstrip('x') }}{{ ' \u3000a\t'.strip() }}
{{ [1, [2, 'x'], {'a': none, 'b': 1.0}, (1,), true] }}{{ {'a': [1], 2: 'b', none: true} }}
{{ {'b': 1, 'a': {'d': 1, 'c': 2}}|tojson(sort_keys=true) }}{{ {1: 2, none: 3, true: 4, 1.5: 5}|tojson }}
{{ [[], {}, [1, {'a': []}]]|tojson(indent=2) }}{{ [1, 2]|tojson(indent='--') }}{{ {'a': 1}|tojson(separators=(',', ':')) }}
{{ 'é😀\x7f\u2028"\\/'|tojson }}{{ 'é😀\x7f'|tojson(ensure_ascii=true) }}
{{ [1] < [1, 2] }}{{ [1, 'a'] < [2, 1] }}{{ (1,) >= (1,) }}
{{ [{'a': 1, 'b': 2}, {'a': 1, 'b': 1}]|sort(attribute='a,b') }}{{ [{}, {}]|sort(attribute='a') }}
{{ ['b', 'A', 'c']|sort }}{{ ['b', 'A', 'c']|sort(case_sensitive=true) }}{{ [3, 1, 2]|sort(reverse=true) }}{{ [{'a': {'b': 2}}, {'a': {'b': 1}}]|sort(attribute='a.b') }}
{{ {'b': 1, 'A': 2}|dictsort }}{{ {'b': 1, 'A': 2}|dictsort(true) }}{{ {'b': 2, 'a': 1}|dictsort(by='value', reverse=true) }}
{{ {'b': 1}|dictsort(by='x') }}
{{ ['a', 'A', 'b', 'a']|unique|list }}{{ ['a', 'A']|unique(true)|list }}{{ [1, 1.0, true, 2]|unique|list }}
{{ '12' | int }}{{ ' -12 ' | int }}{{ '+1_000' | int }}{{ '3.9' | int }}{{ 'x' | int }}{{ 'x' | int(7) }}{{ none | int(5) }}{{ 3.9 | int }}{{ true | int }}
{{ 2.5 | round }}{{ 3.5 | round }}{{ 2.675 | round(2) }}{{ 42 | round }}{{ -3 | abs }}{{ -2.5 | abs }}{{ true | abs }}
{{ [1, 2, 3]|sum }}{{ m|map(attribute='role')|map('length')|sum }}{{ [{'n': 1}, {'n': 2}]|sum(attribute='n') }}{{ [2, 1]|min }}{{ ['b', 'A']|max }}{{ []|min }}
{{ 'abcdef'[1:-1] }}{{ 'abcdef'[::-2] }}{{ [1, 2, 3, 4][::-1] }}{{ [1, 2, 3, 4][1:3] }}{{ (1, 2, 3)[1:] }}{{ 'wörld'[1:3] }}{{ 'wörld'[-1] }}{{ range(9)[2:8:3]|list }}
{{ range(4)|list }}{{ range(1, 9, 3)|list }}{{ range(5, 0, -2)|list }}{{ range(3)|length }}{{ range(5)[-1] }}{{ 2 in range(3) }}{{ range(0) is sequence }}
{{ dict(a=1, b=2) }}{{ dict({'a': 1}, c=3) }}{{ dict([('x', 1), ['y', 2]]) }}{{ dict(l) }}
{{ x | nope if false else 'ok' }}{% if false %}{{ x | nope }}{% endif %}
""".strip("\n").split("\n")

# What is refused, by name; the Go test pins each.
REFUSED = [f"{{{{ s|{f} }}}}" for f in """abs attr('x') batch(2) center e escape filesizeformat float forceescape groupby('x')
    max min pprint random reverse round slice(2) striptags sum truncate(3) urlencode urlize wordcount wordwrap xmlattr
    """.split()]
REFUSED += [f"{{{{ s is {t} }}}}" for t in """divisibleby(2) escaped filter ge(1) greaterthan(1) gt(1) le(1) lessthan(1) lower
    lt(1) sameas(s) test upper""".split()]
REFUSED += [f"{{{{ l|select('{t}', 1)|list }}}}" for t in "< <= > >=".split()]
REFUSED += [f"{{{{ s.{m} }}}}" for m in """casefold() center(9) count('l') encode() expandtabs() find('l') format(1)
    format_map({}) index('l') removeprefix('H') removesuffix('!') splitlines() isalnum() isalpha() isascii() isdecimal() isdigit() isidentifier() islower() isnumeric() isprintable()
    isspace() istitle() isupper() ljust(9) maketrans('a','b') partition(',') rfind('l') rindex('l') rjust(9)
    rpartition(',') rsplit(',') swapcase() translate({}) zfill(9)""".split()]
REFUSED += [f"{{{{ f {op} 2 }}}}" for op in "+ - * / // % **".split()]
REFUSED += [f"{{% for i in l %}}{{{{ loop.{a} }}}}{{% endfor %}}" for a in "revindex revindex0".split()]
REFUSED += ["{{ {1.5: 2} }}", "{{ {true: 2} }}", "{{ {1: 2}|tojson }}", "{{ w|sort(reverse=true) }}", "{{ w|sort(attribute='x') }}",
            "{{ w|sort(case_sensitive=true) }}", "{{ d|dictsort(reverse=true) }}", "{{ d|dictsort(true) }}",
            "{{ w|unique(true)|list }}", "{{ s|replace('l', 'L', 1) }}", "{{ s.replace('l', 'L', 1) }}",
            "{{ s.startswith(('H', 'x')) }}", "{{ l.0 }}", "{{ '3.9'|int }}", "{{ '1_000'|int }}", "{{ namespace(a=1) }}"]
REFUSED += ["{% for i in 1, 2 %}{% endfor %}", "{{ [1] * 2 }}", "{{ [1] < [2] }}", "{{ (1,) < (2,) }}", "{{ s|tojson(ensure_ascii=true) }}", "{{ '\\101' }}",
            "{{ n|indent }}", "{{ m|sort(attribute='x')|list }}", "{{ '1e999'|int }}", "{{ d.copy() }}", "{{ l.copy() }}", "{{ '%s' % 1 }}", "{{ f(*[1]) }}", "{{ f(caller=1) }}", "{{ dict([[1, 2]]) }}",
            "{{ namespace(d) }}", "{{ x[1, 2] }}", "{{ s|indent(2, true, true) }}", "{{ d|tojson(sort_keys=true) }}",
            "{{ w|join(',', attribute='x') }}", "{{ d|dictsort(by='value') }}", "{{ w|unique(attribute='x') }}",
            "{{ m|sort(attribute='role,content') }}", "{{ m|map(attribute='x', default=1)|list }}", "{{ '%d'|format(1) }}",
            "{% for i in l %}{% set x %}{% break %}{% endset %}{% endfor %}", "{{ strftime_now('%c') }}",
            "{{ strftime_now('%x') }}", "{{ strftime_now('%X') }}", "{{ strftime_now('%D') }}", "{{ strftime_now('%R') }}",
            "{{ l.count(1) }}", "{{ l.index(1) }}", "{{ (1,).count(1) }}", "{{ d.fromkeys('ab') }}", "{{ n.bit_length() }}",
            "{{ f.is_integer() }}", "{{ range(3).start }}", "{{ big + 1 }}", "{{ big < 1 }}", "{{ 9223372036854775807 + 1 }}",
            "{{ 9223372036854775807 * 2 }}", "{{ 2 ** 63 }}", "{{ 2 ** -1 }}", "{{ 7.5 // 2 }}", "{{ 7.5 % 2 }}",
            "{{ 2.0 ** 2 }}", "{{ {(1, 2): 3} }}", "{{ '%5d' % 1 }}", "{{ '%(a)s' % {'a': 1} }}",
            "{{ '%x' % 1 }}", "{{ '%s'|format(a=1) }}", "{{ dict(**{'a': 1}) }}", "{{ 0x1f }}", "{{ 'a\\N{DASH}' }}",
            "{{ ' a b c'.split(none, 1) }}", "{{ 'abc'.startswith('b', 1) }}", "{{ '1f'|int(0, 16) }}",
            "{{ 1.5|round(0, 'ceil') }}", "{{ 15|round(-1) }}", "{{ range(3) }}",
            "{{ m|map(attribute='role') }}", "{{ cycler(1) }}", "{{ joiner() }}", "{{ lipsum() }}", "{{ x[1:2, 3] }}",
            "{{ '١'|int }}", "{{ strftime_now('%U') }}", "{{ (s|safe).upper() }}", "{{ (s|safe) * 2 }}",
            "{% for i in l %}{{ loop.cycle(1, 2) }}{% endfor %}", "{% for i in l %}{{ loop.changed(i) }}{% endfor %}",
            "{% for i in l %}{{ loop.depth }}{% endfor %}", "{% for i in l recursive %}{% endfor %}",
            "{% macro f() %}{{ varargs }}{% endmacro %}", "{% macro f() %}{{ kwargs }}{% endmacro %}",
            "{% macro f(caller=none) %}{% endmacro %}", "{% macro f() %}{% endmacro %}{{ f.name }}",
            "{% include 'x' %}", "{% import 'x' as x %}", "{% from 'x' import y %}", "{% extends 'x' %}",
            "{% block x %}{% endblock %}", "{% autoescape true %}{% endautoescape %}", "{% with a = 1 %}{% endwith %}",
            "{% print 1 %}"]


def record(tpl):
    try:
        out = env.from_string(tpl).render(json.loads(json.dumps(CTX)))
        if re.search("0x[0-9a-f]{8}", out, re.I) or len(out) > 2000:  # an address: not the same twice
            return None
        out.encode()
        return {"tpl": tpl, "out": out}
    except Exception as e:
        return {"tpl": tpl, "err": type(e).__name__ + ": " + str(e)}


def refused(tpl):
    return record(tpl) or {"tpl": tpl, "err": "prints an address"}


def parts(tpl):
    """The outputs of a snippet that has several, each by itself: a refusal of one must not hide the others."""
    one = re.findall(r"\{\{.*?\}\}(?!\})", tpl) if "{%" not in tpl else []
    out = []
    for p in one if len(one) > 1 else []:
        try:
            env.parse(p)
            out.append(p)
        except jinja2.TemplateSyntaxError:
            pass
    return out


def random_expr(r, tables, depth=0):
    ops, filters, tests, methods = tables
    k = r.random()
    if depth > 2 or k < 0.2:
        return r.choice(ATOMS)
    x = random_expr(r, tables, depth + 1)
    if k < 0.4:
        if r.random() < 0.2:
            return f"({r.choice(['n', 'f', '2', '-3', '1.0', 'b'])}) ** ({r.choice(['n', '2', '-1', '0.5', 's', 'nope'])})"
        return f"({x}) {r.choice(ops)} ({random_expr(r, tables, depth + 1)})"
    if k < 0.65:
        return f"({x})|{r.choice(filters)}"
    if k < 0.75:
        return f"({x}) is {r.choice(tests)}"
    if k < 0.9:
        return f"({x}).{r.choice(methods)}"
    cut = r.choice(SLICES)
    if ":" in cut:  # a slice of a constant is folded into undefined
        x = r.choice(ATOMS[:12])
    return f"({x}){cut}"


def main():
    wide = (OPS, FILTERS, TESTS, METHODS)
    kept = (KEPT_OPS, KEPT_FILTERS, KEPT_TESTS, KEPT_METHODS)
    if len(sys.argv) == 3:
        seed, n, hand, more, refusals = int(sys.argv[1]), int(sys.argv[2]), [], [], []
        batches = [(seed, n // 4, wide), (seed, n - n // 4, kept)]
    else:
        hand, more, refusals, batches = HAND, MORE, REFUSED, [(1, 400, wide), (2, 900, kept)]
    print(json.dumps({"ctx": CTX}, ensure_ascii=False))
    tpls = [h.replace("\\n", "\n") if "{{ '" not in h or h.startswith("\\n") else h for h in hand]
    tpls += more
    for seed, n, tables in batches:
        r = random.Random(seed)
        tpls += ["{{ " + random_expr(r, tables) + " }}" for _ in range(n)]
    tpls += [p for h in hand + more for p in parts(h)]
    for rec in [record(t) for t in dict.fromkeys(tpls)] + [refused(t) for t in refusals]:
        if rec:
            print(json.dumps(rec, ensure_ascii=False))


main()
