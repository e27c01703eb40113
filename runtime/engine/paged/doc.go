// Package paged runs bundles of the kind paged: it implements loopctl.Engine over three ONNX Runtime sessions.
//
// Between calls the latent of each row, and what the prelude injects, stay here under the slot number that the
// controller gave. A call packs its rows into one input buffer, runs the graph once, and puts the results back under
// the slots. All buffers are off-heap, allocated once for the largest call, and a call in the steady state allocates
// nothing.
//
// It decides nothing: who runs at which depth, which pages a sequence owns and when a row leaves is loopctl's. It
// samples nothing either. One goroutine calls it.
package paged
