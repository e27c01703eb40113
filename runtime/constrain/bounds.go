package constrain

// What a form and a machine may take. A form over these is refused; the others narrow what is allowed, as doc.go says.
const (
	MaxSource  = 64 << 10 // bytes of a schema or an expression
	MaxChoices = 1024
	MaxProgram = 32 << 10 // instructions
	MaxRepeat  = 1000     // times that a part may be repeated by count
	MaxDepth   = 40       // calls inside calls: so deep may any JSON, or a schema that refers to itself, be nested

	maxPlaces     = 1024    // in one set
	maxStates     = 2048    // sets that a machine remembers
	maxMaskBytes  = 2 << 20 // of masks that a machine remembers
	walkWork      = 1 << 19 // sets in one walk, each times its places and the classes of bytes
	maxCached     = 32      // machines that a Cache keeps
	maxTokenBytes = 512     // longer tokens are left out of the trie
)
