package bundle

import (
	"fmt"
	"regexp"
	"slices"
)

var (
	nameRule   = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
	policyRule = regexp.MustCompile(`^(depth|latest|first|last_loop|modulo:[1-9][0-9]{0,3})$`)
	hexRule    = regexp.MustCompile(`^[0-9a-f]{64}$`)

	weightTypes = []string{"f32", "f16", "bf16", "int8", "int4"}
)

// Check says what is wrong with the manifest's values, by field, with what they may be.
func (m *Manifest) Check() error {
	if !nameRule.MatchString(m.Name) {
		return fmt.Errorf("name is %q, must be 1 to 64 characters of a-z, 0-9, . _ and -, and start with a letter or digit", m.Name)
	}
	low := 1 // of the attention's numbers
	switch m.Kind {
	case KindPaged:
	case KindDense:
		low = 0
		if err := m.checkDense(); err != nil {
			return err
		}
	default:
		return fmt.Errorf("kind is %q, must be %q or %q", m.Kind, KindPaged, KindDense)
	}
	for _, f := range []struct {
		field     string
		v         int
		low, high int
	}{
		{"hidden_size", m.HiddenSize, 1, 1 << 20},
		{"state.width", m.StateWidth(), m.HiddenSize, 1 << 20},
		{"vocab_size", m.VocabSize, 1, 1 << 24},
		{"context", m.Context, 1, 1 << 24},
		{"attention.heads", m.Attention.Heads, low, 1 << 12},
		{"attention.kv_heads", m.Attention.KVHeads, low, 1 << 12},
		{"attention.head_dim", m.Attention.HeadDim, low, 512},
		{"prelude.layers", m.Prelude.Layers, 0, 1000},
		{"block.layers", m.Block.Layers, 0, 1000},
		{"coda.layers", m.Coda.Layers, 0, 1000},
		{"loops.min", m.Loops.Min, 1, 1 << 16},
		{"loops.default", m.Loops.Default, m.Loops.Min, 1 << 16},
		{"loops.trained", m.Loops.Trained, 1, 1 << 16},
		{"loops.max", m.Loops.Max, m.Loops.Default, 1 << 16},
		{"trajectory.grid", m.grid(), 0, 1 << 16},
	} {
		if f.v < f.low || f.v > f.high {
			return fmt.Errorf("%s is %d, must be %d to %d", f.field, f.v, f.low, f.high)
		}
	}
	if m.Kind == KindPaged && m.Attention.Heads%m.Attention.KVHeads != 0 {
		return fmt.Errorf("attention.heads %d is not a multiple of attention.kv_heads %d", m.Attention.Heads, m.Attention.KVHeads)
	}
	for _, f := range []struct {
		field, v string
		of       []string
	}{
		{"state.kind", m.State.Kind, []string{"prelude", "zeros", "normal"}},
		{"precision.activations", m.Precision.Activations, []string{"f32", "f16", "bf16"}},
		{"precision.weights", m.Precision.Weights, weightTypes},
		{"precision.embedding", m.Precision.Embedding, weightTypes},
		{"precision.head", m.Precision.Head, weightTypes},
	} {
		if !slices.Contains(f.of, f.v) {
			return fmt.Errorf("%s is %q, must be one of %v", f.field, f.v, f.of)
		}
	}
	if err := m.checkProvider(); err != nil {
		return err
	}
	if m.State.Kind == "normal" && !(m.State.Std > 0 && m.State.Scale > 0) {
		return fmt.Errorf("state.std is %v and state.scale is %v: a normal state needs both positive", m.State.Std, m.State.Scale)
	}
	if m.Trajectory != nil && m.Auto != nil {
		return fmt.Errorf("auto is set, but with a trajectory no token leaves before its last loop: remove the field")
	}
	if m.Gate != nil && m.Gate.Kind != "hazard" {
		return fmt.Errorf("gate.kind is %q, must be \"hazard\"", m.Gate.Kind)
	}
	if err := m.checkAuto(); err != nil {
		return err
	}
	if m.PrefixLM && (m.Kind == KindDense || m.Provider != "" || m.Coda.Layers > 0) {
		return fmt.Errorf("prefix_lm is true, but a prompt is read in both directions only by bundles of kind paged for the CPU whose coda.layers is 0: " +
			"set it to false to read prompts in one direction")
	}
	if len(m.KVPolicies) == 0 {
		return fmt.Errorf("kv_policies is empty, must list at least \"depth\"")
	}
	for _, p := range m.KVPolicies {
		if !policyRule.MatchString(p) {
			return fmt.Errorf("kv_policies has %q, must be depth, latest, first, last_loop or modulo:m", p)
		}
	}
	if err := m.checkTokens(); err != nil {
		return err
	}
	return m.checkFiles()
}

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
	if m.Trajectory != nil {
		return fmt.Errorf("trajectory is set, but the block of a dense bundle gets no step: remove the field")
	}
	if m.Attention != (Attention{}) {
		return fmt.Errorf("attention is set, but a dense bundle has no KV cache: remove the field")
	}
	return nil
}

