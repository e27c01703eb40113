package export

import (
	"encoding/json"
	"errors"
	"math"
	"testing"
)

// The tables of every scaling are those of transformers 5.24.0 (LlamaRotaryEmbedding with head_dim 16, 32 positions, θ 10000):
// cos of position 7 and sin of position 31 for the first four pairs.
func TestRopeScalings(t *testing.T) {
	for scaling, want := range map[string][2][4]float64{
		`{"type": "linear", "factor": 4}`:       {{-0.1782461, 0.8507432, 0.9847265, 0.9984691}, {0.9945987, 0.6371752, 0.6997161, 0.2426306}},
		`{"rope_type": "dynamic", "factor": 4}`: {{0.7539023, -0.5994375, 0.7648422, 0.9755999}, {-0.4040377, -0.369325, 0.04158052, 0.8306679}},
		`{"rope_type": "yarn", "factor": 4, "original_max_position_embeddings": 16}`: {
			{0.8584153, 0.9686812, 1.121239, 1.136886}, {-0.4600492, 0.7255064, 0.7967173, 0.2762663},
		},
		`{"rope_type": "yarn", "factor": 4, "original_max_position_embeddings": 16, "beta_fast": 4, "beta_slow": 0.5, "truncate": false}`: {
			{0.8584153, 0.5769551, 1.121239, 1.136886}, {-0.4600492, -1.131848, 0.7967173, 0.2762663},
		},
		`{"rope_type": "yarn", "factor": 8, "mscale": 0.8, "mscale_all_dim": 0.4}`: {
			{0.8117948, 0.3444914, 1.072671, 1.076378}, {-0.4350639, -0.7487902, 0.4068922, 0.1316181},
		},
		`{"rope_type": "yarn", "factor": 8, "attention_factor": 1.25, "original_max_position_embeddings": 20}`: {
			{0.9423778, 0.3999054, 1.245218, 1.249521}, {-0.5050471, -0.8692385, 0.4723437, 0.1527898},
		},
	} {
		c := &config{keys: map[string]json.RawMessage{"rope_theta": []byte("10000"), "rope_scaling": []byte(scaling)}}
		cos, sin := c.rope("rope_theta", 16, 32, "linear", "dynamic", "yarn")
		if err := errors.Join(c.errs...); err != nil {
			t.Errorf("%s: %v", scaling, err)
			continue
		}
		for i := range want[0] {
			if got := cos[7*8+i]; math.Abs(float64(got)-want[0][i]) > 2e-6 {
				t.Errorf("%s: cos of pair %d is %v, want %v", scaling, i, got, want[0][i])
			}
			if got := sin[31*8+i]; math.Abs(float64(got)-want[1][i]) > 5e-6 {
				t.Errorf("%s: sin of pair %d is %v, want %v", scaling, i, got, want[1][i])
			}
		}
	}
}
