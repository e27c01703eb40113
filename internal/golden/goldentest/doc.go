// Package goldentest finds the vectors for tests, by name: no case is listed in code, so a vector that is added is a
// vector that is tested. They are in internal/golden/testdata, or in the folder that LOOPSERVE_VECTORS names.
//
// It is not a fixture store: small cases that a test cannot do without live in that package's own testdata.
package goldentest
