package gguf

// Keys are the architecture's keys, and the names that config.json has for them.
func Keys() map[string]string { return keys }

// NameOf is llama.cpp's name of one of transformers' tensors.
func NameOf(name string) string {
	for _, of := range []string{"token_embd.weight", "output_norm.weight", "output.weight"} {
		if tensorName(of) == name {
			return of
		}
	}
	for i := range "12345678" {
		for part := range parts {
			for _, kind := range []string{".weight", ".bias"} {
				if of := "blk." + string(rune('0'+i)) + "." + part + kind; tensorName(of) == name {
					return of
				}
			}
		}
	}
	return name
}
