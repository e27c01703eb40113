package export

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/loopserve/loopserve/models/bundle"
)

// config is a checkpoint's config.json. A family takes the keys that it knows; what is left must be harmless.
type config struct {
	keys map[string]json.RawMessage
	errs []error
	root *os.Root // the checkpoint's folder
}

// harmless keys say nothing about the math of inference.
var harmless = []string{
	"architectures", "auto_map", "bos_token_id", "eos_token_id", "pad_token_id", "model_type", "torch_dtype", "dtype",
	"transformers_version", "use_cache", "initializer_range", "attention_dropout", "pretraining_tp", "_name_or_path",
	"tokenizer_class", "return_dict", "output_attentions", "output_hidden_states", "loopserve",
}

func readConfig(root *os.Root) (*config, error) {
	f, err := root.Open("config.json")
	if err != nil {
		return nil, fmt.Errorf("config.json: %w (export takes a Hugging Face checkpoint folder)", err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	c := &config{root: root}
	if err := json.Unmarshal(raw, &c.keys); err != nil {
		return nil, fmt.Errorf("config.json: not a JSON object: %w", err)
	}
	return c, nil
}

func (c *config) fail(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("config.json: "+format, args...))
}

// take decodes a key into v and strikes it off; it reports whether the key is there and not null.
func (c *config) take(key string, v any) bool {
	raw, ok := c.keys[key]
	delete(c.keys, key)
	if !ok || string(raw) == "null" {
		return false
	}
	if err := json.Unmarshal(raw, v); err != nil {
		c.fail("%s is %s: %v", key, raw, err)
		return false
	}
	return true
}

// strict is take for an object of which every key must be known: another one is refused by its name.
func (c *config) strict(key string, v any) bool {
	raw, ok := c.keys[key]
	delete(c.keys, key)
	if !ok || string(raw) == "null" {
		return false
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		c.fail("%s is %.200s: %v", key, raw, err)
		return false
	}
	return true
}

// name looks at a key that names something, and leaves it.
func (c *config) name(key string, v *string) {
	if raw, ok := c.keys[key]; ok && json.Unmarshal(raw, v) != nil {
		c.fail("%s is %s, must be a string", key, raw)
	}
}

// size takes a whole number in [low, high]; def stands in where the key is absent, and −1 makes it required.
func (c *config) size(key string, low, high, def int) int {
	v := def
	if !c.take(key, &v) && def < 0 {
		c.fail("%s is missing", key)
		return low
	}
	if v < low || v > high {
		c.fail("%s is %d, must be %d to %d", key, v, low, high)
		return low
	}
	return v
}

func (c *config) number(key string, def float64) float64 {
	v := def
	if !c.take(key, &v) && math.IsNaN(def) {
		c.fail("%s is missing", key)
	}
	if !(v > 0) || math.IsInf(v, 0) {
		c.fail("%s is %v, must be a positive number", key, v)
		return 1
	}
	return v
}

// must refuses a key with any value but those: another one would change the math.
func (c *config) must(key string, allowed ...string) {
	raw, ok := c.keys[key]
	delete(c.keys, key)
	if ok && !slices.Contains(allowed, string(raw)) {
		c.fail("%s is %s, which this exporter does not implement (only %s)", key, raw, strings.Join(allowed, ", "))
	}
}

// ignore strikes off keys that say nothing while the options they belong to are off.
func (c *config) ignore(keys ...string) {
	for _, key := range keys {
		delete(c.keys, key)
	}
}

// done returns every error found, and one for each key that nobody took.
func (c *config) done() error {
	var left []string
	for key := range c.keys {
		if !slices.Contains(harmless, key) {
			left = append(left, key)
		}
	}
	slices.Sort(left)
	for _, key := range left {
		c.fail("unknown key %s (value %.80s): it may change the math, so it is refused", key, c.keys[key])
	}
	return errors.Join(c.errs...)
}

// loops takes the trained count under its family's key and gives 1 to twice that, the trained count by default; or what
// the hint {"loopserve": {"loops": {…}, "auto": {…}}} says.
func (c *config) loops(trained string) (bundle.LoopRange, *bundle.Auto) {
	n := c.size(trained, 1, 1<<16, -1)
	r := bundle.LoopRange{Min: 1, Default: n, Trained: n, Max: 2 * n}
	hint := struct {
		Loops *bundle.LoopRange `json:"loops"`
		Auto  *bundle.Auto      `json:"auto"`
	}{Loops: &r}
	c.take("loopserve", &hint)
	if r.Min < 1 || r.Default < r.Min || r.Max < r.Default || r.Trained < 1 {
		c.fail("loopserve.loops is %+v: needs 1 <= min <= default <= max and trained >= 1", r)
	}
	return r, hint.Auto
}

// optional decodes another JSON file of the folder, and reports whether it is there.
func (c *config) optional(name string, v any) bool {
	f, err := c.root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	if err == nil {
		defer f.Close()
		err = json.NewDecoder(io.LimitReader(f, 256<<20)).Decode(v)
	}
	if err != nil {
		c.errs = append(c.errs, fmt.Errorf("%s: %w", name, err))
	}
	return err == nil
}
