// Package sampler turns logits into a token id: pure functions on slices, and one Sampler for each sequence that
// holds its random source, what penalties count, its constraint, and scratch.
//
// Parameters are applied in vLLM's order: allowed tokens, stop ids too early, bias, penalties, the constraint; then the
// filters: temperature, min-p, top-k, top-p. The draw takes one random number per token of the answer and makes of it a number
// for each token of the vocabulary (race), so that the same seed gives the same tokens wherever the logits agree, but for near
// ties, whatever order a selection left the candidates in. Log-probabilities are those of the model itself, before any of that.
//
// It knows no model, no tokenizer and no engine. A Sampler belongs to the one goroutine that picks, and so do its forks.
package sampler
