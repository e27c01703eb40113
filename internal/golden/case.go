package golden

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/loopserve/loopserve/models/export/safetensors"
)

// Case is one folder of the vectors: a checkpoint, and what its family's reference code answers on it.
type Case struct {
	Dir       string
	Family    string         `json:"family"`
	ModelType string         `json:"model_type"`
	Tolerance map[string]any `json:"tolerance"` // numbers by kind; criteria have a map of their own
	values    *safetensors.Checkpoint
	root      *os.Root
}

// Answers is the file with the reference's numbers.
const Answers = "golden.safetensors"

// Open reads a case. Close it afterwards.
func Open(dir string) (*Case, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	c := &Case{Dir: dir, root: root}
	raw, err := root.ReadFile("golden.json")
	if err == nil {
		err = json.Unmarshal(raw, c)
	}
	if err == nil {
		c.values, err = safetensors.OpenFile(root, Answers)
	}
	if err != nil {
		root.Close()
		return nil, fmt.Errorf("reference case %s: %w", dir, err)
	}
	return c, nil
}

// Within is the largest allowed difference of a kind of number: logits, hidden, final_hidden, …, criteria.kl.
func (c *Case) Within(kind string) float64 {
	of := c.Tolerance
	for {
		outer, inner, nested := strings.Cut(kind, ".")
		if !nested {
			v, _ := of[kind].(float64)
			return v
		}
		of, _ = of[outer].(map[string]any)
		kind = inner
	}
}

// Close closes the files.
func (c *Case) Close() error {
	c.values.Close()
	return c.root.Close()
}

// Floats is a named answer with its shape.
func (c *Case) Floats(name string) ([]float32, []int64, error) {
	t := c.values.Tensor(name)
	if t == nil {
		return nil, nil, fmt.Errorf("reference case %s has no %q", c.Dir, name)
	}
	v, err := t.Floats()
	return v, t.Shape, err
}

// Has reports whether there is an answer of that name.
func (c *Case) Has(name string) bool { return c.values.Tensor(name) != nil }

// Names are the answers whose names begin with prefix, sorted.
func (c *Case) Names(prefix string) []string {
	return slices.DeleteFunc(c.values.Names(), func(name string) bool { return !strings.HasPrefix(name, prefix) })
}

// Folders are the parts of names between prefix and the next slash, sorted, each once.
func (c *Case) Folders(prefix string) []string {
	var out []string
	for _, name := range c.Names(prefix) {
		if folder, _, inside := strings.Cut(name[len(prefix):], "/"); inside && !slices.Contains(out, folder) {
			out = append(out, folder)
		}
	}
	return out
}

// IDs is a named list of token ids.
func (c *Case) IDs(name string) ([]int32, error) {
	t := c.values.Tensor(name)
	if t == nil {
		return nil, fmt.Errorf("reference case %s has no %q", c.Dir, name)
	}
	wide, err := t.Ints()
	ids := make([]int32, len(wide))
	for i, v := range wide {
		ids[i] = int32(v)
	}
	return ids, err
}

// Loops are the loop counts for which there is an answer prefix/T_n/…, ascending.
func (c *Case) Loops(prefix string) []int {
	var out []int
	for _, folder := range c.Folders(prefix + "/") {
		number, ok := strings.CutPrefix(folder, "T_")
		if n, err := strconv.Atoi(number); ok && err == nil {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}
