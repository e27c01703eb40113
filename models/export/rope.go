package export

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

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
