package api

import (
	"bytes"
	"encoding/json"
)

// Encode is json.Marshal that leaves <, > and & as they are: answers are read by programs, not inside HTML.
func Encode(v any) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}
