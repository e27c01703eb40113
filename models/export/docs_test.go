package export_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/internal/docs"
	"github.com/loopserve/loopserve/internal/golden/goldentest"
	"github.com/loopserve/loopserve/internal/measure/random"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/models/export"
	"github.com/loopserve/loopserve/runtime/engine/spec"
	"github.com/loopserve/loopserve/runtime/kvcache"
)

var update = flag.Bool("update", false, "write docs/models.md's tables instead of comparing them")

// plainNames are the families without reference vectors: sizes and weights of ours stand for them.
var plainNames = []string{"mistral", "smollm3"}

// docs/models.md says of each family what its code does: the manifest of its vectors' checkpoint, and what becomes of each key; and of
// each released model what its config comes to (go test ./models/export -run ModelsAreTold -update).
func TestModelsAreTold(t *testing.T) {
	families := "| family | `model_type` | reference | layers before, in and after the loop | loops: default (range) | a prefix serves | KV policies |\n|---|---|---|---|---|---|---|\n"
	keys := "| family | honoured | only these values, others are refused | inert |\n|---|---|---|---|\n"
	paths := goldentest.Cases(t)
	for _, name := range plainNames {
		c := Size{Hidden: 32, Heads: 2, KVHeads: 1, HeadDim: 16, FFN: 64, Vocab: 64, Context: 64, Loop: 4, Loops: 1, Theta: 10000}.Plain(name)
		path := filepath.Join(t.TempDir(), name, "none")
		if err := random.Write(path, c.Config, c.Tensors, "F32", 1); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	types, looped, plain := map[string]bool{}, 0, 0
	last := ""
	for _, path := range paths {
		family := filepath.Base(filepath.Dir(path))
		if family == last {
			continue
		}
		last = family
		m, err := export.Export(t.Context(), path, filepath.Join(t.TempDir(), "out"), export.Options{Exporter: "test"})
		if err != nil {
			t.Fatal(err)
		}
		if types[m.Source.ModelType] = true; m.Loops.Trained > 1 {
			looped++
		} else {
			plain++
		}
		families += row(family, m, path)
		seen, err := export.KeysOf(path)
		if err != nil {
			t.Fatal(err)
		}
		var cells [3]string
		for _, key := range slices.Sorted(maps.Keys(seen)) {
			switch how := seen[key]; how {
			case "honoured":
				cells[0] += " `" + key + "`"
			case "inert":
				cells[2] += " `" + key + "`"
			default:
				cells[1] += fmt.Sprintf(" `%s`: %s;", key, how)
			}
		}
		keys += fmt.Sprintf("| %s |%s |%s |%s |\n", family, cells[0], strings.TrimSuffix(cells[1], ";"), cells[2])
	}
	if told := slices.Sorted(maps.Keys(types)); !slices.Equal(told, export.Families()) {
		t.Errorf("the table tells of %v, and the registry has %v", told, export.Families())
	}
	count := fmt.Sprintf("The registry has %d model types and tells %d families apart: %d looped ones and %d plain decoders.\n", len(types), looped+plain, looped, plain)
	var parts []docs.Part
	for name, text := range map[string]string{"count": count, "families": families, "keys": keys, "released": releasedTable(t)} {
		parts = append(parts, docs.Part{Begin: "<!-- " + name + " -->\n", End: "<!-- end -->", Text: text})
	}
	docs.Hold(t, "../../docs/models.md", *update, "go test ./models/export -run ModelsAreTold -update", parts...)
}

// releases are models on the hub whose configs this exporter takes. size is the name of the published sizes.
var releases = []struct{ hub, size, licence, tested string }{
	{"`ByteDance/Ouro-1.4B`, `-Thinking`", "ouro-1.4b", "Apache-2.0", speedMeasured},
	{"`ByteDance/Ouro-2.6B`, `-Thinking`", "ouro-2.6b", "Apache-2.0", "no"},
	{"`tomg-group-umd/huginn-0125`", "huginn-3.5b", "Apache-2.0", speedMeasured},
	{"`smcleish/Recurrent-Llama-3.2-train-recurrence-16`", "retrofit-llama-1b", "–", "no"},
	{"`SandyResearch/parcae-1.3b`", "parcae-1.3b", "–", "no"},
	{"`Nanbeige/Nanbeige4.2-3B`", "nanbeige-3b", "–", "no"},
	{"`sapientinc/HRM-Text-1B`", "hrm-text-1b", "Apache-2.0", exportMeasured},
	{"`nvidia/NVIDIA-Nemotron-Labs-Dory1.0-4B-BF16`", "dory-4b", "–", exportMeasured},
	{"`armenjeddi/LoopFormer-3block-8iterations`", "loopformer-3x8", "–", exportMeasured},
	{"`Qwen/Qwen3-4B`", "qwen3-4b", "Apache-2.0", exportMeasured},
	{
		"`HuggingFaceTB/SmolLM2-135M-Instruct`", "smollm2-135m", "Apache-2.0",
		"**real weights**: [logits and tokens](export.md#a-real-model-smollm2-135m-instruct), [speed](benchmarks.md#a-real-model)",
	},
}

const (
	speedMeasured  = "random weights of these sizes: [export, load, speed](benchmarks.md#released-sizes)"
	exportMeasured = "random weights of these sizes: [export](benchmarks.md#released-sizes)"
)

// decoded is what docs/benchmarks.md has of the decode speed, on two shared cores.
var decoded = map[string]string{"ouro-1.4b": "15.5 / 4.2", "huginn-3.5b": "5.5 / 2.2"}

// releasedTable is what the released models' configs come to. KV bytes are computed as `loopserve inspect` does.
func releasedTable(t *testing.T) string {
	t.Helper()
	table := "| model | parameters | licence | loops: default (range) | KV KiB a token and loop: f32 / f16 / int8 | KiB a token beside the loops, f16 | tokens in 1 GiB of f16 pages | " +
		"memory with int4, GiB | decode with int4, tokens/s at 1 / 4 loops | tested |\n|---|---:|---|---|---:|---:|---:|---:|---:|---|\n"
	for _, r := range releases {
		c, err := published(r.size)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := random.WriteJSON(dir, "config.json", c.Config); err != nil {
			t.Fatal(err)
		}
		m, err := export.Planned(dir, func(name string) bool {
			return slices.ContainsFunc(c.Tensors, func(t random.Tensor) bool { return t.Name == name })
		})
		if err != nil {
			t.Fatalf("%s: %v", r.size, err)
		}
		kib := func(stage int, p kvcache.Precision) float64 {
			return float64(spec.Shapes(m, 16, p)[stage].TokenBytes()) / 1024
		}
		beside := kib(0, kvcache.F16) + kib(2, kvcache.F16)
		token := beside + float64(m.Loops.Default)*kib(1, kvcache.F16) // under the policy depth
		parameters, bytes := c.weigh()
		const length = 2048
		memory := bytes + float64(8*m.Context*m.Attention.HeadDim/2) + token*1024*float64(min(length, m.Context)) + 70<<20
		table += fmt.Sprintf("| %s | %.2f B | %s | %d (%d to %d) | %.4g / %.4g / %.4g | %.4g | %d | %.1f | %s | %s |\n", r.hub, parameters/1e9, r.licence,
			m.Loops.Default, m.Loops.Min, m.Loops.Max, kib(1, kvcache.F32), kib(1, kvcache.F16), kib(1, kvcache.Int8), beside,
			int(1<<20/token), memory/(1<<30), cmp.Or(decoded[r.size], "–"), r.tested)
	}
	return table
}

// weigh counts a checkpoint's parameters, a tied table once, and its bytes with --weights int4 --embedding int8, where a tied head has bytes of its own.
func (c *Checkpoint) weigh() (parameters, bytes float64) {
	tables, table := 0, 0.0
	for _, t := range c.Tensors {
		n, bits := float64(t.Elements()), 4.5
		switch {
		case t.Kind == random.Buffer:
			continue
		case strings.HasPrefix(t.Name, "value_embeds"):
			bits = 8.5
		case slices.Contains([]string{"model.embed_tokens.weight", "transformer.wte.weight", "backbone.embeddings.weight", "lm_head.weight"}, t.Name):
			tables, table, bits = tables+1, n, 8.5
		}
		parameters, bytes = parameters+n, bytes+n*bits/8
	}
	if c.Config["tie_word_embeddings"] == true || c.Config["tie_embeddings"] == true || c.Config["model_type"] == "loopformer" {
		parameters, bytes = parameters-float64(tables-1)*table, bytes+float64(2-tables)*table*8.5/8
	}
	return parameters, bytes
}

// row is a family's line.
func row(family string, m *bundle.Manifest, path string) string {
	var of struct {
		Reference struct {
			Repo, Commit string
			Files        []string
		}
	}
	raw, err := os.ReadFile(filepath.Join(path, "golden.json"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		of.Reference.Repo = "none: a forward pass written from the mathematics"
	case err == nil:
		err = json.Unmarshal(raw, &of)
		fallthrough
	default:
		if err != nil || of.Reference.Repo == "" {
			return fmt.Sprintf("| %s: no reference: %v |\n", family, err)
		}
	}
	ref := of.Reference
	commit := ref.Commit
	if len(commit) == 40 {
		commit = commit[:8]
	}
	serves := "any fewer loops"
	switch {
	case m.Trajectory != nil:
		serves = "its trajectory alone"
	case m.Coda.Layers > 0:
		serves = "its loops alone"
	}
	return fmt.Sprintf("| %s | `%s` | %s | %d, %d, %d | %d (%d to %d) | %s | %s |\n", family, m.Source.ModelType, strings.TrimSpace(ref.Repo+" "+commit),
		m.Prelude.Layers, m.Block.Layers, m.Coda.Layers, m.Loops.Default, m.Loops.Min, m.Loops.Max, serves, strings.Join(m.KVPolicies, ", "))
}

// A looped model that no family is, is refused with what is missing, before its weights are fetched.
func TestNotYet(t *testing.T) {
	for name, want := range map[string]string{"iquestloopcoder": "twice", "iquestpltcoder": "window", "inkling2_loop": "convolutions"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"model_type":"`+name+`"}`), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := export.Wants(dir, []string{"config.json", "model.safetensors"})
		mentions(t, err, name, want)
	}
}
