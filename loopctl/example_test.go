package loopctl_test

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/loopctl/loopctltest"
)

// A deep and a shallow request share every block call, and each ends at its own time.
func Example() {
	limits := loopctl.Capacity{
		MaxRows: 16, Latents: 32, PageSize: 4, Context: 64, Vocab: 50,
		Loops: loopctl.LoopRange{Min: 1, Default: 2, Trained: 4, Max: 8},
	}
	limits.Pages[loopctl.StageBlock] = 100
	told := &story{}
	engine := loopctltest.New(limits)
	engine.Teller = told

	ctx := context.Background()
	c := loopctl.New(engine, loopctl.Config{Observer: told})
	streams, err := c.Submit(
		&loopctl.Request{Seed: 'A', Prompt: []int32{1, 2, 3}, MaxTokens: 1, Loops: 3, Sampler: loopctltest.Greedy{}},
		&loopctl.Request{Seed: 'B', Prompt: []int32{4}, MaxTokens: 2, Loops: 1, Sampler: loopctltest.Greedy{}},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	c.Start()
	for _, s := range streams {
		for {
			ev, err := s.Next(ctx)
			if errors.Is(err, io.EOF) {
				break
			}
			fmt.Println("token", ev.Token.ID, "after", ev.Loops, "loops:", ev.Finish)
		}
	}
	if err := c.Close(ctx); err != nil {
		fmt.Println(err)
	}
	fmt.Print(told)
	// Output:
	// token 37 after 3 loops: length
	// token 33 after 1 loops: none
	// token 33 after 1 loops: length
	// tick 1
	//   prelude A(0..2) B(0)
	//   block   A@0(0..2) B@0(0)
	//   coda    B(0)→33
	// tick 2
	//   prelude B(1)
	//   block   B@0(1) A@1(0..2)
	//   coda    B(1)→33
	//   end     B length
	// tick 3
	//   block   A@2(0..2)
	//   coda    A(2)→37
	//   end     A length
}
