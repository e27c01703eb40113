package export

// Emulated asks for 16-bit graphs that run on the CPU: the same nodes, with the CPU's float32 attention between casts
// where CUDA's operator would be, and float32 at the graph's inputs and outputs, which takes nothing from 16 bits.
func Emulated(o Options) Options {
	o.emulate = true
	return o
}
