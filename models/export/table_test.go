//go:build cgo

package export_test

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/internal/golden"
	"github.com/loopserve/loopserve/internal/golden/goldentest"
	"github.com/loopserve/loopserve/internal/measure"
	"github.com/loopserve/loopserve/models/export"
	"github.com/loopserve/loopserve/runtime/engine"
	"github.com/loopserve/loopserve/runtime/ort"
	"github.com/loopserve/loopserve/tokenizer"
)

// precisions are the columns of docs/export.md's tables.
var precisions = [...]struct {
	name string
	opt  export.Options
}{
	{"int8", export.Options{Weights: export.Int8}},
	{"int8, unfused", export.Options{Weights: export.Int8, Unfused: true}},
	{"int4", export.Options{Weights: export.Int4}},
	{"int4, unfused", export.Options{Weights: export.Int4, Unfused: true}},
	{"int4, head int4", export.Options{Weights: export.Int4, Head: export.Int4}},
	{"int4, embedding int8", export.Options{Weights: export.Int4, Embedding: export.Int8}},
	{"bf16", export.Options{Weights: export.BF16}},
	{"f32, unfused", export.Options{Unfused: true}}, // ONNX Runtime's own products
}

// loss is what a precision costs against float32 on the same tokens.
type loss struct {
	most, sum, count float64
	same, tokens     int
}

func (l *loss) add(got, want [][]float32) {
	for i, w := range want {
		for j, v := range w {
			d := math.Abs(float64(got[i][j] - v))
			l.most, l.sum, l.count = max(l.most, d), l.sum+d, l.count+1
		}
		l.tokens++
		if argmax(got[i]) == argmax(w) {
			l.same++
		}
	}
}

func (l *loss) String() string {
	return fmt.Sprintf("%.2f / %.3f, %.0f %%", l.most, l.sum/l.count, 100*float64(l.same)/float64(l.tokens))
}

// texts are a case's prompts, each with float32's own greedy continuation.
func texts(t *testing.T, c *golden.Case, e engine.Engine, loops int) (all [][]int32, want [][][]float32) {
	t.Helper()
	for i := 0; c.Has(fmt.Sprintf("prompt_%d/ids", i)); i++ {
		ids, err := c.IDs(fmt.Sprintf("prompt_%d/ids", i))
		if err != nil {
			t.Fatal(err)
		}
		more, _ := newOne(e, loops).greedy(t, ids, continued())
		text := append(append([]int32(nil), ids...), more...)
		all, want = append(all, text), append(want, newOne(e, loops).feed(t, text))
	}
	return all, want
}

var whole = flag.Bool("whole", false, "TestTable takes longer texts, and every problem of the adder's, not every tenth")

// continued is how many tokens follow each prompt.
func continued() int {
	if *whole {
		return 64
	}
	return 8
}

// TestTable prints docs/export.md's tables (go test ./models/export -run Table -v -whole) and holds their claims: int8
// keeps greedy tokens and the adder's answers, int4 errs less than symmetric blocks of MatMulNBits did (a mean of 1.051),
// and products that took in what stands around them err as much as those that did not. bf16 errs less than int8, and float32
// products are ONNX Runtime's but for rounding. With -whole the table of errors must be the page's.
func TestTable(t *testing.T) {
	env := openEnv(t)
	head := "| checkpoint, loops |"
	for _, p := range precisions {
		head += " " + p.name + " |"
	}
	t.Log(head)
	told, err := os.ReadFile("../../docs/export.md")
	if err != nil {
		t.Fatal(err)
	}
	var totals [len(precisions)]loss
	for _, path := range goldentest.Cases(t) {
		c, err := golden.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		e := engineOf(t, env, path, export.Options{})
		loops := e.Manifest().Loops.Default
		all, want := texts(t, c, e, loops)
		line := fmt.Sprintf("| %s, %d |", filepath.Base(filepath.Dir(path))+" "+filepath.Base(path), loops)
		_, cells, _ := strings.Cut(string(told), "\n"+line)
		cells, _, _ = strings.Cut(cells, "\n")
		for i, p := range precisions {
			q, l := engineOf(t, env, path, p.opt), loss{}
			for j, text := range all {
				got := newOne(q, loops).feed(t, text)
				l.add(got, want[j])
				totals[i].add(got, want[j])
			}
			line += " " + l.String() + " |"
			if i != 7 && *whole && !strings.Contains(cells, " "+l.String()+" |") {
				t.Errorf("docs/export.md does not say that %s comes to: %s", p.name, line)
			}
		}
		t.Log(line)
	}
	line := "| all |"
	for i := range precisions {
		line += " " + totals[i].String() + " |"
	}
	t.Log(line)
	mean := func(i int) float64 { return totals[i].sum / totals[i].count }
	if same := float64(totals[0].same) / float64(totals[0].tokens); same < 0.9 {
		t.Errorf("int8 keeps %.3f of the greedy tokens", same)
	}
	if !(mean(2) < 1.051) {
		t.Errorf("mean error of int4 is %.4f, that of symmetric blocks was 1.051", mean(2))
	}
	for i := 0; i < 4; i += 2 {
		if ratio := mean(i) / mean(i+1); ratio < 0.9 || ratio > 1.1 {
			t.Errorf("mean error of %s is %.4f, unfused %.4f", precisions[i].name, mean(i), mean(i+1))
		}
	}
	if !(mean(6) < mean(0)) {
		t.Errorf("mean error of bf16 is %.4f, of int8 %.4f", mean(6), mean(0))
	}
	if most := totals[7].most; !(most < 5e-3) {
		t.Errorf("float32 products differ from ONNX Runtime's by %g", most)
	}
	adderTable(t, env)
}

// adderTable is the shipped adder's accuracy: whole answers that are right.
func adderTable(t *testing.T, env *ort.Env) {
	t.Helper()
	from := filepath.Join("..", "train", "checkpoints", "adder")
	tok, err := tokenizer.OpenDir(from, "")
	if err != nil {
		t.Fatal(err)
	}
	ids := func(text string) []int32 {
		out, err := tok.Encode(text, false)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	data, err := os.ReadFile(filepath.Join("..", "adder", "eval.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	problems, err := measure.ReadProblems(data)
	if err != nil {
		t.Fatal(err)
	}
	if !*whole {
		problems = measure.Some(problems, len(problems)/10)
	}
	loops := []int{4, 8, 12}
	right := func(opt export.Options) (out []int) {
		e := engineOf(t, env, from, opt)
		for _, n := range loops {
			count := 0
			for _, p := range problems {
				answer := ids(p.Answer)
				got, _ := newOne(e, n).greedy(t, ids(p.Prompt), len(answer))
				if slices.Equal(got, answer) {
					count++
				}
			}
			out = append(out, count)
		}
		return out
	}
	want := right(export.Options{})
	t.Logf("| adder, %d problems, %v loops | right |", len(problems), loops)
	t.Logf("| f32 | %v |", want)
	for i, p := range precisions {
		got := right(p.opt)
		t.Logf("| %s | %v |", p.name, got)
		for j := range got {
			if d := math.Abs(float64(got[j]-want[j])) / float64(len(problems)); i == 0 && d > 0.005 {
				t.Errorf("int8 at %d loops: %d right, float32 has %d", loops[j], got[j], want[j])
			}
		}
	}
}
