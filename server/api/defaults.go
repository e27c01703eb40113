package api

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Defaults are what fields of sampling are where a request leaves them out, by name: int or float64.
type Defaults map[string]any

// inGenerationConfig names the fields as a generation_config.json has them: those that vLLM reads there.
var inGenerationConfig = map[string]string{
	"temperature": "temperature", "top_p": "top_p", "top_k": "top_k", "min_p": "min_p",
	"repetition_penalty": "repetition_penalty", "max_tokens": "max_new_tokens",
}

// ReadDefaults reads a model's generation_config.json. Values that a request could not have either are left out, and named by
// the error.
func ReadDefaults(data []byte) (Defaults, error) {
	var config Body
	if err := json.Unmarshal(data, &config); err != nil {
		return nil, fmt.Errorf("it is no JSON object: %w", err)
	}
	var errs []error
	out := Defaults{}
	for i := range samplingRows {
		f := &samplingRows[i]
		name, ok := inGenerationConfig[f.Name]
		if !ok || f.Routes&Completions == 0 || !config.Has(name) {
			continue
		}
		if v, err := f.read(config, name, &Bounds{}); err != nil {
			errs = append(errs, err)
		} else {
			out[f.Name] = v
		}
	}
	return out, errors.Join(errs...)
}
