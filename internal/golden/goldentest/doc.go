// Package goldentest finds the vectors for tests, by name: no case is listed in code, so a vector that is added is a
// vector that is tested. They lie outside this repository, in the folder that LOOPSERVE_VECTORS names; without it, in
// ../shared beside the repository. Where the folder is absent a test skips, unless LOOPSERVE_REQUIRE_VECTORS=1 says that it
// must not be.
//
// It is not a fixture store: small cases that a test cannot do without live in that package's own testdata.
package goldentest
