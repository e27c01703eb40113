package constrain

// What a form and an automaton may take. A form over these is refused; the others narrow what is allowed, as doc.go says.
const (
	MaxSource  = 64 << 10 // bytes of a schema or an expression
	MaxChoices = 1024
	MaxProgram = 32 << 10 // instructions
	MaxRepeat  = 1000     // times that a part may be repeated by count
	MaxDepth   = 40       // calls inside calls: so deep may any JSON, or a schema that refers to itself, be nested

	maxPositions  = 1024    // in one set
	maxStates     = 2048    // sets that an automaton remembers
	maxMaskBytes  = 2 << 20 // of masks that an automaton remembers
	walkWork      = 1 << 19 // sets in one walk, each times its positions and the classes of bytes
	maxCached     = 32      // automata that a Cache keeps
	maxTokenBytes = 512     // longer tokens are left out of the trie
)
