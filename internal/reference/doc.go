// Package reference is each family's forward pass written down from its mathematics, in test files alone: float64, one
// token after the other, no cache, no batch, no graph. Its tests compare it with the vectors, and the engine with it at
// sizes for which nobody has made vectors: other head counts, ratios, layer splits. It shares the checkpoint reader with
// the exporter, and no line of math.
package reference
