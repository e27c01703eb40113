package export

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/models/export/safetensors"
)

// config is a checkpoint's config.json. A family takes the keys that it knows; what is left must be inert.
type config struct {
	keys map[string]json.RawMessage // none is null: that is as good as absent
	null map[string]bool            // which were
	errs []error
	dir  *folder
	loop string  // of Options, until a family takes it
	opt  Options // of the window

	theta float64           // RoPE's base where no key says one; 0: one must
	seen  map[string]string // what the family makes of each key, for docs/models.md
}

// readConfig reads config.json as if the keys to ignore were not in it.
func readConfig(dir *folder, ignore []string) (*config, error) {
	raw, err := safetensors.ReadFile(dir, "config.json", 1<<20)
	if err != nil {
		return nil, fmt.Errorf("config.json: %w", dir.explain(err))
	}
	c := &config{dir: dir}
	if err := json.Unmarshal(raw, &c.keys); err != nil {
		return nil, fmt.Errorf("config.json: not a JSON object: %w", err)
	}
	for _, key := range ignore {
		if c.lacks(key) {
			return nil, fmt.Errorf("config.json: there is no key %q to ignore", key)
		}
		delete(c.keys, key)
	}
	c.null = dropNulls(c.keys)
	return c, nil
}

func dropNulls(keys map[string]json.RawMessage) (dropped map[string]bool) {
	dropped = map[string]bool{}
	maps.DeleteFunc(keys, func(key string, v json.RawMessage) bool {
		dropped[key] = string(v) == "null"
		return dropped[key]
	})
	return dropped
}

func (c *config) fail(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("config.json: "+format, args...))
}

// lacks reports whether the key is not there, or was taken.
func (c *config) lacks(key string) bool {
	_, ok := c.keys[key]
	return !ok
}

// orElse puts a value, in JSON, where the key is absent: upstream's default.
func (c *config) orElse(key, v string) {
	if c.lacks(key) {
		c.keys[key] = []byte(v)
	}
}

// take decodes a key into v and strikes it off; it reports whether v has it.
func (c *config) take(key string, v any) bool {
	return c.decode(key, func(raw []byte) error { return json.Unmarshal(raw, v) })
}

// strict is take for an object of which every key must be known: another one is refused by its name.
func (c *config) strict(key string, v any) bool {
	return c.decode(key, func(raw []byte) error {
		var keys map[string]json.RawMessage
		if err := json.Unmarshal(raw, &keys); err != nil {
			return err
		}
		dropNulls(keys)
		raw, _ = json.Marshal(keys) // of raw JSON values, which marshal
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.DisallowUnknownFields()
		return dec.Decode(v)
	})
}

func (c *config) decode(key string, into func(raw []byte) error) bool {
	c.note(key, keyHonoured)
	raw, ok := c.keys[key]
	delete(c.keys, key)
	if !ok {
		return false
	}
	err := into(raw)
	if err != nil {
		c.fail("%s is %.200s: %v", key, raw, err)
	}
	return err == nil
}

// name looks at a key that names something, and leaves it.
func (c *config) name(key string, v *string) {
	if raw, ok := c.keys[key]; ok && json.Unmarshal(raw, v) != nil {
		c.fail("%s is %s, must be a string", key, raw)
	}
}

// size takes an integer in [low, high]; def stands in where the key is absent, and −1 makes it required.
func (c *config) size(key string, low, high, def int) int {
	if c.lacks(key) && def < 0 {
		c.fail("%s is missing", key)
		return low
	}
	v := max(def, low) // where the key holds something else, which is an error of its own
	c.take(key, &v)
	if v < low || v > high {
		c.fail("%s is %d, must be %d to %d", key, v, low, high)
		return low
	}
	return v
}

func (c *config) number(key string) float64 {
	if c.lacks(key) {
		c.fail("%s is missing", key)
		return 1
	}
	v := 1.0
	c.take(key, &v)
	return c.positive(key, v)
}

