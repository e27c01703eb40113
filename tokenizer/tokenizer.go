package tokenizer

// Tokenizer turns text into ids and back. It never changes after loading and
// is safe for concurrent use.
type Tokenizer interface {
	// Encode returns the ids of text, with the special tokens that the
	// post-processor puts around it where addSpecial. Bytes that are no UTF-8
	// count as U+FFFD, one each.
	Encode(text string, addSpecial bool) ([]int32, error)
	// AppendEncode appends the ids to dst; beyond dst's growth it allocates
	// nothing in the steady state.
	AppendEncode(dst []int32, text string, addSpecial bool) ([]int32, error)
	// Decode returns the text of ids, leaving out special tokens where
	// skipSpecial. Ids outside the vocabulary say nothing.
	Decode(ids []int32, skipSpecial bool) (string, error)
	// NewDecoder starts a stream.
	NewDecoder(skipSpecial bool) Decoder
	// TokenToID and IDToToken look up a token as the vocabulary spells it.
	TokenToID(token string) (int32, bool)
	IDToToken(id int32) (string, bool)
	// TokenBytes returns the bytes that a token adds inside a text: often
	// part of a character. It is nil for ids outside the vocabulary.
	TokenBytes(id int32) []byte
	// VocabSize counts the tokens, added ones included. Ids may have gaps, so
	// it is no bound on them.
	VocabSize() int
	// IsSpecial tells whether Decode may leave the id out.
	IsSpecial(id int32) bool
	// Config is what the tokenizer_config.json beside it says.
	Config() Config
}
