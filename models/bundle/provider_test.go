package bundle_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/loopserve/loopserve/models/bundle"
)

// A bundle runs where its kernels are; elsewhere it is refused with what to do.
func TestRunsOn(t *testing.T) {
	paged := bundle.Manifest{Name: "p", Kind: bundle.KindPaged, Precision: bundle.Precision{Activations: "f32"}}
	half := bundle.Manifest{Name: "h", Kind: bundle.KindPaged, Provider: bundle.ProviderCUDA, Precision: bundle.Precision{Activations: "bf16"}}
	dense := bundle.Manifest{Name: "d", Kind: bundle.KindDense, Precision: bundle.Precision{Activations: "f32"}}
	for _, c := range []struct {
		m             *bundle.Manifest
		on, elsewhere string
		remedy        string
	}{{&paged, "cpu", "cuda", "--dtype bf16"}, {&half, "cuda", "cpu", "provider: cuda"}, {&dense, "cpu", "cuda", "provider: cpu"}} {
		if err := c.m.RunsOn(c.on); err != nil {
			t.Errorf("%s on %s: %v", c.m.Name, c.on, err)
		}
		if err := c.m.RunsOn(c.elsewhere); !errors.Is(err, bundle.ErrProvider) || !strings.Contains(err.Error(), c.remedy) {
			t.Errorf("%s on %s: %v, want %q", c.m.Name, c.elsewhere, err, c.remedy)
		}
	}
}
