package main

import (
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/loopserve/loopserve/models/export"
)

func TestReadDepths(t *testing.T) {
	for _, tt := range []struct {
		text string
		want []string // nil: refused
	}{
		{"", []string{""}}, // the model's default
		{"8", []string{"8"}},
		{"1,2, 4 ,auto", []string{"1", "2", "4", "auto"}},
		{"0", nil},
		{"-1", nil},
		{"1,,2", nil},
		{"2.5", nil},
		{"AUTO", nil},
	} {
		got, err := readDepths(tt.text)
		if !slices.Equal(got, tt.want) || (err == nil) != (tt.want != nil) {
			t.Errorf("readDepths(%q) = %q, %v, want %q", tt.text, got, err, tt.want)
		}
		if err != nil && (!strings.Contains(err.Error(), "--loops is ") || exitCode(t.Context(), err) != exitUsage) {
			t.Errorf("readDepths(%q): %v", tt.text, err)
		}
	}
	if isDepth("1,2") || !isDepth("auto") || !isDepth("") {
		t.Error("a single depth, auto, or none is a depth; a list is not")
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{8: "8", 5.333: "5.3", 0.05: "0.1", 12: "12"} {
		if got := number(v); got != want {
			t.Errorf("number(%v) = %s, want %s", v, got, want)
		}
	}
}

// A long export tells where it is, in lines where there is no terminal; a short one says nothing.
func TestExportProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		bar := newBar(io.Discard, "")
		bar.terminal = false
		tell := exportProgress(bar, sayTo(&out))
		tell(export.Progress{Doing: "writing weights", Total: 4, Done: 1})
		if out.Len() > 0 {
			t.Errorf("said %q in the first seconds", out.String())
		}
		time.Sleep(6 * time.Second)
		tell(export.Progress{Doing: "writing weights", Tensor: "block.0.q", Total: 4, Done: 1, Written: 3e6})
		tell(export.Progress{Doing: "writing weights", Tensor: "block.0.k", Total: 4, Done: 2, Written: 4e6})
		if want := "writing weights:  25 %, 3 MB, block.0.q\n"; out.String() != want {
			t.Errorf("said %q, want %q", out.String(), want)
		}
	})
}
