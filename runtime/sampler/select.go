package sampler

// before reports whether a ranks above b: the more likely first, equals by id.
func (a candidate) before(b candidate) bool {
	if a.w != b.w {
		return a.w > b.w
	}
	return a.id < b.id
}

// split partitions c around a pivot: those ranking above it come first. It returns where the pivot stands.
// The pivot is a median of three, so that sorted input is no worst case.
func split(c []candidate) int {
	n := len(c)
	m := n / 2
	if c[m].before(c[0]) {
		c[m], c[0] = c[0], c[m]
	}
	if c[n-1].before(c[0]) {
		c[n-1], c[0] = c[0], c[n-1]
	}
	if c[n-1].before(c[m]) {
		c[n-1], c[m] = c[m], c[n-1]
	}
	c[m], c[n-1] = c[n-1], c[m]
	at := 0
	for i := range n - 1 {
		if c[i].before(c[n-1]) {
			c[i], c[at] = c[at], c[i]
			at++
		}
	}
	c[at], c[n-1] = c[n-1], c[at]
	return at
}

// kth returns the candidate of rank k (from 1), in linear time on average. It reorders c.
func kth(c []candidate, k int) candidate {
	for {
		at := split(c)
		switch {
		case at == k-1:
			return c[at]
		case at > k-1:
			c = c[:at]
		default:
			c, k = c[at+1:], k-at-1
		}
	}
}

// keep drops what ranks below floor.
func keep(c []candidate, floor candidate) []candidate {
	n := 0
	for _, x := range c {
		if !floor.before(x) {
			c[n] = x
			n++
		}
	}
	return c[:n]
}

// nucleus returns the lowest-ranking candidate of the smallest set that holds at least p of c's weight. It always
// keeps one. It reorders c: a quickselect by weight instead of by count, so no full sort of the vocabulary.
func nucleus(c []candidate, p float64) candidate {
	total := 0.0
	for _, x := range c {
		total += x.w
	}
	want := p * total
	floor := c[0]
	for len(c) > 0 {
		at := split(c)
		above := 0.0
		for _, x := range c[:at] {
			above += x.w
		}
		switch {
		case above >= want && at > 0:
			c = c[:at]
		case above+c[at].w >= want:
			return c[at]
		default:
			floor = c[at] // rounding may leave want unreached: then the last one seen closes the set
			want -= above + c[at].w
			c = c[at+1:]
		}
	}
	return floor
}
