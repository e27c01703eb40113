package api

// Field is a row of the table: one field of a body as some routes take it, or refuse it. A route has at most one row of
// a name. What the field is for stands in the schemas of openapi.json, from which docs/api.md has it.
type Field struct {
	Name   string // with a point where it stands inside an object: stream_options.include_usage
	Kind   Kind
	Routes Route
	// Lo and Hi bound a number, each number of a list, or the bytes of a text. Both zero: no bounds.
	Lo, Hi  float64
	Above   bool     // Lo itself is not allowed
	Range   span     // the same where the model or the configuration decide
	Most    most     // entries of a list; nil: no bound
	Words   []string // the only texts
	Default any      // what absence stands for: int, float64, bool or string; nil is the kind's zero
	True    int      // the integer that true stands for; 0: true is an error
	Auto    int      // of a depth, the number that "auto" stands for; 0: "auto" is an error
	Missing string   // the field is required: what to give
	Remedy  string   // what to do instead: the end of a message
	// Harmless are values that ask for nothing, as absence does. Numbers match however they are written.
	Harmless []string
	Unless   string   // the field is ignored where this one is given: clients of several servers send the names of each
	Needs    string   // the field has no effect without this one, which comes before it
	Aliases  []string // names that other programs have for it: refused with the right one
	Ours     bool     // no other server has the field, so a name that is a slip away from it is refused, too
}

// Kind is a field's JSON type, and how Values hands it out.
type Kind int

// The kinds of fields.
const (
	Any     Kind = iota // code reads it: Raw
	Refused             // the field is known and not served: any value but a harmless one is an error
	Bool
	Int
	Number
	Text
	Object
	TextList  // a string or a list of strings
	IDList    // a list of token ids
	IntList   // an integer, or a list of different ones
	Depth     // a number of loops; their range is the scheduler's to check
	DepthList // a list of them
)

// Route is a set of routes that take a body.
type Route int

// The routes.
const (
	Completions Route = 1 << iota
	Chat
	Responses // OpenAI's and
	Messages  // Anthropic's: both are translated into a chat
	Embeddings
	Tokenize
	Detokenize
	Bench
	Curve // its fields are in the query

	translated = Responses | Messages
	chats      = Chat | translated
	generating = Completions | chats
	looped     = generating | Embeddings
	every      = looped | Tokenize | Detokenize | Bench | Curve
)
