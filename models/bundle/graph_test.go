package bundle

import (
	"math"
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
	"list attribute":     func(t []byte) []byte { return sub(7, sub(1, str(4, "Constant"), sub(5, sub(10, t)))) },
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
		{"a loop", sub(7, sub(1, str(4, "Loop"))), "not one of those"},
		{"random numbers", sub(7, sub(1, str(4, "RandomNormal"))), "not one of those"},
		{"an operator of another domain", sub(7, sub(1, str(4, "MatMul"), str(7, "loopserve"))), "not one of those"},
		{"subgraph", sub(7, sub(1, str(4, "Add"), sub(5, sub(6, sub(1))))), "a graph of its own"},
		{"list of subgraphs", sub(7, sub(1, str(4, "Add"), sub(5, sub(11, sub(1))))), "a graph of its own"},
		{"functions", msg(sub(7), sub(25, sub(7, str(4, "Add")))), "functions of its own"},
		{"an attribute twice", sub(7, sub(1, str(4, "Add"), sub(5, str(1, "x")), sub(5, str(1, "x")))), "twice"},
		{"tensor in two halves", sub(7, sub(1, sub(5, sub(5), sub(5)))), "two tensors"},
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
	g.Node(onnx.Loopserve, "PagedAttention", []string{"hidden", "", "", "key_cache", "value_cache"},
		onnx.Attr{Name: "num_heads", V: 2}, onnx.Attr{Name: "kv_num_heads", V: 1})
	_, err := checkGraph(g.Encode("test"), namedGraph{Graph{File: "block.onnx", Layers: 1}, "block"}, m)
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

// A node of our operators may not say of memory what the manifest does not.
func TestAttributesEqualTheManifest(t *testing.T) {
	m := &Manifest{Attention: Attention{Heads: 8, KVHeads: 2, HeadDim: 4}}
	good := map[string]int{"num_heads": 8, "kv_num_heads": 2, "num_layers": 1, "local_window_size": 4}
	for _, c := range []struct {
		name  string
		attr  string
		value int
		want  string
	}{
		{"nothing wrong", "layer", 0, ""},
		{"heads that wrap", "num_heads", 1<<60 + 8, "num_heads is 1152921504606846984, must be 8 to 8"},
		{"other KV heads", "kv_num_heads", 4, "kv_num_heads is 4, must be 2 to 2"},
		{"layers that wrap", "num_layers", 1<<63 - 1, "num_layers is 9223372036854775807, must be 1 to 1"},
		{"a layer beyond", "layer", 1, "layer is 1, must be 0 to 0"},
		{"a layer below", "layer", -1, "layer is -1"},
		{"a window that wraps", "local_window_size", -1 << 63, "local_window_size"},
		{"a norm that is none", "qk_norm", 3, "qk_norm is 3"},
	} {
		attrs := []onnx.Attr{{Name: c.attr, V: c.value}}
		for name, v := range good {
			if name != c.attr {
				attrs = append(attrs, onnx.Attr{Name: name, V: v})
			}
		}
		check := func(name, want string, change func(g *onnx.Graph), keys string, attrs ...onnx.Attr) {
			g := onnx.NewGraph("block")
			for _, name := range []string{"key_cache", "value_cache"} {
				g.Input(name, onnx.Float, onnx.Dynamic("p"), onnx.Dynamic("s"), onnx.Fixed(2), onnx.Fixed(4))
			}
			change(g)
			g.Node(onnx.Loopserve, "PagedAttention", []string{"q", "k", "v", keys, "value_cache"}, attrs...)
			read, err := ReadONNX(g.Encode("test"))
			if err == nil {
				err = read.checkOurs(1, m)
			}
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%s: error %v, want one that says %q", name, err, want)
			}
		}
		none := func(*onnx.Graph) {}
		check(c.name, c.want, none, "key_cache", attrs...)
		if c.want != "" {
			continue
		}
		check("an infinite scale", "scale is +Inf", none, "key_cache", append(attrs, onnx.Attr{Name: "scale", V: math.Inf(1)})...)
		check("a constant as cache", "which the engine feeds", func(g *onnx.Graph) { g.Floats("mine", []float32{1}) }, "mine", attrs...)
		check("another node's result", "which the engine feeds", func(g *onnx.Graph) { g.NodeTo("", "Neg", []string{"q"}, []string{"key_cache"}) }, "key_cache", attrs...)
		check("one layer twice", "as another node's", func(g *onnx.Graph) {
			g.Node(onnx.Loopserve, "PagedAttention", []string{"q", "k", "v", "key_cache", "value_cache"}, attrs...)
		}, "key_cache", attrs...)
		check("a product that wraps", "K is 1099511627776, must be 1 to 16777216", func(g *onnx.Graph) {
			g.Node(onnx.Loopserve, "PackedLinear", []string{"x", "w"}, onnx.Attr{Name: "K", V: 1 << 40}, onnx.Attr{Name: "N", V: 1}, onnx.Attr{Name: "bits", V: 4})
		}, "key_cache", attrs...)
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
