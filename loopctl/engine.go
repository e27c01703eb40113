package loopctl

import "github.com/loopserve/loopserve/loopctl/kv"

// Stage is one of the three graphs of a looped model.
type Stage uint8

// The stages, in the order in which a row visits them.
const (
	StagePrelude Stage = kv.Prelude
	StageBlock   Stage = kv.Block
	StageCoda    Stage = kv.Coda
	numStages    Stage = kv.Stages
)

// String returns the stage's name as the bundle spells it.
func (s Stage) String() string {
	return [...]string{"prelude", "block", "coda"}[s]
}

// Capacity is what an engine can hold. It never changes while the engine lives.
type Capacity struct {
	MaxRows  int            // rows in one call, at most
	Latents  int            // latent slots: rows that may be between prelude and coda at one time
	Beyond   int            // of MaxRows, and of Latents: those that come on top for a prompt that goes in one call
	PageSize int            // tokens in a page
	Pages    [numStages]int // pages of each stage's arena; 0: the stage has no layers and keeps no KV
	Context  int            // tokens of one sequence, prompt and completion together
	Vocab    int            // logits of a row
	Loops    LoopRange      // loops that a request may ask for
	Delta    bool           // Block gives RowInfo.Delta
	Gate     bool           // Block gives RowInfo.Gate
	Whole    bool           // a prompt goes in one call, and each of its rows sees all of it
	Seeded   bool           // the initial state depends on Span.Seed
	KV       KVPolicy       // of the block
	// Trajectories says whether Span.Time and Span.Step count.
	Trajectories Trajectories
	Hidden       int // numbers of a latent; 0 where Latent cannot read them
}

// Tokens is how many tokens fit in the pages, of all sequences together, at so many loops; 0 where no stage keeps KV.
func (l *Capacity) Tokens(loops int) int {
	fit := 0
	for i, planes := range [numStages]int{1, l.KV.PlanesAt(loops), 1} {
		if n := l.Pages[i] / planes * l.PageSize; l.Pages[i] > 0 && (fit == 0 || n < fit) {
			fit = n
		}
	}
	return fit
}

// geometry is what the accounting of pages needs to know.
func (l *Capacity) geometry() *kv.Geometry {
	return &kv.Geometry{Pages: l.Pages, PageSize: l.PageSize, Policy: l.KV}
}

// LoopRange is the range of loops that a model serves.
type LoopRange struct {
	Min, Default, Trained, Max int
}

// Span is a run of consecutive tokens of one sequence at one depth: one entry of the attention batch.
// Its slices belong to the controller and stay as they are until the call returns.
type Span struct {
	// Depth is how many loops these rows have done before the call (0 outside the block).
	Depth int
	// Time and Step are the share of its way that these rows have behind them, and that this loop goes (block only).
	Time, Step float32
	// Past is the position of the first row, which is also how many tokens the plane holds before it.
	Past int
	// Rows has one latent slot for each row, in order of position.
	Rows []int32
	// Tokens has one id for each row (the same length as Rows) in every stage: the prelude embeds them,
	// and a block that needs ids at each loop (value embeddings) finds them here.
	Tokens []int32
	// Visible is how many tokens each row sees at least, whatever its position; others of them may be in the same call.
	// It is the prompt's length where Capacity.Whole, and 0 elsewhere: rows see up to themselves.
	Visible int
	// Pages is the page table of (sequence, plane): page i holds tokens [i*PageSize, (i+1)*PageSize).
	// It covers Past+len(Rows) tokens, and Visible. Empty where the stage has no layers.
	Pages []int32
	// Seed is the sequence's: a random initial state depends on (Seed, position) alone.
	Seed uint64
	// LogitRows are the indices into Rows of which the coda must give logits (coda only).
	LogitRows []int32
}

// Batch is what one native call works on: spans, packed in order, never padded. Spans of one sequence at one depth may
// stand in one batch, in order of position: all K and V of the call are written before any row looks.
type Batch struct {
	Spans []Span
	Rows  int // sum of len(Span.Rows)
}

// RowInfo holds the numbers that a block call gives for each of its rows, in packed order. A slice is nil where
// the model does not emit that number. They are the engine's memory, good until the next Block.
type RowInfo struct {
	Delta []float32 // ‖h'−h‖/‖h'‖, the relative change of the latent
	Gate  []float32 // the exit gate's logit, before the sigmoid
}

// Engine runs the three graphs. One goroutine calls it and calls never overlap. An error fails the rows of that
// call only: the engine stays usable.
//
// Between calls a row's latent (and what the prelude injects) stays in the engine under its slot number, which the
// controller hands out: Prelude fills the slots, Block replaces them, Coda reads them.
type Engine interface {
	Capacity() Capacity
	// Prelude embeds tokens and runs the prelude's layers.
	Prelude(b *Batch) error
	// Block applies the block once to every row, whatever its depth.
	Block(b *Batch) (RowInfo, error)
	// Coda runs the coda and returns one logits row of Capacity().Vocab float32 for each LogitRows entry,
	// span after span. They are the engine's memory, good until the next Coda.
	Coda(b *Batch) ([][]float32, error)
	// Fill copies the K and V of single rows, all layers of the block, from one page to others: a row that left early
	// is found in the planes that it did not reach.
	Fill(fills []Fill) error
	// Latent copies a slot's state into dst, which has Capacity().Hidden numbers.
	Latent(slot int32, dst []float32) error
}

// Fill is one row's copy between pages.
type Fill = kv.Fill

// KVPolicy says which plane of the block's KV memory a row at a depth reads and writes.
type KVPolicy = kv.Policy
