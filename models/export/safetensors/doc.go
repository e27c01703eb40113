// Package safetensors reads checkpoints in Hugging Face's safetensors layout, one file or shards with an index, from
// folders that nobody vouches for: every offset, size, name and link is checked before a byte of a tensor is used.
//
// It reads through an os.Root or the like, so that no name and no link leaves the folder, and it holds no tensor in memory:
// Tensor.Read streams float32 values whatever the stored type is.
package safetensors
