package bundle

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/loopserve/loopserve/models/export/onnx"
)

// msg joins fields; bytes and num make one of each wire type.
func msg(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

func sub(tag protowire.Number, parts ...[]byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, tag, protowire.BytesType), msg(parts...))
}

func str(tag protowire.Number, s string) []byte { return sub(tag, []byte(s)) }

func num(tag protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, tag, protowire.VarintType), v)
}

// outside is a float32 TensorProto [4] whose bytes are elsewhere.
func outside(keyValues ...string) []byte {
	b := msg(num(1, 4), num(2, 1), str(8, "w"), num(14, 1))
	for i := 0; i < len(keyValues); i += 2 {
		b = append(b, sub(13, str(1, keyValues[i]), str(2, keyValues[i+1]))...)
	}
	return b
}

// tensorIn puts a TensorProto at each place of a model where one may stand.
var tensorIn = map[string]func(tensor []byte) []byte{
	"initializer":        func(t []byte) []byte { return sub(7, sub(5, t)) },
	"constant attribute": func(t []byte) []byte { return sub(7, sub(1, str(4, "Constant"), sub(5, sub(5, t)))) },
	"list attribute":     func(t []byte) []byte { return sub(7, sub(1, sub(5, sub(10, t)))) },
	"subgraph":           func(t []byte) []byte { return sub(7, sub(1, str(4, "If"), sub(5, sub(6, sub(5, t))))) },
	"list of subgraphs":  func(t []byte) []byte { return sub(7, sub(1, sub(5, sub(11, sub(5, t))))) },
	"function":           func(t []byte) []byte { return msg(sub(7), sub(25, sub(7, sub(5, sub(5, t))))) },
	"function's default": func(t []byte) []byte { return msg(sub(7), sub(25, sub(11, sub(5, t)))) },
}

func bundled() *Manifest {
	return &Manifest{Files: map[string]File{"weights.data": {Size: 100}}}
}

func walk(raw []byte) error {
	m, err := ReadONNX(raw)
	if err != nil {
		return err
	}
	for _, e := range m.external {
		if err := e.check(bundled()); err != nil {
			return err
		}
	}
	return nil
}

func TestExternalDataStaysInListedFiles(t *testing.T) {
	for _, c := range []struct {
		name   string
		tensor []byte
		want   string // "" is fine
	}{
		{"whole", outside("location", "weights.data", "offset", "84", "length", "16"), ""},
		{"without a length", outside("location", "weights.data", "offset", "84"), ""},
		{"past the end", outside("location", "weights.data", "offset", "85", "length", "16"), "which has 100"},
		{"past the end, no length", outside("location", "weights.data", "offset", "85"), "which has 100"},
		{"offset overflows", outside("location", "weights.data", "offset", "9223372036854775807"), "which has 100"},
		{"negative offset", outside("location", "weights.data", "offset", "-1"), "offset -1"},
		{"negative length", outside("location", "weights.data", "length", "-16"), "length"},
		{"length and shape differ", outside("location", "weights.data", "length", "8"), "take 16 bytes"},
		{"not listed", outside("location", "passwd"), "does not list"},
		{"manifest itself", outside("location", FileName), "does not list"},
		{"parent folder", outside("location", "../weights.data"), "plain file name"},
		{"absolute", outside("location", "/etc/passwd"), "plain file name"},
		{"no location", outside("offset", "0"), "plain file name"},
		{"location twice", outside("location", "weights.data", "location", "/etc/passwd"), "twice"},
		{"unknown key", outside("location", "weights.data", "basepath", "/etc"), "unknown key"},
		{"not a number", outside("location", "weights.data", "offset", "0x10"), "not a number"},
		{"strings", msg(num(1, 4), num(2, 8), num(14, 1), sub(13, str(1, "location"), str(2, "weights.data"))), "element type 8"},
		{"huge shape", msg(num(1, 1<<40), num(1, 1<<40), num(2, 1), sub(13, str(1, "location"), str(2, "weights.data"))), "too large"},
		{"flag without entries", msg(num(1, 4), num(2, 1), num(14, 1)), "plain file name"},
		{"entries without the flag", msg(num(1, 4), num(2, 1), sub(13, str(1, "location"), str(2, "other"))), "does not list"},
	} {
		for place, in := range tensorIn {
			err := walk(in(c.tensor))
			switch {
			case c.want == "" && err != nil:
				t.Errorf("%s as %s: %v", c.name, place, err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%s as %s: error %v, want one that says %q", c.name, place, err, c.want)
			}
		}
	}
}

func TestGraphsThatAreRefused(t *testing.T) {
	deep := sub(5, outside("location", "weights.data"))
	for range 40 {
		deep = sub(1, sub(5, sub(6, deep)))
	}
	for _, c := range []struct {
		name string
		raw  []byte
		want string
	}{
		{"empty", nil, "no graph"},
		{"text", []byte("<html>"), "damaged"},
		{"truncated", sub(7, str(2, "name"))[:4], "damaged"},
		{"two graphs", msg(sub(7), sub(7)), "two graphs"},
		{"graph that is a number", num(7, 1), "wire type"},
		{"training", msg(sub(7), sub(20)), "training"},
		{"sparse initializer", sub(7, sub(15)), "sparse"},
		{"sparse attribute", sub(7, sub(1, sub(5, sub(22)))), "sparse"},
		{"foreign operator", sub(7, sub(1, str(4, "Exec"), str(7, "evil"))), `domain "evil"`},
		{"foreign operator in a subgraph", sub(7, sub(1, sub(5, sub(6, sub(1, str(7, "evil")))))), `domain "evil"`},
		{"foreign operator in a function", msg(sub(7), sub(25, sub(7, str(7, "evil")))), `domain "evil"`},
		{"tensor in two halves", sub(7, sub(1, sub(5, sub(5), sub(5)))), "two tensors"},
		{"nested too deep", sub(7, deep), "nest"},
	} {
		if err := walk(c.raw); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one that says %q", c.name, err, c.want)
		}
	}
}

