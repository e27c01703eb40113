package paged

import (
	"math"
	"math/rand/v2"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/models/bundle"
)

// initialState fills a row's latent before its first loop, for models whose prelude does not give it. It depends on
// the request's seed and the row's position alone, so that a request repeats in any company and a prefix can be shared.
type initialState struct {
	kind       string // "zeros" or "normal"
	std, scale float64
	size       int
	rng        *rand.Rand
	pcg        *rand.PCG
	half       bool // float16 or bfloat16 latents: see put
	bf16       bool
}

func newInitialState(m *bundle.Manifest) initialState {
	pcg := rand.NewPCG(0, 0)
	return initialState{
		kind: m.State.Kind, std: m.State.Std, scale: m.State.Scale, size: m.HiddenSize,
		pcg: pcg, rng: rand.New(pcg),
		half: m.Precision.Activations != "f32", bf16: m.Precision.Activations == "bf16",
	}
}

// fill writes the state of each of the batch's rows under its slot.
func (st *initialState) fill(b *loopctl.Batch, to *slots) {
	mem := to.mem.Bytes()
	for i := range b.Spans {
		s := &b.Spans[i]
		for j, slot := range s.Rows {
			row := mem[int(slot)*to.bytes : (int(slot)+1)*to.bytes]
			if st.kind != "normal" {
				clear(row)
				continue
			}
			st.pcg.Seed(s.Seed, uint64(s.Past+j))
			for k := range st.size {
				st.put(row, k, float32(st.draw()))
			}
		}
	}
}

// draw gives a normal of standard deviation std, drawn again beyond ±3 std (a truncated normal, as
// torch.nn.init.trunc_normal_ with a=−3std, b=3std), times scale.
func (st *initialState) draw() float64 {
	for {
		if x := st.rng.NormFloat64(); math.Abs(x) <= 3 {
			return x * st.std * st.scale
		}
	}
}

func (st *initialState) put(row []byte, k int, v float32) {
	bits := math.Float32bits(v)
	switch {
	case !st.half:
		row[4*k], row[4*k+1], row[4*k+2], row[4*k+3] = byte(bits), byte(bits>>8), byte(bits>>16), byte(bits>>24)
	case st.bf16:
		bits += 0x7fff + bits>>16&1 // round to nearest even
		row[2*k], row[2*k+1] = byte(bits>>16), byte(bits>>24)
	default:
		h := float16(v)
		row[2*k], row[2*k+1] = byte(h), byte(h>>8)
	}
}

// float16 rounds v to the nearest IEEE half, ties to even. Values too small for a normal half become 0 and too large
// ones infinite: an initial state has neither.
func float16(v float32) uint16 {
	bits := math.Float32bits(v)
	sign := uint16(bits >> 16 & 0x8000)
	exponent := int(bits>>23&0xff) - 127 + 15
	switch {
	case exponent <= 0:
		return sign
	case exponent >= 31:
		return sign | 0x7c00
	}
	mantissa := bits & 0x7fffff
	half := uint32(exponent)<<10 | mantissa>>13
	if rest := mantissa & 0x1fff; rest > 0x1000 || rest == 0x1000 && half&1 == 1 {
		half++ // may carry into the exponent, which is right
	}
	return sign | uint16(half)
}
