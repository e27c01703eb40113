package bundle

import "fmt"

// checkDense is what the kind dense asks of the manifest beside the rest: its engine computes in float32 on the CPU's
// memory, and keeps latents where the kind paged keeps keys and values.
func (m *Manifest) checkDense() error {
	if m.Precision.Activations != "f32" {
		return fmt.Errorf("precision.activations is %q, but a dense bundle computes in f32", m.Precision.Activations)
	}
	if m.Provider != "" {
		return fmt.Errorf("provider is %q, but a dense bundle runs on the CPU: remove the field", m.Provider)
	}
	if m.State.Kind == "normal" {
		return fmt.Errorf("state.kind is \"normal\", but a dense bundle supports prelude and zeros only: let the prelude output the state")
	}
	if m.Attention != (Attention{}) {
		return fmt.Errorf("attention is set, but a dense bundle has no KV cache: remove the field")
	}
	return nil
}

// denseContract is the table of docs/bundle-format.md for one graph of the kind dense.
func (m *Manifest) denseContract(g namedGraph) (inputs, outputs []port) {
	d := int64(m.HiddenSize)
	vector := func(name, why string) port {
		return port{name, elemFloat, []int64{dynamicOrOne, dynamic, d}, fmt.Sprintf("[batch, seq, %d]", d), why, false}
	}
	row := func(name string, elem int64, why string, optional bool) port {
		return port{name, elem, []int64{dynamicOrOne, dynamic}, "[batch, seq]", why, optional}
	}
	switch g.stage {
	case "prelude":
		inputs = append(inputs, row("input_ids", elemInt64, "the tokens", false))
		if m.State.Kind == "prelude" {
			outputs = append(outputs, vector("hidden", "the state before the first loop (state.kind is prelude)"))
		}
		if m.Inject {
			outputs = append(outputs, vector("inject", "what every loop reads (inject is true)"))
		}
	case "block":
		inputs = append(inputs, vector("hidden", "the state that the last loop left"))
		if m.Inject {
			inputs = append(inputs, vector("inject", "what the prelude injects (inject is true)"))
		}
		inputs = append(inputs, port{"depth", elemInt64, []int64{dynamicOrOne}, "[batch]", "the loops done before", true})
		outputs = append(outputs, vector("hidden_out", "the state after this loop"),
			row("delta", elemFloat, "the relative change of the state, for exit policies", true))
		if m.Gate != nil {
			outputs = append(outputs, row("gate", elemFloat, "the exit gate's logit (the manifest has a gate)", false))
		}
	case "coda":
		inputs = append(inputs, vector("hidden", "the state after the last loop"))
		outputs = append(outputs, port{
			"logits", elemFloat, []int64{dynamicOrOne, dynamic, int64(m.VocabSize)}, fmt.Sprintf("[batch, seq, %d]", m.VocabSize), "what is sampled from", false,
		})
	}
	inputs = append(inputs, row("position_ids", elemInt64, "each row's place in its sequence", true),
		row("attention_mask", elemInt64, "1 for a row, 0 for what only fills the batch up", true))
	return inputs, outputs
}
