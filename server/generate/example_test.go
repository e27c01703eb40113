package generate_test

import (
	"fmt"

	"github.com/loopserve/loopserve/server/generate"
)

func ExampleStopMatcher() {
	m := generate.NewStopMatcher([]string{"\nUser:"})
	for _, piece := range []string{"Hi", "!\nU", "ser: x"} {
		emit, hit := m.Push(piece)
		fmt.Printf("%q %q\n", emit, hit)
	}
	// Output:
	// "Hi" ""
	// "!" ""
	// "" "\nUser:"
}
