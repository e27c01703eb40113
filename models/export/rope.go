package export

import (
	"encoding/json"
	"fmt"
	"math"
)

// rope takes θ under its key, and rope_scaling (none or llama3), and gives the tables of a head. Newer configs have
// both in rope_parameters.
func (c *config) rope(theta string, dim, positions int) (cos, sin []float32) {
	if raw, ok := c.keys["rope_parameters"]; ok && string(raw) != "null" {
		var in map[string]json.RawMessage
		c.take("rope_parameters", &in)
		if base, ok := in["rope_theta"]; ok {
			if old, both := c.keys[theta]; both && string(old) != "null" && string(old) != string(base) {
				c.fail("%s is %s, rope_parameters.rope_theta is %s: which one is it?", theta, old, base)
			}
			c.keys[theta] = base
			delete(in, "rope_theta")
		}
		if old, both := c.keys["rope_scaling"]; both && string(old) != "null" {
			c.fail("rope_scaling and rope_parameters are both there: which one is it?")
		}
		if len(in) > 0 {
			c.keys["rope_scaling"], _ = json.Marshal(in) // of raw JSON values, which marshal
		}
	}
	inverse := inverseFrequencies(c.number(theta, math.NaN()), dim)
	c.scale(inverse)
	return ropeTables(inverse, positions)
}

// ropeScaling is rope_scaling of the kinds that are implemented; a key beside these changes the math.
type ropeScaling struct {
	RopeType string  `json:"rope_type"`
	Type     string  `json:"type"` // its older name
	Factor   float64 `json:"factor"`
	Low      float64 `json:"low_freq_factor"`
	High     float64 `json:"high_freq_factor"`
	Original float64 `json:"original_max_position_embeddings"`
}

// kind is what the two names agree on.
func (s ropeScaling) kind() (string, error) {
	switch {
	case s.RopeType != "" && s.Type != "" && s.RopeType != s.Type:
		return "", fmt.Errorf("rope_scaling has rope_type %q and type %q: which one is it?", s.RopeType, s.Type)
	case s.RopeType != "":
		return s.RopeType, nil
	}
	return s.Type, nil
}

// scale applies rope_scaling to the frequencies.
func (c *config) scale(inverse []float64) {
	var s ropeScaling
	if !c.strict("rope_scaling", &s) {
		return
	}
	kind, err := s.kind()
	switch {
	case err != nil:
		c.fail("%v", err)
		return
	case kind == "default":
		if s.Factor != 0 && s.Factor != 1 {
			c.fail("rope_scaling of type \"default\" has factor %v, which it has no use for", s.Factor)
		}
		return
	case kind != "llama3":
		c.fail("rope_scaling of type %q is not implemented (only llama3)", kind)
		return
	}
	if !(s.Factor >= 1 && s.High > s.Low && s.Low > 0 && s.Original > 0) {
		c.fail("rope_scaling llama3 needs factor >= 1, high_freq_factor > low_freq_factor > 0 and original_max_position_embeddings > 0")
		return
	}
	for i, f := range inverse { // the rule of Llama 3.1: long wavelengths are stretched, short ones kept, those between blended
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

// ropeTables gives cos and sin [positions, dim/2], always from the config and in float64: checkpoints store them in
// whatever precision, or not at all.
func ropeTables(inverse []float64, positions int) (cos, sin []float32) {
	cos, sin = make([]float32, 0, positions*len(inverse)), make([]float32, 0, positions*len(inverse))
	for p := range positions {
		for _, f := range inverse {
			s, c := math.Sincos(float64(p) * f)
			cos, sin = append(cos, float32(c)), append(sin, float32(s))
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
