// Package bundle reads and verifies a served model on disk: manifest, files, graphs. It never runs one.
//
// Nothing of a bundle is trusted. Every file is a plain regular file of the folder with the size and sha256 that the
// manifest states; the ONNX files are walked before the runtime sees them, and every reference to external data must
// lie inside a listed file. docs/bundle-format.md is the format.
package bundle
