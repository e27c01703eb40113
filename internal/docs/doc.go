// Package docs reads the Markdown of this repository for the tests that hold it to the code: links, anchors, fenced blocks, prose.
// It is no Markdown parser: it knows what GitHub makes of the forms that these pages use. Nothing that ships imports it.
package docs
