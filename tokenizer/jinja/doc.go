// Package jinja renders chat templates: the subset of Jinja 2 that Hugging
// Face models use, with the output of Hugging Face's own renderer.
//
// The environment is transformers' ImmutableSandboxedEnvironment: trim_blocks
// and lstrip_blocks on, autoescape off, break and continue, raise_exception,
// strftime_now, and tojson as plain json.dumps(ensure_ascii=False). Values are
// Python's: True and None print so, dicts keep their order, integers have no
// fixed width, strings count in code points.
//
// It knows: text, output, comments, raw; if, for (else, if, loop.*, break,
// continue), set and set blocks, namespace, with, macro, call, filter blocks,
// print; generation in ParseChat; all operators, slices, comparisons in chains,
// conditional expressions; methods of str, dict and list that do not change
// them; nearly all of Jinja's filters and tests.
//
// It refuses by name: include, import, from, extends, block, autoescape,
// recursive loops, lipsum, and the filters random, pprint, urlize, xmlattr,
// striptags, filesizeformat and wordwrap. Methods that change a list or dict
// are a SecurityError, as in the sandbox. There is no way from a template to a
// file, a process, the network or a Go value: every attribute is in a table.
//
// A template is not trusted. Limits bound its source, its nesting when parsed
// and its depth when run, its steps, the bytes that it makes and that it
// prints, and a render ends when its context does. All failures are errors
// that name the template's line.
//
// It is not a general template engine, and not for HTML. It keeps no state
// between renders and starts no goroutine; a Template may be shared.
//
// One known difference: where a template reads, inside a macro, a caller's
// variable that the template itself sets later on, Jinja may see nothing and
// this package the caller's value.
package jinja
