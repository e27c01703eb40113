// Package torchbin reads the tensors of a pytorch_model.bin without running it. The file is a zip archive with a pickle
// inside, and pickle is a program that may call anything; here a small unpickler runs the few instructions that a plain
// dictionary of tensors is written with, and knows four names. Any other instruction or name is refused, by name.
//
// Storages are stored uncompressed, so that a tensor is a place in the file: nothing is loaded.
package torchbin