// positive refuses another number, and gives 1 in its place.
func (c *config) positive(what string, v float64) float64 {
	if !(v > 0) || math.IsInf(v, 0) {
		c.fail("%s is %v, must be a positive number", what, v)
		return 1
	}
	return v
}

// must refuses a key with any value but those: another one would change the math.
func (c *config) must(key string, allowed ...string) {
	c.note(key, cmp.Or(strings.Join(allowed, ", "), "null"))
	raw, ok := c.keys[key]
	delete(c.keys, key)
	if ok && !slices.ContainsFunc(allowed, func(v string) bool { return sameJSON(raw, []byte(v)) }) {
		c.fail("%s is %.200s, which this exporter does not implement (only %s)", key, raw, cmp.Or(strings.Join(allowed, ", "), "null"))
	}
}

// sameJSON compares values, not spellings: 1 is 1.0.
func sameJSON(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

// ignore strikes off keys that say nothing while the options they belong to are off.
func (c *config) ignore(keys ...string) {
	for _, key := range keys {
		c.note(key, keyInert)
		delete(c.keys, key)
	}
}

// note says what the family makes of a key; that it says nothing gives way to anything else.
func (c *config) note(key, how string) {
	if c.seen == nil {
		c.seen = map[string]string{}
	}
	if was := c.seen[key]; was == "" || was == keyInert {
		c.seen[key] = how
	}
}

const keyHonoured, keyInert = "honoured", "inert"

// done returns every error found, and one for each key that nobody took.
func (c *config) done() error {
	if c.loop != "" {
		c.errs = append(c.errs, fmt.Errorf("loop is %q, but this family says itself which layers it loops: leave it out", c.loop))
	}
	for _, k := range inert {
		for _, key := range k.keys {
			if k.only != "" {
				c.must(key, k.only)
			}
			c.ignore(key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(c.keys)) {
		c.fail("unknown key %s (value %.80s): it may change the math, so it is refused; if you know that it does not, export with --ignore-config %s", key, c.keys[key], key)
	}
	return errors.Join(c.errs...)
}

// agreed is one thing that a config may say under several names, as long as they say the same.
type agreed[T comparable] struct {
	v   T
	key string // that said it; "": none
}

func (a *agreed[T]) say(c *config, key string, v T) {
	if a.key != "" && v != a.v {
		c.fail("%s is %v, but %s is %v: keep the one that is right", key, v, a.key, a.v)
	}
	a.v, a.key = v, key
}

// tied takes whether the head is the embedding, under the names of that; def is what upstream's code takes without one.
func (c *config) tied(def bool, keys ...string) bool {
	a := agreed[bool]{v: def}
	for _, key := range keys {
		if v := false; c.take(key, &v) {
			a.say(c, key, v)
		}
	}
	return a.v
}

// loops takes the trained count under its family's key and gives 1 to twice that, the trained count by default; or what a hint says.
func (c *config) loops(trained string) (bundle.LoopRange, *bundle.Auto) {
	n := c.size(trained, 1, 1<<16, -1)
	return c.hinted(bundle.LoopRange{Min: 1, Default: n, Trained: n, Max: 2 * n})
}

// hinted is the range, changed by the hint {"loopserve": {"loops": {…}, "auto": {…}}} where there is one.
func (c *config) hinted(r bundle.LoopRange) (bundle.LoopRange, *bundle.Auto) {
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

// optional decodes another JSON file of the folder, where it is there.
func (c *config) optional(name string, v any) {
	raw, err := safetensors.ReadFile(c.dir, name, 256<<20)
	if err == nil {
		err = json.Unmarshal(raw, v)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.errs = append(c.errs, fmt.Errorf("%s: %w", name, err))
	}
}

// noise is the truncated normal that upstream starts from, as wide as the embedding's initialisation; nil where state_init
// is not what the published checkpoints have.
func (c *config) noise(std, scale float64) *bundle.State {
	kind := "like-init"
	if c.take("state_init", &kind); kind != "like-init" || !(std > 0) {
		return nil
	}
	return &bundle.State{Kind: StateNormal, Std: std, Scale: scale}
}