// A block made by hand, with most of what can be wrong with one: the message names each thing.
func TestContractSaysAllThatIsMissing(t *testing.T) {
	m := &Manifest{HiddenSize: 8, VocabSize: 10, Attention: Attention{Heads: 2, KVHeads: 1, HeadDim: 4}, Precision: Precision{Activations: "f32"}}
	rows, eight := onnx.Dynamic("rows"), onnx.Fixed(8)
	g := onnx.NewGraph("block")
	g.Input("hidden", onnx.Float, onnx.Fixed(1), rows, eight)
	g.Input("mask", onnx.Float, rows)
	g.Input("depth", onnx.Int32, rows)
	g.Input("key_cache", onnx.Float16, onnx.Dynamic("p"), onnx.Fixed(16), onnx.Fixed(1), onnx.Fixed(4))
	g.Input("value_cache", onnx.Float, onnx.Fixed(100), onnx.Fixed(16), onnx.Fixed(1), onnx.Fixed(4))
	g.Input("past_seqlens", onnx.Int32, onnx.Dynamic("spans"))
	g.Input("block_table", onnx.Int32, onnx.Dynamic("spans"), onnx.Dynamic("pages"))
	g.Output("hidden_out", onnx.Float, rows, onnx.Fixed(9))
	g.Node(onnx.Loopserve, "PagedAttention", []string{"hidden"})
	err := checkGraph(g.Encode("test"), namedGraph{Graph{File: "block.onnx", Layers: 1}, "block"}, m)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"input hidden has 3 dimensions: want float32 [rows, 8]",
		"input mask is not one of the contract's",
		"input depth is int32: want int64 [rows]",
		"input key_cache is float16: want float32 [pages, page_size, 1, 4]",
		"input value_cache has dimension 0 fixed at 100, and it must be dynamic",
		"input cumulative_sequence_length is missing: want int32 [spans+1]",
		"output hidden_out has the shape [? 9]: want float32 [rows, 8]",
		"output delta is missing: want float32 [rows]",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("it does not say %q:\n%v", want, err)
		}
	}
}

func FuzzReadModel(f *testing.F) {
	for _, in := range tensorIn {
		f.Add(in(outside("location", "weights.data", "offset", "84", "length", "16")))
	}
	g := onnx.NewGraph("block")
	g.Input("hidden", onnx.Float, onnx.Dynamic("rows"), onnx.Fixed(8))
	g.Node("", "Add", []string{"hidden", g.Floats("one", []float32{1})}, onnx.Attr{Name: "axes", V: []int64{1, 2}})
	f.Add(g.Encode("test"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := ReadONNX(raw)
		if err != nil {
			return
		}
		for _, e := range m.external {
			if e.check(bundled()) == nil && (e.offset < 0 || e.length < 0 || e.offset+e.length > 100 || e.location != "weights.data") {
				t.Errorf("accepted: %+v", e)
			}
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"manifest_version":1,"name":"a","kind":"paged","loops":{"min":1,"default":1,"trained":1,"max":1}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := Parse(raw)
		if err != nil {
			return
		}
		if m.Loops.Min < 1 || m.Loops.Max < m.Loops.Default || m.HiddenSize < 1 || m.Kind == KindPaged && m.Attention.Heads%m.Attention.KVHeads != 0 {
			t.Errorf("accepted: %+v", m)
		}
	})
}
