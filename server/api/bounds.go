package api

// Limits bound what one request may ask for. A zero field means its default.
type Limits struct {
	Prompts   int   // prompts in one request; 128
	Choices   int   // n; 128
	Sequences int   // prompts × n; 128
	LoopSteps int64 // prompts × n × max_tokens × loops; 1 << 26
	Stops     int   // stop strings; 16
	StopBytes int   // bytes of a stop string; 256
	StopIDs   int   // stop_token_ids; 64
}

// WithDefaults fills in what is zero.
func (l Limits) WithDefaults() Limits {
	for _, f := range []struct {
		field *int
		value int
	}{{&l.Prompts, 128}, {&l.Choices, 128}, {&l.Sequences, 128}, {&l.Stops, 16}, {&l.StopBytes, 256}, {&l.StopIDs, 64}} {
		if *f.field <= 0 {
			*f.field = f.value
		}
	}
	if l.LoopSteps <= 0 {
		l.LoopSteps = 1 << 26
	}
	return l
}

// Bounds are what the model and the configuration allow.
type Bounds struct {
	Limits
	Model    string // its name, for messages
	Vocab    int    // token ids are below it
	Context  int    // tokens of one sequence
	MinLoops int
	MaxLoops int
}
