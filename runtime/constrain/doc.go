// Package constrain holds generated text to a form: a JSON schema, any JSON, a regular expression, a list of choices, a
// context-free grammar. It says, for each place in the text, which tokens of a vocabulary may come next.
//
// A form becomes a grammar over bytes (syntax.go; regex.go, json.go, cfg.go and values.go write grammars), and that a program
// of a few instructions (program.go), which calls rules as subroutines: so a schema may refer to itself, down to MaxDepth
// calls. An Automaton runs the program as RE2 does, on sets of positions at once, and remembers each set and where each byte
// leads from it (automaton.go). Frames of calls also count: how many characters a string has (tally); and positions know the
// items of a list whose items differ (sets.go). The tokens allowed at a set come from one walk over the vocabulary's trie
// (mask.go), and are remembered, too. A Matcher is one sequence's place.
//
// A schema is read once and merged (schema.go, negate.go): what holds at a place becomes shapes, alternatives without
// choices, whose keywords are put together when their grammar is written. Patterns, formats and lengths of a string are one
// deterministic automaton over characters (language.go), bounds and multiples of a number one over digits (numbers.go).
//
// Laws:
//   - Every text that a Matcher lets through to an end is of the form.
//   - There is no dead end: wherever a Matcher is, the text may end or some token may come. Positions from which the end cannot
//     be written with the vocabulary's single bytes are cut off before they are reached.
//   - Which tokens are allowed depends on the text so far, not on what the automaton has cached.
//   - Everything is bounded: the form's size, the program, the sets, the depth, what is remembered, and the work for one
//     walk. Where a walk reaches its bound it leaves out longer tokens, which keeps the other laws.
//
// It knows no model and no tokenizer. An Automaton may be used from many goroutines, a Matcher from one.
package constrain