func (m *Manifest) grid() int {
	if m.Trajectory == nil {
		return 0
	}
	return m.Trajectory.Grid
}

var exitPolicies = []string{"delta", "gate", "kl", "entropy", "argmax"}

func (m *Manifest) checkAuto() error {
	a := m.Auto
	switch {
	case a == nil:
	case !slices.Contains(exitPolicies, a.ExitPolicy) || a.ExitPolicy == "gate" && m.Gate == nil:
		return fmt.Errorf("auto.exit_policy is %q, must be one of %v (gate only where the model has one)", a.ExitPolicy, exitPolicies)
	case a.ExitThreshold < 0:
		return fmt.Errorf("auto.exit_threshold is %v, must be positive", a.ExitThreshold)
	case a.Loops != 0 && (a.Loops < m.Loops.Min || a.Loops > m.Loops.Max) || a.MinLoops < 0 || a.MinLoops > m.Loops.Max:
		return fmt.Errorf("auto has loops %d and min_loops %d, but the model takes %d to %d", a.Loops, a.MinLoops, m.Loops.Min, m.Loops.Max)
	}
	return nil
}

func (m *Manifest) checkTokens() error {
	for _, id := range m.Tokens.Stop {
		if id < 0 || int(id) >= m.VocabSize {
			return fmt.Errorf("tokens.stop has %d, but the vocabulary is 0 to %d", id, m.VocabSize-1)
		}
	}
	for _, t := range []struct {
		field string
		id    *int32
	}{{"tokens.bos", m.Tokens.BOS}, {"tokens.pad", m.Tokens.PAD}} {
		if t.id != nil && (*t.id < 0 || int(*t.id) >= m.VocabSize) {
			return fmt.Errorf("%s is %d, but the vocabulary is 0 to %d", t.field, *t.id, m.VocabSize-1)
		}
	}
	return nil
}

func (m *Manifest) checkFiles() error {
	for name, f := range m.Files {
		if !plainName(name) || name == FileName {
			return fmt.Errorf("files has %q, must be a plain file name", name)
		}
		if f.Size < 0 || f.SHA256 != "" && !hexRule.MatchString(f.SHA256) {
			return fmt.Errorf("files[%q] has size %d and sha256 %q", name, f.Size, f.SHA256)
		}
	}
	for i, g := range m.graphs() {
		if _, ok := m.Files[g.File]; !ok {
			return fmt.Errorf("%s.file is %q, which is not listed in files", g.stage, g.File)
		}
		for _, other := range m.graphs()[:i] {
			if other.File == g.File {
				return fmt.Errorf("%s.file and %s.file are both %q, but each stage needs its own graph", other.stage, g.stage, g.File)
			}
		}
	}
	return nil
}

type namedGraph struct {
	Graph
	stage string
}

func (m *Manifest) graphs() []namedGraph {
	return []namedGraph{{m.Prelude, "prelude"}, {m.Block, "block"}, {m.Coda, "coda"}}
}
