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

// rope takes θ under its key, and the scaling (none, llama3, or one of kinds), and gives the tables of a head. Configs have the
// scaling in rope_scaling; newer ones have both in rope_parameters; some have all of it.
func (c *config) rope(theta string, dim, positions int, kinds ...string) (cos, sin []float32) {
	var base agreed[float64]
	if v := 0.0; c.take(theta, &v) {
		base.say(c, theta, v)
	}
	var scaling agreed[ropeScaling]
	for _, key := range []string{"rope_scaling", "rope_parameters"} {
		in := struct {
			ropeScaling
			Type    string   `json:"type"` // the older name of rope_type
			Theta   *float64 `json:"rope_theta"`
			Partial float64  `json:"partial_rotary_factor"`
		}{ropeScaling: ropeScaling{Original: float64(positions), Truncate: true}, Partial: 1}
		if !c.strict(key, &in) {
			continue
		}
		if in.Theta != nil {
			base.say(c, key+".rope_theta", *in.Theta)
		}
		if in.Partial != 1 {
			c.fail("%s.partial_rotary_factor is %v, which is not implemented (only 1)", key, in.Partial)
		}
		switch {
		case in.Kind == "" && in.Type == "" && key == "rope_parameters":
			in.Kind = "default"
		case in.Kind != "" && in.Type != "" && in.Kind != in.Type:
			c.fail("%s has rope_type %q and type %q: keep one of them", key, in.Kind, in.Type)
		}
		in.Kind = cmp.Or(in.Kind, in.Type)
		if in.Kind == "default" && (in.Factor == 0 || in.Factor == 1) {
			in.Factor, in.Low, in.High, in.Original = 1, 0, 0, 0
		}
		scaling.say(c, key, in.ropeScaling)
	}
	kinds = append(kinds, "default", "llama3")
	if s := scaling.v; scaling.key != "" && !slices.Contains(kinds, s.Kind) {
		c.fail("%s of type %q is not implemented (only %s)", scaling.key, s.Kind, strings.Join(kinds, ", "))
		scaling = agreed[ropeScaling]{}
	}
	if base.key == "" {
		base.v = c.theta
	}
	b := c.positive(cmp.Or(base.key, theta), base.v)
	inverse := inverseFrequencies(b, dim)
	size, err := scaling.v.apply(inverse, b)
	if scaling.key != "" && err != nil {
		c.fail("%s %w", scaling.key, err)
	}
	var factors []float64 // a GGUF file's, of llama3's rule
	if c.take("rope_factors", &factors) && (len(factors) != len(inverse) || slices.Min(factors) <= 0) {
		c.fail("rope_factors (a GGUF file's tensor rope_freqs.weight) are %d, must be %d positive numbers", len(factors), len(inverse))
	} else {
		for i, f := range factors {
			inverse[i] /= f
		}
	}
	if positions*dim > 1<<30 {
		c.fail("%d positions of heads %d wide: RoPE's tables of them are too large (at most %d numbers)", positions, dim, 1<<30)
		positions = 1
	}
	return ropeTables(inverse, size, positions)
}

// ropeScaling stretches RoPE's wavelengths. A key beside these changes the math.
type ropeScaling struct {
	Kind     string  `json:"rope_type"` // default, llama3, linear, dynamic or yarn
	Factor   float64 `json:"factor"`
	Low      float64 `json:"low_freq_factor"`
	High     float64 `json:"high_freq_factor"`
	Original float64 `json:"original_max_position_embeddings"`

	// Of yarn. A zero is upstream's default.
	Size     float64 `json:"attention_factor"` // of cos and sin
	Fast     float64 `json:"beta_fast"`
	Slow     float64 `json:"beta_slow"`
	Scale    float64 `json:"mscale"`
	ScaleAll float64 `json:"mscale_all_dim"`
	Truncate bool    `json:"truncate"`
}

