// Package loopctl is loop control: it decides which sequence runs, at which depth, until when. A looped model applies
// one block again and again; since the block is the same at every depth, rows of different requests and of different
// depths share one call. A row leaves at its own depth and a new one joins at depth 0 in the next tick: no row waits for
// the deepest.
//
//	            ┌───────────── one tick: at most three native calls ─────────────┐
//	Submit ──▶ admit ──▶ choose ──▶ prelude ──▶ block ──▶ exit ──▶ coda ──▶ sample ──▶ Stream
//	  queue    pages?    who runs   A(0..3)     A@0(0..3)   who has  C(7)     C: 42
//	  (bound)  latents?  now        depth 0     B@3(9)      looped            │
//	             ▲                              C@7(7)      enough            │ stop? its pages are free
//	             │                                ▲ not yet │                 │ else
//	             └────────────────────────────────┴─────────┴─────────────────┘ the new token enters
//
// B@3(9) is the row at position 9 of B, which has done 3 loops. testdata has whole stories of this kind; tick.go is the
// picture in code.
//
// # Where a request's loops go
//
//	Request.Loops    what is asked; CheckDepth alone knows its bounds            request.go
//	sequence.loops   what applies: the default, or what grant leaves under load  sequence.go, queue.go
//	chunk.depth      loops that its rows have done, one more after each call     chunk.go, tick.go
//	Span.Depth       what the engine is told; in kv it selects the plane         call.go, kv/pages.go
//	chunk.left       depth is reached, or the exit policy's number says so       exit.go, exitpolicy.go, probe.go
//	sequence.depths  what each row did, for when it is computed again            sequence.go
//	Event.Loops      what the reader is told; summed in Stats                    sample.go, event.go
//
// # What holds
//
// The law above all: a request's tokens are the same alone or in any mix of depths. What it stands on:
//   - each (sequence, depth) has a page table of its own, a plane, so a row sees K and V of its own depth only; a row that
//     left early is copied to the planes that it skipped, before any row looks there;
//   - chunks of a prompt are a wavefront: one is never at a greater depth than the one before it, so that all it must see
//     was written by an earlier call, or by this very one;
//   - whether a row leaves depends on its own numbers alone: the graph's, or its logits after each loop;
//   - what is taken back (a wrong guess) lies behind the newest row, where no row looks before it is written over; what is
//     computed again (after a preemption) leaves at the depths that it left at before;
//   - what sequences ever wait for others of their loops (cohort.go) is bounded, and only where such a one moves;
//   - a client's oldest is the last of its sequences to go, and its last one goes for no other client; every running sequence
//     owns one latent slot: so the first in line can always end, and each becomes the first.
//
// Decode rows go first; prompts take turns at the rest, RowBudget rows at most; guesses get what is left. A request that
// does not fit waits, and smaller ones pass it for a while; one that never will is refused. Clients get places and rows by
// weight. A slow reader parks its own sequence, which gives way first. A failed call ends its own rows.
//
// One engine goroutine, started by Start and joined by Close, alone touches sequences, page tables and the Engine:
// there is no lock. Other goroutines meet it at the submit channel, at the streams, at a few atomic numbers, and at the
// copy of others that Snapshot takes.
//
// The package imports the standard library alone, and kv below it, which accounts for pages; neither ever sees their
// bytes. It knows no tensor, no text, no HTTP. loopctltest has an engine to test it with.
package loopctl
