// Package configs is what an operator can set, in one struct. default.yaml, embedded and annotated, is the default and
// the documentation; Load lays a file, the environment and flags over it, in this order.
//
// It checks form (types, units, unknown keys, ranges), not the world: whether a folder or a library is there is found
// out by who opens it.
package configs
