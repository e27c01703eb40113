// Package tokenizer turns text into ids and back as Hugging Face's tokenizers
// does, id for id: it reads tokenizer.json and refuses by name what it does
// not implement exactly. Special tokens and streams of text are here too.
//
// It is not a trainer, keeps no offsets, and neither truncates nor pads. Chat
// templates are found (Config.ChatTemplate) but rendered in tokenizer/jinja.
//
// The way of a text: added tokens are cut out (added.go), the rest is
// normalized (normalizer.go), added tokens are cut out of that, what is left
// is split into pieces (pretokenizer.go, expression.go), the model turns each
// into ids (bpe.go, unigram.go, model.go), and the post-processor puts special
// tokens around the whole (postprocessor.go). Back: decoder.go.
//
// A Tokenizer never changes after loading, so it is safe for concurrent use
// and takes no lock; each call works in a scratch lent by a sync.Pool. The
// package starts no goroutine.
package tokenizer
