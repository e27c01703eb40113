package ucd

// Category is a general category; the order groups letters, marks, numbers,
// punctuation, symbols, separators and others.
type Category uint8

// General categories, named as in the Unicode Character Database.
const (
	Cn Category = iota
	Lu
	Ll
	Lt
	Lm
	Lo
	Mn
	Mc
	Me
	Nd
	Nl
	No
	Pc
	Pd
	Ps
	Pe
	Pi
	Pf
	Po
	Sm
	Sc
	Sk
	So
	Zs
	Zl
	Zp
	Cc
	Cf
	Cs
	Co
)

// Set is a set of categories, one bit each.
type Set uint32

// Sets by first letter.
const (
	L Set = 1<<Lu | 1<<Ll | 1<<Lt | 1<<Lm | 1<<Lo
	M Set = 1<<Mn | 1<<Mc | 1<<Me
	N Set = 1<<Nd | 1<<Nl | 1<<No
	P Set = 1<<Pc | 1<<Pd | 1<<Ps | 1<<Pe | 1<<Pi | 1<<Pf | 1<<Po
	S Set = 1<<Sm | 1<<Sc | 1<<Sk | 1<<So
	Z Set = 1<<Zs | 1<<Zl | 1<<Zp
	C Set = 1<<Cc | 1<<Cf | 1<<Cs | 1<<Co | 1<<Cn
)

var names = [...]string{
	"Cn", "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf",
	"Po", "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co",
}

// SetByName finds a set by its short name: "L", "Lu", "N", ...
func SetByName(name string) (Set, bool) {
	switch name {
	case "L":
		return L, true
	case "M":
		return M, true
	case "N":
		return N, true
	case "P":
		return P, true
	case "S":
		return S, true
	case "Z":
		return Z, true
	case "C":
		return C, true
	}
	for i, n := range names {
		if n == name {
			return 1 << i, true
		}
	}
	return 0, false
}

// In tells whether r is of a category of the set.
func In(r rune, set Set) bool { return 1<<CategoryOf(r)&set != 0 }

// CategoryOf is the general category of r in Unicode 16.0; a value outside
// Unicode is Cn.
func CategoryOf(r rune) Category { return Category(categoryTable.at(r)) }

// IsSpace is White_Space, which has been the same since Unicode 6.3.
func IsSpace(r rune) bool {
	switch {
	case r < 0x80:
		return r == ' ' || '\t' <= r && r <= '\r'
	case r == 0x85:
		return true
	}
	return In(r, Z)
}

// circled are the letters of category So: Other_Alphabetic outside the marks.
func circled(r rune) bool {
	return 0x24B6 <= r && r <= 0x24E9 || 0x1F130 <= r && r <= 0x1F149 ||
		0x1F150 <= r && r <= 0x1F169 || 0x1F170 <= r && r <= 0x1F189
}

const word = L | M | 1<<Nd | 1<<Nl | 1<<Pc

// IsWord is \w of the regex crate: alphabetic, mark, decimal, connector or
// join control.
func IsWord(r rune) bool {
	return In(r, word) || r == 0x200C || r == 0x200D || circled(r)
}

// IsOnigWord is \w of Oniguruma, which has no join controls but takes the
// superscript digits and fractions of Latin-1.
func IsOnigWord(r rune) bool {
	switch r {
	case 0xB2, 0xB3, 0xB9, 0xBC, 0xBD, 0xBE:
		return true
	}
	return In(r, word) || circled(r)
}

// IsNumeric is category N of Unicode 17.0: char::is_numeric of Rust.
func IsNumeric(r rune) bool { return numericTable.at(r) != 0 }

// IsMark is category M of Unicode 9.0: what StripAccents removes.
func IsMark(r rune) bool { return markTable.at(r) != 0 }

// IsPunct is what the Punctuation pre-tokenizer splits: ASCII punctuation and
// category P of Unicode 8.0.
func IsPunct(r rune) bool {
	if r < 0x80 {
		return '!' <= r && r <= '/' || ':' <= r && r <= '@' || '[' <= r && r <= '`' || '{' <= r && r <= '~'
	}
	return punctTable.at(r) != 0
}
