package ucd

import "strings"

// Set is a set of general categories, one bit each, in the order of names.
type Set uint32

// names are those of the Unicode Character Database, in the order of the
// table's numbers.
var names = strings.Fields("Cn Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Cs Co")

// SetByName finds a set by its short name: "L" (all that begin with it), "Lu",
// "N", ...
func SetByName(name string) (Set, bool) {
	var set Set
	for i, n := range names {
		if n == name || n[:1] == name {
			set |= 1 << i
		}
	}
	return set, set != 0
}

func sets(names ...string) (all Set) {
	for _, name := range names {
		set, _ := SetByName(name)
		all |= set
	}
	return all
}

// In tells whether r is of a category of the set in Unicode 16.0; a value
// outside Unicode is Cn.
func In(r rune, set Set) bool { return 1<<categoryTable.at(r)&set != 0 }

// IsSpace is White_Space, which has been the same since Unicode 6.3.
func IsSpace(r rune) bool {
	switch {
	case r < 0x80:
		return r == ' ' || '\t' <= r && r <= '\r'
	case r == 0x85:
		return true
	}
	return In(r, separator)
}

// circled are the letters of category So: Other_Alphabetic outside the marks.
func circled(r rune) bool {
	return 0x24B6 <= r && r <= 0x24E9 || 0x1F130 <= r && r <= 0x1F149 ||
		0x1F150 <= r && r <= 0x1F169 || 0x1F170 <= r && r <= 0x1F189
}

var (
	separator = sets("Z")
	word      = sets("L", "M", "Nd", "Nl", "Pc")
)

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
