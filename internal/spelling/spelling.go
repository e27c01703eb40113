// Package spelling finds which of the names that are known a mistyped one was meant to be. It knows no names itself, and
// nothing about other programs' words for the same thing.
package spelling

// Near returns the first of known that is at most a slip of the keyboard away from name: two letters, or one in a name of
// fewer than nine. A name that is known is not misspelt: ask for that first.
func Near(name string, known []string) (right string, ok bool) {
	for _, k := range known {
		slips := 2
		if len(k) < 9 { // two slips away from loops is tools
			slips = 1
		}
		if edits(name, k, slips) <= slips {
			return k, true
		}
	}
	return "", false
}

// edits counts the letters to insert, to leave out, to replace and to swap with their neighbour that make one text of
// another. What is more than most may be any number above it.
func edits(a, b string, most int) int {
	if len(a)-len(b) > most || len(b)-len(a) > most {
		return most + 1
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			same := last[j-1]
			if a[i-1] != b[j-1] {
				same++
			}
			row[j] = min(same, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
