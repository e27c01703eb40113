package jinja

// expr is an expression; eval.go has one case for each.
type expr interface{}

type (
	constExpr struct{ v Value }
	nameExpr  struct {
		name string
		line int
	}
	listExpr  struct{ items []expr }
	tupleExpr struct{ items []expr }
	dictExpr  struct{ keys, vals []expr }
	// attrExpr is x.name, itemExpr x[key].
	attrExpr struct {
		x    expr
		name string
		line int
	}
	itemExpr struct {
		x, key expr
		line   int
	}
	sliceExpr struct{ start, stop, step expr } // parts may be nil
	callExpr  struct {
		fn   expr
		args callArgs
		line int
	}
	filterExpr struct {
		x    expr // nil in a filter or set block: the block's text
		name string
		args callArgs
		line int
	}
	testExpr struct {
		x    expr
		name string
		args callArgs
		line int
	}
	// chainExpr is a run of left-associative arithmetic: first op[0] rest[0] ….
	// It is flat so that a long sum neither nests nor copies its text again
	// for every term.
	chainExpr struct {
		first expr
		ops   []string
		rest  []expr
		line  int
	}
	concatExpr struct {
		parts []expr
		line  int
	}
	unaryExpr struct {
		op   string
		x    expr
		line int
	}
	notExpr struct{ x expr }
	// logicExpr is a run of "and" or of "or".
	logicExpr struct {
		or    bool
		parts []expr
	}
	compareExpr struct {
		first expr
		ops   []string
		rest  []expr
		line  int
	}
	condExpr struct {
		test, then, alt expr // alt nil: undefined
		line            int
	}
)

type callArgs struct {
	pos      []expr
	kwNames  []string
	kwVals   []expr
	star     expr // *args
	starStar expr // **kwargs
}

// stmt is a statement; exec.go has one case for each.
type stmt interface{}

type (
	dataStmt   struct{ text string }
	outputStmt struct {
		x    expr
		line int
	}
	ifStmt struct {
		tests  []expr
		bodies [][]stmt
		alt    []stmt
	}
	forStmt struct {
		target    target
		iter      expr
		test      expr // nil: none
		body, alt []stmt
		line      int
	}
	loopControl struct{ stop bool } // break, else continue
	setStmt     struct {
		target target
		value  expr
		line   int
	}
	setBlock struct {
		target target
		filter expr // nil: none
		body   []stmt
		line   int
	}
	withStmt struct {
		targets []target
		values  []expr
		body    []stmt
		line    int
	}
	macroDecl struct {
		name     string // "" for a call block
		params   []string
		defaults []expr // of the last params
		body     []stmt
		line     int
		// which of the special names the body uses
		caller, kwargs, varargs bool
	}
	callBlock struct {
		call *callExpr
		decl *macroDecl
		line int
	}
	filterBlock struct {
		filter expr
		body   []stmt
		line   int
	}
	scopeBlock struct{ body []stmt } // generation
)

// target is what set and for assign to.
type target struct {
	name  string
	attr  string   // namespace attribute: name.attr
	tuple []target // unpacking
	line  int
}
