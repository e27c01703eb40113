package exporttest

import "testing"

// The parameters of the released models, as their pages count them.
func TestPublishedSizes(t *testing.T) {
	for name, want := range map[string]struct {
		tensors  int
		elements int64
	}{"ouro-1.4b": {269, 1_434_652_673}, "huginn-3.5b": {0, 0}} {
		c, err := Published(name)
		if err != nil {
			t.Fatal(err)
		}
		elements := int64(0)
		for _, tensor := range c.Tensors {
			elements += tensor.Elements()
		}
		if want.tensors > 0 && (len(c.Tensors) != want.tensors || elements != want.elements) {
			t.Errorf("%s: %d tensors of %d elements, want %d of %d", name, len(c.Tensors), elements, want.tensors, want.elements)
		}
		if name == "huginn-3.5b" { // 3.565 B, with one copy of the tied table and without the RoPE table
			if own := elements - 65536*5280 - 4096*96; own < 3_564_000_000 || own > 3_566_000_000 {
				t.Errorf("%s has %d parameters", name, own)
			}
		}
	}
	if _, err := Published("gpt-5"); err == nil {
		t.Error("a name that is not published was found")
	}
}
