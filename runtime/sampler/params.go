package sampler

import (
	"errors"
	"fmt"
	"math"
)

// ErrParams says that a sampling parameter is out of its range.
var ErrParams = errors.New("bad sampling parameter")

// Params are the sampling parameters of a request, as OpenAI and vLLM name them. The zero value is greedy.
type Params struct {
	Temperature float64 // 0: greedy; otherwise logits are divided by it
	TopK        int     // keep the k most likely; 0 or less: all
	TopP        float64 // keep the smallest set whose probability reaches it; 0 or 1: all
	MinP        float64 // keep tokens at least this likely, relative to the most likely; 0: all
	Seed        uint64
}

// Check returns an error that names the first field out of its range, and what it may be.
func (p Params) Check() error {
	bad := func(field string, v float64, want string) error {
		return fmt.Errorf("%w: %s is %v, must be %s", ErrParams, field, v, want)
	}
	switch {
	case !(p.Temperature >= 0 && p.Temperature <= math.MaxFloat32):
		return bad("temperature", p.Temperature, "0 (greedy) or a positive number")
	case !(p.TopP >= 0 && p.TopP <= 1):
		return bad("top_p", p.TopP, "in (0, 1]")
	case !(p.MinP >= 0 && p.MinP <= 1):
		return bad("min_p", p.MinP, "in [0, 1]")
	}
	return nil
}
