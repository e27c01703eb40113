package measure

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Problem is one line of a problem file.
type Problem struct {
	Prompt string `json:"prompt"`
	Answer string `json:"answer"`
	Group  string `json:"group"` // difficulty, as the table's columns; may be empty
}

// ReadProblems reads JSON lines. An error names the line.
func ReadProblems(data []byte) (out []Problem, err error) {
	n := 0
	for line := range bytes.Lines(data) {
		n++
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var p struct {
			Problem
			Difficulty any // a text or a number: the group, where there is none
		}
		if err := json.Unmarshal(line, &p); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if p.Group == "" && p.Difficulty != nil {
			p.Group = fmt.Sprint(p.Difficulty)
		}
		if p.Prompt == "" || p.Answer == "" {
			return nil, fmt.Errorf(`line %d: needs a "prompt" and an "answer", both not empty`, n)
		}
		out = append(out, p.Problem)
	}
	if len(out) == 0 {
		return nil, errors.New(`no problems: each line is {"prompt": "12+30=", "answer": "42", "group": "2 terms"}`)
	}
	return out, nil
}

// Some takes n problems at even distances, so that every group keeps its share; 0 takes all.
func Some(problems []Problem, n int) []Problem {
	if n <= 0 || n >= len(problems) {
		return problems
	}
	out := make([]Problem, n)
	for i := range out {
		out[i] = problems[i*len(problems)/n]
	}
	return out
}
