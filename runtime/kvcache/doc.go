// Package kvcache holds the bytes of the KV pages: one Arena for each stage that has attention layers, allocated once
// and never moved. Which sequence owns which page is loopctl's affair.
//
// Page p of a stage holds PageSize tokens of all the stage's layers: layer j is slab p·Layers+j of the two tensors
// [Pages·Layers, PageSize, KVHeads, HeadDim]. The arena's owner is the engine; the attention node of a native call
// writes it, on the engine goroutine alone.
package kvcache
