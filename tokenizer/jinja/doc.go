// Package jinja renders chat templates: the subset of Jinja 2 that Hugging Face models use, with the output of Hugging
// Face's own renderer.
//
// The environment is transformers' ImmutableSandboxedEnvironment: trim_blocks and lstrip_blocks on, autoescape off, break
// and continue, raise_exception, strftime_now, and tojson as plain json.dumps(ensure_ascii=False). Values are Python's:
// True and None print so, dicts keep their order, strings count in code points. What would come out otherwise than in
// Python is refused by name (UnsupportedError): an integer past 64 bits prints, and nothing computes with it.
// docs/api.md (Jinja) lists what is supported.
//
// A source goes through lexer (whitespace control), parser (one table of precedence; every node knows how to run itself)
// and render (one run: its budgets, its scopes). Filters, tests, methods and functions are rows of tables, with their
// parameters as data. An error travels as a panic, which Parse and Render recover.
//
// There is no way from a template to a file, a process, the network or a Go value: every attribute is in a table. A
// template is not trusted. Limits bound its source, its nesting when parsed and its depth when run, its steps, the bytes
// that it makes and that it prints, and a render ends when its context does. All failures are errors that name the
// template's line.
//
// It is not a general template engine, and not for HTML. It keeps no state between renders and starts no goroutine; a
// Template may be shared.
package jinja
