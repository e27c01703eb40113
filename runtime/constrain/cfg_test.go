package constrain_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/runtime/constrain"
)

var grammars = []struct {
	source   string
	yes, not []string
}{
	{ // as llama.cpp's documentation has it
		"root ::= (expr \"=\" ws term \"\\n\")+\nexpr ::= term ([-+*/] term)*\nterm ::= ident | num | \"(\" ws expr \")\" ws\nident ::= [a-z] [a-z0-9_]* ws\nnum ::= [0-9]+ ws # a number\nws ::= [ \\t\\n]*",
		[]string{"a+b=3\n", "(1*(2 -x)) = 4\na=b\n"},
		[]string{"", "a+=3\n", "(a=1\n", "a+b=3"},
	},
	{ // what is recursive on the right may be long
		"root ::= item\nitem ::= \"a\" item |\n  \"b\"",
		[]string{"b", strings.Repeat("a", 500) + "b"},
		[]string{"a", "ba"},
	},
	{
		"root ::= \"x\"{2,3} [^\"\\\\\\n\\x41\\u0042]? . \"\\\"\"{2} # end",
		[]string{"xxC\"\"", "xxxC☃\"\"", "xxé!\"\""},
		[]string{"xA\"\"", "xxAA\"\"", "xxBB\"\"", "xx\"\""},
	},
	{ // what is nothing is nothing, however often
		"root ::= \"\"{1000}{1000}{1000}{1000}{1000} \"\"{0,1000}{0,1000}{0,1000} [\\[\\]x[\\-]",
		[]string{"[", "]", "x", "-"},
		[]string{"", "\\", "[["},
	},
	{ // of vLLM's documentation
		"root ::= select_statement\nselect_statement ::= \"SELECT \" column \" from \" table \" where \" condition\ncolumn ::= \"col_1 \" | \"col_2 \"\ntable ::= \"table_1 \" | \"table_2 \"\ncondition ::= column \"= \" number\nnumber ::= \"1 \" | \"2 \"",
		[]string{"SELECT col_1  from table_2  where col_2 = 1 "},
		[]string{"SELECT col_3  from table_2  where col_2 = 1 "},
	},
	{ // of outlines' documentation
		"?start: expression\n\n?expression: term ((\"+\" | \"-\") term)*\n\n?term: factor ((\"*\" | \"/\") factor)*\n\n?factor: NUMBER\n       | \"-\" factor\n       | \"(\" expression \")\"\n\n%import common.NUMBER\n",
		[]string{"1+2*(3-4.5e3)", "--1", "((((1))))"},
		[]string{"1+", "()", "1 + 2", ""},
	},
	{ // Lark's calculator: recursive on the left, with what is ignored
		"start: sum\n?sum: product\n    | sum \"+\" product   -> add\n    | sum \"-\" product   -> sub\n?product: atom\n    | product \"*\" atom  -> mul\n?atom: NUMBER -> number\n     | \"-\" atom\n     | NAME\n     | \"(\" sum \")\"\n%import common.CNAME -> NAME\n%import common.NUMBER\n%import common.WS_INLINE\n%ignore WS_INLINE\n",
		[]string{"1+2", " 1 +  x_1*(3 - -2)\t", strings.Repeat("1+", 200) + "1"},
		[]string{"1+\n2", "1 2", "(", "1++2"},
	},
	{ // its JSON
		"start: value\n?value: object | array | string | SIGNED_NUMBER -> number | \"true\" | \"false\" | \"null\"\narray  : \"[\" [value (\",\" value)*] \"]\"\nobject : \"{\" [pair (\",\" pair)*] \"}\"\npair   : string \":\" value\nstring : ESCAPED_STRING\n%import common.ESCAPED_STRING\n%import common.SIGNED_NUMBER\n%import common.WS\n%ignore WS\n",
		[]string{`{"a": [1, -2.5e3, {"b":null}], "c" : "d"}`, "[ ]", "\n\"x\\\"\""},
		[]string{"{a:1}", "[1,]", `"a`},
	},
	{
		"// a comment\nstart: GREETING \" \" NAME~2..3 [\"!\" | /\\?+/i] (\"a\"..\"c\")+ \"END\"i\nGREETING.2: \"hello\"i | /h(?=i)[a-z]+/\nNAME: (LETTER | \"_\")~1..3 \";\"\n%import common.LETTER\n",
		[]string{"HeLLo ab;c_d;!cabEnd", "hiya x;y;z;??aEND", "hello x;y;aend"},
		[]string{"hoya x;y;aend", "hello x;aend", "hello x;y;dend", "hello abcd;e;aend"},
	},
	{ // two rules that begin with each other
		"start: a\na: b \"x\" | \"y\"\nb: a \"z\" | \"w\"",
		[]string{"y", "wx", "yzx", "yzxzxzx", "wxzxzx"},
		[]string{"w", "yx", "wxz"},
	},
}

