// Package parity compares an engine with a golden case, whatever that case has answers for: the logits of every prompt
// at every loop count, the hidden state after each loop, gates and the exits that they lead to, exit criteria after each
// loop, greedy continuations with each kind of cache. `loopserve verify --golden` and the golden tests are it. An answer
// that nothing here compares is listed, with the reason, never passed over.
//
// It drives the engine with its own minimal schedule (one sequence, one span a call; in company a second one at another
// depth rides along), and so says nothing about scheduling: that alone equals mixed is another test.
package parity
