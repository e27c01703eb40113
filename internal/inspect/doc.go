// Package inspect says what can be known of a bundle without running it: layers, parameters, floating-point operations,
// and the memory that requests take. It reads the manifest and the graphs of a bundle that models/bundle has verified,
// and no weights.
package inspect
