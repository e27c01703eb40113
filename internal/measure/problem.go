package measure

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Problem is one line of a problem file.
type Problem struct {
	Prompt string `json:"prompt"`
	Answer string `json:"answer"`
	Group  string `json:"group"` // difficulty, as the table's columns; may be empty
}

// ReadProblems reads JSON lines. An error names the line.
func ReadProblems(r io.Reader) ([]Problem, error) {
	var out []Problem
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		var p struct {
			Problem
			Difficulty any // a text or a number: the group, where there is none
		}
		if err := json.Unmarshal(lines.Bytes(), &p); err != nil {
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
	if err := lines.Err(); err != nil {
		return nil, err
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
