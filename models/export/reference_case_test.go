package export_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
)

// answers is a safetensors file in the making.
type answers struct {
	header map[string]any
	data   []byte
}

func (a *answers) add(name, dtype string, shape []int, raw []byte) {
	from := len(a.data)
	a.data = append(a.data, raw...)
	a.header[name] = map[string]any{"dtype": dtype, "shape": shape, "data_offsets": [2]int{from, len(a.data)}}
}

func (a *answers) rows(name string, rows []vector) {
	var raw []byte
	for _, row := range rows {
		for _, v := range row {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(v)))
		}
	}
	a.add(name, "F32", []int{len(rows), len(rows[0])}, raw)
}

// writeCase puts what the model in dir says beside it, in the vectors' form (internal/golden reads it): logits and
// states of a prompt at each of the loop counts.
func writeCase(dir string, prompt []int, loops ...int) error {
	m, err := openReference(dir)
	if err != nil {
		return err
	}
	a := &answers{header: map[string]any{}}
	var raw []byte
	for _, id := range prompt {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(id))
	}
	a.add("prompt_0/ids", "I64", []int{len(prompt)}, raw)
	for _, n := range loops {
		got := m.Run(prompt, n)
		a.rows(fmt.Sprintf("prompt_0/T_%d/logits", n), got.Logits)
		for s, state := range got.States {
			a.rows(fmt.Sprintf("prompt_0/T_%d/hidden_step_%d", n, s), state)
		}
	}
	header, err := json.Marshal(a.header)
	if err != nil {
		return err
	}
	file := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	file = append(append(file, header...), a.data...)
	if err := os.WriteFile(filepath.Join(dir, "golden.safetensors"), file, 0o644); err != nil {
		return err
	}
	about, err := json.Marshal(map[string]any{
		"family": m.family, "model_type": m.config.ModelType,
		"tolerance": map[string]float64{"logits": 5e-4, "hidden": 2e-4}, // as the vectors', at these sizes
	})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "golden.json"), about, 0o644)
}
