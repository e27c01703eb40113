// Package gguf reads GGUF files, llama.cpp's format, as the Hugging Face checkpoint they stand for: a config.json, a tokenizer,
// and tensors under their names in transformers, whose numbers are widened to float32 bit for bit as ggml defines its types.
//
// A file is nobody's word: counts and lengths are bounded by the bytes that are there, and an error names the key or the tensor.
package gguf
