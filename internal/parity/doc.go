// Package parity compares an engine with a golden case: the logits of every prompt at every loop count, the hidden
// state after each loop, and greedy continuations. `loopserve verify --golden` and the golden tests are it.
//
// It drives the engine with its own minimal schedule (one sequence, one span a call), and so says nothing about
// scheduling: that alone equals mixed is another test.
package parity
