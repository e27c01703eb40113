package paged

import (
	"encoding/binary"
	"math"
	"math/rand/v2"

	"github.com/loopserve/loopserve/internal/float16"
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
		kind: m.State.Kind, std: m.State.Std, scale: m.State.Scale, size: m.StateWidth(),
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
	switch {
	case !st.half:
		binary.LittleEndian.PutUint32(row[4*k:], math.Float32bits(v))
	case st.bf16:
		binary.LittleEndian.PutUint16(row[2*k:], float16.Brain(v))
	default:
		binary.LittleEndian.PutUint16(row[2*k:], float16.Of(v))
	}
}
