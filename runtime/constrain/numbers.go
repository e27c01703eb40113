package constrain

import (
	"math/big"
	"regexp"
	"slices"
	"strings"
)

// plainNumber is a number whose exponent is small enough to be computed with.
var plainNumber = regexp.MustCompile(`^-?\d{1,400}(\.\d{1,400})?([eE][+-]?\d{1,3})?$`)

// rational is a number's value; nil where v is none, or one too large to compute with.
func (v *value) rational() *big.Rat {
	if !plainNumber.Match(v.raw) {
		return nil
	}
	r, _ := new(big.Rat).SetString(string(v.raw))
	return r
}

// number reads a keyword that is one.
func (v *value) number(keyword string) *big.Rat {
	r := v.fields[keyword].rational()
	if r == nil {
		v.refuse("%s must be a number, with an exponent of at most 3 digits", keyword)
	}
	return r
}

// numbers are what the keywords leave of numbers: those from lo to hi (nil: no bound), which need not have lo or hi
// themselves, and are multiples of all of some.
type numbers struct {
	lo, hi         *big.Rat
	loOpen, hiOpen bool
	multiples      []*big.Rat
}

func (s *shape) numbers() (n numbers) {
	for _, p := range s.parts {
		for _, name := range p.names {
			if keywords[name] != numberTypes {
				continue
			}
			r := p.number(name)
			switch open := strings.HasPrefix(name, "exclusive"); {
			case name == "multipleOf":
				if r.Sign() <= 0 {
					p.refuse("multipleOf must be more than 0")
				}
				n.multiples = append(n.multiples, r)
			case strings.HasSuffix(name, "inimum"):
				if n.lo == nil || r.Cmp(n.lo) > 0 || r.Cmp(n.lo) == 0 && open {
					n.lo, n.loOpen = r, open
				}
			default:
				if n.hi == nil || r.Cmp(n.hi) < 0 || r.Cmp(n.hi) == 0 && open {
					n.hi, n.hiOpen = r, open
				}
			}
		}
	}
	return n
}

// has says whether a number is one of them.
func (n numbers) has(r *big.Rat) bool {
	for _, m := range n.multiples {
		if !new(big.Rat).Quo(r, m).IsInt() {
			return false
		}
	}
	above := n.lo == nil || r.Cmp(n.lo) > 0 || !n.loOpen && r.Cmp(n.lo) == 0
	return above && (n.hi == nil || r.Cmp(n.hi) < 0 || !n.hiOpen && r.Cmp(n.hi) == 0)
}

// number is the numbers of a shape: those below the first that is excluded, those up to the next, and so on.
func (s *shape) number(g *grammar) *node {
	n, whole := s.numbers(), s.types&numberTypes == integerType
	var out []*big.Rat
	for _, v := range s.excluded(numberTypes) {
		if r := v.rational(); r != nil && n.has(r) {
			out = append(out, r)
		}
	}
	if len(out) > maxExcluded {
		s.parts[0].refuse("%d numbers are excluded: at most %d are allowed: use minimum and maximum", len(out), maxExcluded)
	}
	slices.SortFunc(out, (*big.Rat).Cmp)
	var kids []*node
	for _, r := range out {
		below := n
		below.hi, below.hiOpen = r, true
		kids = append(kids, below.node(g, whole, s.parts[0]))
		n.lo, n.loOpen = r, true
	}
	return alt(append(kids, n.node(g, whole, s.parts[0]))...)
}

// node are the numbers as they are written. In errors they are p's.
func (n numbers) node(g *grammar, whole bool, p *step) *node {
	if n.lo == nil && n.hi == nil && n.multiples == nil {
		if whole {
			return pattern(integerText)
		}
		return pattern(numberText)
	}
	if whole {
		n.multiples = append(slices.Clone(n.multiples), big.NewRat(1, 1))
	}
	// All are counted in the last digit behind the point: multiples need no more than their own digits.
	places := maxFraction
	if n.multiples != nil {
		for places = 0; !n.has10(places); places++ {
			if places == maxFraction {
				p.refuse("multipleOf has more than %d digits behind the point", maxFraction)
			}
		}
	}
	unit := ten(places)
	step := big.NewInt(1)
	for _, m := range n.multiples {
		a := new(big.Rat).Mul(m, new(big.Rat).SetInt(unit)).Num()
		step.Div(new(big.Int).Mul(step, a), new(big.Int).GCD(nil, nil, step, a))
	}
	if !step.IsInt64() || step.Int64() > maxMultiple {
		p.refuse("multipleOf comes to %s steps of the last digit: at most %d are allowed: leave it out, and check the answer", step, maxMultiple)
	}
	most := new(big.Int).Sub(ten(maxWhole+places), big.NewInt(1))
	lo, hi := new(big.Int).Neg(most), most
	if n.lo != nil {
		lo = larger(lo, edge(n.lo, unit, n.loOpen))
	}
	if n.hi != nil {
		up := edge(new(big.Rat).Neg(n.hi), unit, n.hiOpen)
		hi = new(big.Int).Neg(larger(new(big.Int).Neg(most), up))
	}
	d := digits{at: map[digit]int{}, n: &node{op: opGraph}, places: places, step: step.Int64()}
	d.state(digit{left: -1}) // before the number
	if lo.Sign() < 0 {
		d.lengths(larger(big.NewInt(1), new(big.Int).Neg(hi)), new(big.Int).Neg(lo), literal("-"))
	}
	d.lengths(larger(new(big.Int), lo), hi, empty)
	g.spend(100 * len(d.n.edges))
	return d.n
}

