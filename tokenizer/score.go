package tokenizer

import (
	"math"
	"strconv"
)

// parseScore reads a number of JSON as serde_json does without its
// float_roundtrip feature: digits into 64 bits, further ones dropped, then one
// multiplication or division by a power of ten. The last bit may differ from
// the nearest double, and where two segmentations of Unigram tie but for that
// bit it decides which one wins.
func parseScore(text string) (float64, bool) {
	if !validNumber(text) {
		return 0, false
	}
	i, negative := 0, false
	if text[0] == '-' {
		i, negative = 1, true
	}
	significand, exponent, point, full := uint64(0), 0, false, false
	for ; i < len(text); i++ {
		c := text[i]
		if c == '.' {
			point = true
			continue
		}
		if c == 'e' || c == 'E' {
			break
		}
		digit := uint64(c - '0')
		// A digit that would overflow ends what is kept; before the point its
		// place still counts, and after the point digits may fit again only
		// if the overflow was before it.
		if full && point {
			continue
		}
		if significand > (math.MaxUint64-digit)/10 {
			full = true
			if !point {
				exponent++
			}
			continue
		}
		if full {
			exponent++
			continue
		}
		significand = significand*10 + digit
		if point {
			exponent--
		}
	}
	if i < len(text) {
		e, err := strconv.Atoi(text[i+1:])
		if err != nil || e > 1<<20 || e < -1<<20 {
			return 0, false
		}
		exponent += e
	}
	f, ok := scale(float64(significand), exponent)
	if negative {
		f = -f
	}
	return f, ok
}

// scale multiplies by a power of ten in steps that doubles have.
func scale(f float64, exponent int) (float64, bool) {
	for exponent < -308 && f != 0 {
		f /= 1e308
		exponent += 308
	}
	switch {
	case f == 0:
		return f, true
	case exponent > 308:
		return 0, false
	case exponent >= 0:
		f *= pow10(exponent)
	default:
		f /= pow10(-exponent)
	}
	return f, !math.IsInf(f, 0)
}

// pow10 is the double nearest to 10^n; math.Pow10 is not above 10^31.
func pow10(n int) float64 {
	if n < 32 {
		return math.Pow10(n)
	}
	f, err := strconv.ParseFloat("1e"+strconv.Itoa(n), 64)
	if err != nil {
		return math.Inf(1)
	}
	return f
}

// validNumber tells whether text has the form of a JSON number.
func validNumber(text string) bool {
	_, err := strconv.ParseFloat(text, 64)
	if err != nil || text == "" {
		return false
	}
	for _, c := range text {
		if (c < '0' || c > '9') && c != '-' && c != '+' && c != '.' && c != 'e' && c != 'E' {
			return false
		}
	}
	return text[0] == '-' && len(text) > 1 || '0' <= text[0] && text[0] <= '9'
}
