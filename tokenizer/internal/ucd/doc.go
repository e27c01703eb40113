// Package ucd is the Unicode data of Hugging Face's tokenizers, which differs
// from Go's (15.0): categories for regular expressions are at 16.0, case and
// numeric at 17.0, marks at 9.0, punctuation at 8.0. See gen for where each comes
// from.
//
// It is not a general Unicode library: only what the tokenizer asks is here.
// Tables are unpacked once, at the first use, and never written again.
package ucd
