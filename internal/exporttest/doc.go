// Package exporttest makes checkpoints of every family, and of released models' exact sizes, with random weights
// (internal/measure/random): for tests, and for measuring exports. The binary that ships does not link it.
package exporttest
