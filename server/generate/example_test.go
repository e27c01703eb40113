package generate_test

import (
	"fmt"

	"github.com/loopserve/loopserve/server/generate"
)

func ExampleStopMatcher() {
	m := generate.NewStopMatcher([]string{"\nUser:"})
	for _, piece := range []string{"Hi", "!\nU", "ser: x"} {
		emit, hit, stopped := m.Push(piece)
		fmt.Printf("%q %q %t\n", emit, hit, stopped)
	}
	// Output:
	// "Hi" "" false
	// "!" "" false
	// "" "\nUser:" true
}
