package playground

import (
	"strings"
	"testing"
)

// Each mark stands once in the page, and no script ends the page's own.
func TestParts(t *testing.T) {
	for _, mark := range []string{styleMark, scriptMark} {
		if n := strings.Count(html, mark); n != 1 {
			t.Errorf("page.html has %q %d times", mark, n)
		}
	}
	if n := strings.Count(string(page().html), "</script"); n != strings.Count(html, "</script") {
		t.Error("a script holds the end tag of one")
	}
}
