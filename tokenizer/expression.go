package tokenizer

// expression matches any other regular expression.
type expression struct{}

func newExpression(string) (matcher, error) { return nil, unsupported("expression") }
