package spelling_test

import (
	"testing"

	"github.com/loopserve/loopserve/internal/spelling"
)

func TestNear(t *testing.T) {
	known := []string{"loops", "max_rows", "exit_threshold", "return_loops"}
	tests := []struct{ name, want string }{
		{"loop", "loops"},
		{"lopos", "loops"}, // two letters swapped are one slip
		{"max_row", "max_rows"},
		{"max_orw", ""}, // a short name allows one slip, this has two
		{"exit_treshhold", "exit_threshold"},
		{"exit_limit", ""},
		{"tools", ""}, // two letters away from loops, and another word
		{"", ""},
	}
	for _, tt := range tests {
		if got, ok := spelling.Near(tt.name, known); got != tt.want || ok != (tt.want != "") {
			t.Errorf("Near(%q) = %q, %v, want %q", tt.name, got, ok, tt.want)
		}
	}
}
