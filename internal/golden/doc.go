// Package golden reads the vectors that bundles are compared against: what other implementations (upstream's own model
// code) answered. It is what `loopserve verify --golden` needs and no more; goldentest, below it, finds them for tests.
package golden
