package bundle

import (
	"errors"
	"fmt"
)

// ErrProvider says that a bundle is for another device than the one at hand.
var ErrProvider = errors.New("bundle needs another provider")

// RunsOn reports whether the bundle's graphs have kernels on an execution provider, "cpu" or "cuda", and if not, what
// to do about it.
func (m *Manifest) RunsOn(provider string) error {
	switch {
	case m.Provider == ProviderCUDA && provider != ProviderCUDA:
		return fmt.Errorf("%w: %s has %s activations, whose attention runs only on CUDA, but the provider is %s: serve it with provider: cuda, or export the checkpoint again with --dtype f32",
			ErrProvider, m.Name, m.Precision.Activations, provider)
	case m.Kind == KindDense && provider == ProviderCUDA:
		return fmt.Errorf("%w: %s has kind %s, which runs only on the CPU, but the provider is cuda: serve it with provider: cpu",
			ErrProvider, m.Name, KindDense)
	case m.Provider == "" && provider == ProviderCUDA:
		return fmt.Errorf("%w: %s has %s activations, whose attention runs only on the CPU, but the provider is cuda: serve it with provider: cpu, or export the checkpoint again with --dtype bf16 or f16",
			ErrProvider, m.Name, m.Precision.Activations)
	}
	return nil
}

// checkProvider holds provider and activations together.
func (m *Manifest) checkProvider() error {
	if m.Provider != "" && m.Provider != ProviderCUDA {
		return fmt.Errorf("provider is %q, must be absent or %q", m.Provider, ProviderCUDA)
	}
	if half := m.Precision.Activations != "f32"; half != (m.Provider == ProviderCUDA) {
		return fmt.Errorf("provider is %q with %s activations: attention in f16 and bf16 has a kernel only on CUDA, and attention in f32 only on the CPU",
			m.Provider, m.Precision.Activations)
	}
	return nil
}

// checkAttention refuses attention nodes that the bundle's provider has no kernel for.
func (m *Manifest) checkAttention(of map[string]int) error {
	want, other, where := "loopserve", "com.microsoft", "the CPU"
	if m.Provider == ProviderCUDA {
		want, other, where = other, want, "CUDA"
	}
	if of[other] > 0 {
		return fmt.Errorf("it has %d %s.PagedAttention nodes, which have no kernel on %s: a bundle with %s activations needs %s.PagedAttention",
			of[other], other, where, m.Precision.Activations, want)
	}
	return nil
}
