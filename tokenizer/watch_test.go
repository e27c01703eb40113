package tokenizer

import (
	"testing"
	"time"
)

// A match may take seconds: each that ends late is looked at, be it the first.
func TestWatchLooksAtFewMatches(t *testing.T) {
	w := watch{began: time.Now().Add(-2 * time.Second), limit: -1}
	defer w.end()
	if !w.late() {
		t.Error("it did not look")
	}
}
