// Package dense runs bundles of the kind dense: graphs without a cache, as torch.onnx exports them, that take a whole
// sequence [batch, seq, hidden]. It implements loopctl.Engine, so that everything above it is the same as for a paged
// bundle: depths mix, rows leave early, prompts come in chunks, prefixes are shared, sequences are preempted.
//
// What a paged bundle keeps as keys and values is kept here as the rows themselves. A page of the block's plane t holds
// what its tokens looked like before their loop t; the prelude's pages hold token ids, the coda's the states that it was
// given. A call writes its new rows into the pages, lays each span's whole sequence side by side in [batch, seq, hidden],
// runs the graph, and keeps the last rows. Shorter sequences are filled up behind their end, which changes nothing:
// the graphs are causal. That they are is a promise of the bundle, which `loopserve verify` tries out.
//
// The cost: a token at position n computes n+1 rows in every loop, so a completion is quadratic in its length where a
// cache makes it linear. Memory is hidden_size·4 bytes for each token and plane.
//
// One goroutine calls the engine, as loopctl has it. A graph without layers (manifest: layers 0) sees each row alone and
// has no pages: it is given the new rows only.
package dense
