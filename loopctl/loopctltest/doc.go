// Package loopctltest has a scripted engine for tests of the scheduler and of what stands on it. Its latents are
// single numbers, its K and V too, kept in pages as a real engine keeps them: a wrong page, plane, position, slot or
// order changes the tokens. The arithmetic is exported, so that a test can work out what must come of a request.
//
// It is no model: it has no tensors, no weights and no time of its own.
package loopctltest
