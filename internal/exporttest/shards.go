package exporttest

import (
	"fmt"
	"path/filepath"

	"github.com/loopserve/loopserve/internal/measure/random"
)

// WriteShards is random.Write with the tensors in several files of at most so many bytes each (or of one tensor), and an index.
func WriteShards(dir string, config map[string]any, tensors []random.Tensor, dtype string, seed uint64, most int64) error {
	if err := random.WriteJSON(dir, "config.json", config); err != nil {
		return err
	}
	var shards [][]random.Tensor
	left, total := int64(0), int64(0)
	for _, t := range tensors {
		size := t.Elements() * t.ElementSize(dtype)
		if len(shards) == 0 || size > left {
			shards, left = append(shards, nil), most
		}
		last := len(shards) - 1
		shards[last], left, total = append(shards[last], t), left-size, total+size
	}
	places := map[string]string{}
	for i, shard := range shards {
		name := fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, len(shards))
		for _, t := range shard {
			places[t.Name] = name
		}
		if err := random.WriteTensors(filepath.Join(dir, name), shard, dtype, seed); err != nil {
			return err
		}
	}
	return random.WriteJSON(dir, "model.safetensors.index.json", map[string]any{
		"metadata": map[string]any{"total_size": total}, "weight_map": places,
	})
}
