package constrain

// What a form and an automaton may take. A form over these is refused; the others narrow what is allowed, as doc.go says.
const (
	MaxSource  = 64 << 10 // bytes of a schema, a grammar or an expression
	MaxNesting = 256      // brackets inside brackets of a schema
	MaxChoices = 1024
	MaxProgram = 64 << 10 // instructions
	MaxRepeat  = 1000     // times that a part may be repeated by count
	MaxLength  = 1 << 16  // characters that a string may be asked to have
	MaxDepth   = 64       // calls inside calls: so deep may any JSON, or a schema that refers to itself, be nested

	maxNodes    = 1 << 22 // parts of a grammar as they are written, those that take no instruction as well
	maxWhole    = 19      // digits of a number before the point
	maxFraction = 17      // and behind
	maxMultiple = 1 << 31 // of which whole numbers of the last digit are multiples
	maxCount    = 1 << 30 // larger ones are this

	maxMerged       = 20_000  // schemas put together, each time that it is done
	maxAlternatives = 256     // that they may come to
	maxExcluded     = 64      // numbers that are not of a schema
	maxPatterns     = 6       // of patternProperties that are told apart
	maxLooks        = 16      // lookaheads in one expression
	maxGraph        = 4096    // states of one part
	maxLanguageWork = 1 << 20 // steps to find them
	maxWork         = 1 << 21 // the same for all of a form
	maxTally        = 1 << 18 // lengths times states, of one string; so many of all:
	maxTallies      = 1 << 24

	maxPositions  = 1024    // in one set
	maxStates     = 2048    // sets that an automaton remembers
	maxMaskBytes  = 2 << 20 // of masks that an automaton remembers
	walkWork      = 1 << 19 // sets in one walk, each times its positions and the classes of bytes
	manyPassed    = 1024    // positions on the way to the next byte cost a walk 32 sets, fewer nothing
	maxCached     = 32      // automata that a Cache keeps
	maxTokenBytes = 512     // longer tokens are left out of the trie
)