// has10 says whether all multiples are whole tens of so many places.
func (n numbers) has10(places int) bool {
	for _, m := range n.multiples {
		if !new(big.Rat).Mul(m, new(big.Rat).SetInt(ten(places))).IsInt() {
			return false
		}
	}
	return true
}

func ten(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

func larger(a, b *big.Int) *big.Int {
	if a.Cmp(b) < 0 {
		return b
	}
	return a
}

// edge is the least number of units that is at least r, or above it where open.
func edge(r *big.Rat, unit *big.Int, open bool) *big.Int {
	scaled := new(big.Rat).Mul(r, new(big.Rat).SetInt(unit))
	whole, rest := new(big.Int).DivMod(scaled.Num(), scaled.Denom(), new(big.Int)) // rounded down
	if rest.Sign() != 0 || open {
		whole.Add(whole, big.NewInt(1))
	}
	return whole
}

// digits writes the numbers between two others, digit by digit.
type digits struct {
	n      *node
	at     map[digit]int
	places int   // digits behind the point
	step   int64 // all are multiples of it
}

// digit is a place in a number: so many digits may come, and the number so far leaves a rest. It may have to be watched not
// to become smaller than the least one of its length, or larger than the greatest.
type digit struct {
	left             int
	rest             int64
	watchLo, watchHi bool
}

// state returns a digit's, and whether it is new. Only those that are not watched are come to in several ways.
func (d *digits) state(k digit) (i int, isNew bool) {
	if i, ok := d.at[k]; ok {
		return i, false
	}
	i = len(d.n.edges)
	if i == maxGraph {
		refuse("the schema: multipleOf needs more than %d states: leave it out, and check the answer", maxGraph)
	}
	if !k.watchLo && !k.watchHi {
		d.at[k] = i
	}
	d.n.edges, d.n.ends = append(d.n.edges, nil), append(d.n.ends, false)
	return i, true
}

// lengths writes the numbers from lo to hi, neither negative, length by length, behind a sign.
func (d *digits) lengths(lo, hi *big.Int, sign *node) {
	for length := 1; length <= maxWhole; length++ {
		width := length + d.places
		least, most := new(big.Int), new(big.Int).Sub(ten(width), big.NewInt(1))
		if length > 1 {
			least = ten(width - 1)
		}
		if least = larger(least, lo); most.Cmp(hi) > 0 {
			most = hi
		}
		if least.Cmp(most) <= 0 {
			begin := digit{left: width, watchLo: true, watchHi: true}
			to, _ := d.state(begin)
			d.n.edges[0] = append(d.n.edges[0], edgeTo{sign, to})
			d.write(begin, to, pad(least, width), pad(most, width))
		}
	}
}

func pad(n *big.Int, width int) string {
	text := n.String()
	return strings.Repeat("0", width-len(text)) + text
}

// write writes the digits that may come at a state.
func (d *digits) write(k digit, at int, least, most string) {
	done := len(least) - k.left
	if k.left <= d.places { // zeros behind the point may be left out
		d.n.ends[at] = k.rest == 0 && (!k.watchLo || strings.Trim(least[done:], "0") == "")
	}
	if k.left == 0 {
		return
	}
	lo, hi := byte('0'), byte('9')
	if k.watchLo {
		lo = least[done]
	}
	if k.watchHi {
		hi = most[done]
	}
	point := empty
	if k.left == d.places {
		point = literal(".")
	}
	value := new(big.Int).Mod(ten(k.left-1), big.NewInt(d.step)).Int64()
	first, last := lo, -1
	for b := lo; b <= hi; b++ {
		to := digit{left: k.left - 1, rest: (k.rest + int64(b-'0')*value) % d.step}
		to.watchLo = k.watchLo && b == lo && strings.Trim(least[done+1:], "0") != ""
		to.watchHi = k.watchHi && b == hi && strings.Trim(most[done+1:], "9") != ""
		i, isNew := d.state(to)
		if isNew {
			d.write(to, i, least, most)
		}
		if i != last {
			first, last = b, i
			d.n.edges[at] = append(d.n.edges[at], edgeTo{seq(point, byteRange(b, b)), i})
		} else {
			d.n.edges[at][len(d.n.edges[at])-1].label = seq(point, byteRange(first, b))
		}
	}
}