func TestGrammar(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, tt := range grammars {
		v, tokens := vocabulary(pieces...)
		f, err := constrain.Grammar(tt.source)
		m := automaton(t, f, err, v)
		for _, text := range tt.yes {
			if !accepts(m, text) {
				t.Errorf("%q is not of %s", text, tt.source)
			}
		}
		for _, text := range tt.not {
			if accepts(m, text) {
				t.Errorf("%q is of %s", text, tt.source)
			}
		}
		ended := 0
		for range 20 {
			if text, ok := write(t, m, tokens, rng, 300); ok {
				if ended++; !accepts(m, text) {
					t.Errorf("wrote %q of %s", text, tt.source)
				}
			}
		}
		if ended == 0 {
			t.Errorf("no text came to its end of %s", tt.source)
		}
	}
}

func TestGrammarRefuses(t *testing.T) {
	for _, tt := range []struct{ source, says string }{
		{"", "no rule start"},
		{"rot ::= \"a\"", "no rule root"},
		{"root ::= a", "line 1, rule root: a is no rule of the grammar"},
		{"root ::= \"a", "line 1: \"a is not understood"},
		{"root ::= (\"a\"", "rule root: its end comes too early"},
		{"root ::= \"a\" )", "line 1, rule root: ) is not understood here"},
		{"root ::= \"a\"\nroot ::= \"b\"", "line 2: rule root is there twice"},
		{"root ::= \"a\"{3,2}", "must be a range of numbers up to 1000"},
		{"root ::= \"a\"{1001}", "must be a range of numbers up to 1000"},
		{"root ::= [z-a]", "invalid character class range"},
		{"root ::= root", "no text satisfies it"},
		{"root ::= \"a\" root", "no text satisfies it"},
		{"root ::= a\na ::= b b | \"\"\nb ::= a a", "it is too ambiguous"},
		{"root ::= \"x\" a\na ::= b b | \"\"\nb ::= a a", "it is too ambiguous"},
		{"start: A\n%import python.A", "line 2: %import python.A is not supported"},
		{"start: \"a\"..\"bc\"", "is no range of characters"},
		{"start: x{a}", "is not understood"},
		{"start: /(/", "missing closing"},
		{"root ::= " + strings.Repeat("(", 300) + "\"a\"" + strings.Repeat(")", 300), "is nested too deep"},
		{strings.Repeat("#", constrain.MaxSource+1), "at most 65536"},
		{"start: /a b/x", "line 1: flag x of /a b/x is not supported"},
		{"root ::= \"a\" (" + strings.Repeat("\"\" ", 20_000) + "| \"b\"){1000}{60}", "too many parts that may be empty"},
		{"root ::= ((((\"a\"{30}){30}){30}){30})", "it is too large"},
	} {
		f, err := constrain.Grammar(tt.source)
		if err == nil {
			v, _ := vocabulary()
			_, err = constrain.Compile(f, v)
		}
		if !errors.Is(err, constrain.ErrForm) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%.60s: %v, want %q", tt.source, err, tt.says)
		}
	}
}

func FuzzGrammar(f *testing.F) {
	for _, g := range grammars {
		f.Add(g.source)
	}
	v, tokens := vocabulary(pieces...)
	f.Fuzz(func(t *testing.T, source string) {
		form, err := constrain.Grammar(source)
		if err != nil {
			return
		}
		m, err := constrain.Compile(form, v)
		if err != nil {
			return
		}
		write(t, m, tokens, rand.New(rand.NewPCG(uint64(len(source)), 1)), 40)
	})
}