// apply scales the frequencies of a base, and gives what cos and sin are multiplied with.
func (s ropeScaling) apply(inverse []float64, base float64) (size float64, err error) {
	switch {
	case s.Kind == "": // no scaling at all
		return 1, nil
	case s.Kind != "yarn" && [5]float64{s.Size, s.Fast, s.Slow, s.Scale, s.ScaleAll} != [5]float64{}:
		return 1, fmt.Errorf("of type %q has a key of yarn's: attention_factor, beta_fast, beta_slow, mscale or mscale_all_dim", s.Kind)
	case s.Kind == "default" && s.Factor != 1:
		return 1, fmt.Errorf("of type \"default\" has factor %v, but that type takes none", s.Factor)
	case s.Kind != "default" && !(s.Factor >= 1 && s.Original > 0):
		return 1, fmt.Errorf("of type %q has factor %v and original_max_position_embeddings %v: needs factor >= 1, and a positive original_max_position_embeddings where there is one", s.Kind, s.Factor, s.Original)
	}
	switch s.Kind {
	case "linear":
		for i := range inverse {
			inverse[i] /= s.Factor
		}
	case "dynamic": // upstream stretches what is longer than max_position_embeddings, and no sequence is
	case "yarn":
		return s.yarn(inverse, base), nil
	case "llama3":
		if !(s.High > s.Low && s.Low > 0) {
			return 1, errors.New("llama3 needs high_freq_factor > low_freq_factor > 0")
		}
		s.llama3(inverse)
	}
	return 1, nil
}

// llama3 is the rule of Llama 3.1: long wavelengths are stretched, short ones kept, those between blended.
func (s ropeScaling) llama3(inverse []float64) {
	for i, f := range inverse {
		wavelength := 2 * math.Pi / f
		switch {
		case wavelength > s.Original/s.Low:
			inverse[i] = f / s.Factor
		case wavelength >= s.Original/s.High:
			blend := (s.Original/wavelength - s.Low) / (s.High - s.Low)
			inverse[i] = (1-blend)*f/s.Factor + blend*f
		}
	}
}

// yarn (arXiv 2309.00071) keeps the pairs that turn more than beta_fast times over the original context, stretches those that
// turn less than beta_slow times, blends those between by their index, and widens the scores by a size.
func (s ropeScaling) yarn(inverse []float64, base float64) (size float64) {
	dim := float64(2 * len(inverse))
	at := func(turns float64) float64 {
		return dim * math.Log(s.Original/(turns*2*math.Pi)) / (2 * math.Log(base))
	}
	low, high := at(cmp.Or(s.Fast, 32)), at(cmp.Or(s.Slow, 1))
	if s.Truncate {
		low, high = math.Floor(low), math.Ceil(high)
	}
	low, high = max(low, 0), min(high, dim-1)
	if low == high {
		high += 0.001
	}
	for i, f := range inverse {
		stretch := min(max((float64(i)-low)/(high-low), 0), 1)
		inverse[i] = f/s.Factor*stretch + f*(1-stretch)
	}
	scale := func(m float64) float64 { return 0.1*m*math.Log(s.Factor) + 1 }
	switch {
	case s.Size > 0:
		return s.Size
	case s.Scale > 0 && s.ScaleAll > 0:
		return scale(s.Scale) / scale(s.ScaleAll)
	}
	return scale(1)
}

// ropeTables gives cos and sin [positions, dim/2], always from the config and in float64: checkpoints store them in
// whatever precision, or not at all.
func ropeTables(inverse []float64, size float64, positions int) (cos, sin []float32) {
	cos, sin = make([]float32, 0, positions*len(inverse)), make([]float32, 0, positions*len(inverse))
	for p := range positions {
		for _, f := range inverse {
			s, c := math.Sincos(float64(p) * f)
			cos, sin = append(cos, float32(c*size)), append(sin, float32(s*size))
		}
	}
	return cos, sin
}

// inverseFrequencies are θ^(−2i/dim).
func inverseFrequencies(theta float64, dim int) []float64 {
	out := make([]float64, dim/2)
	for i := range out {
		out[i] = math.Pow(theta, -float64(2*i)/float64(dim))
	}
	return out
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
