package export_test

import (
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

	"github.com/loopserve/loopserve/internal/golden/goldentest"
	"github.com/loopserve/loopserve/internal/measure/random"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/models/export"
)

var update = flag.Bool("update", false, "write docs/families.md's tables instead of comparing them")

// docs/families.md says of each family what its code does: the manifest of its vectors' checkpoint, and what becomes of each key
// (go test ./models/export -run FamiliesAreTold -update).
func TestFamiliesAreTold(t *testing.T) {
	const file = "../../docs/families.md"
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	have := string(raw)
	families := "| family | `model_type` | reference | layers before, in and after the loop | loops: default (range) | a prefix serves | KV policies |\n|---|---|---|---|---|---|---|\n"
	keys := "| family | honoured | only these values, others are refused | inert |\n|---|---|---|---|\n"
	last := ""
	paths := goldentest.Cases(t)
	for _, name := range []string{"mistral", "smollm3"} { // without vectors: sizes and weights of ours
		c := Size{Hidden: 32, Heads: 2, KVHeads: 1, HeadDim: 16, FFN: 64, Vocab: 64, Context: 64, Loop: 4, Loops: 1, Theta: 10000}.Plain(name)
		path := filepath.Join(t.TempDir(), name, "none")
		if err := random.Write(path, c.Config, c.Tensors, "F32", 1); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	for _, path := range paths {
		family := filepath.Base(filepath.Dir(path))
		m, err := export.Export(t.Context(), path, filepath.Join(t.TempDir(), "out"), export.Options{Exporter: "test"})
		if err != nil {
			t.Fatal(err)
		}
		if family != last {
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
		last = family
	}
	want := have
	for name, table := range map[string]string{"families": families, "keys": keys} {
		before, rest, ok := strings.Cut(want, "<!-- "+name+" -->\n")
		_, after, found := strings.Cut(rest, "<!-- end -->")
		if !ok || !found {
			t.Fatalf("%s has no place for %s", file, name)
		}
		want = before + "<!-- " + name + " -->\n" + table + "<!-- end -->" + after
	}
	switch {
	case have == want:
	case *update:
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s is not what the code does: go test ./models/export -run FamiliesAreTold -update", file)
	}
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
		of.Reference.Repo = "no vectors: the mathematics"
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
