package tokenizer

// AppendEncode is Encode into memory that the caller keeps: how a test counts what the native backend allocates.
func AppendEncode(t Tokenizer, dst []int32, text string, addSpecial bool) ([]int32, error) {
	return t.(*native).appendEncode(dst, text, addSpecial)
}

// TokenToID is the id of a token of the native backend.
func TokenToID(t Tokenizer, token string) (int32, bool) { return t.(*native).tokenToID(token) }

// NewPatientDecoder is a stream of the native backend that waits, as Decode does, for the end of each run of byte tokens.
func NewPatientDecoder(t Tokenizer, skipSpecial bool) Decoder {
	d := newStreamDecoder(t.(*native), skipSpecial)
	d.waits = true
	return d
}
