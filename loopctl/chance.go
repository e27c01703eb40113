package loopctl

// DraftAuto is a Request.Draft: the controller guesses where that pays, after as many loops as pay most. It guesses nothing
// where a draft of a number would be refused: beside an exit policy, for one.
//
// What pays is told by what calls take, measured by their rows, and by how many guesses were right. Both are known of guesses
// that were made only; so where even luck would not pay nothing is guessed, where luck would a token is now and then, and
// more often while guesses are right.
const DraftAuto = -1

const (
	gainOn    = 1.05 // a token must be so many times as fast before guesses begin
	gainOff   = 1.02 // and so many before they end
	fewTries  = 4    // below it nothing is known
	enough    = 16   // from it on luck is no argument
	wrongOnes = 32   // tokens of each that pay for a try that was wrong, where luck would pay
	mostWrong = 8    // such tries in a row
	settled   = 128  // tokens of each between two tries where it is known that they don't pay, twice as many after each wrong one
	rarest    = 512  // up to so many
	oddsKept  = 64   // tries that the odds are about
)

// wager is a guess after draft of so many loops.
type wager struct{ loops, draft int }

// odds are how guesses have fared; pause is the tokens until another one, where it is known that they don't pay.
type odds struct{ tries, right, pause float64 }

func (o odds) likely() float64 { return o.right / max(o.tries, 1) }
func (o odds) lucky() float64  { return (o.right + 1) / (o.tries + 1) }

// chances are what is known of guesses.
type chances struct {
	odds     map[wager]odds
	since    float64 // tokens since the last try, of each that decodes
	credit   float64 // tries that may be wrong
	company  int     // sequences that decode
	overhead float64 // seconds of a tick beside its calls
	ticks    float64 // that it is the mean of
}

// note takes down whether a guess was right.
func (c *chances) note(w wager, right bool) {
	const keep = 1 - 1.0/oddsKept
	o := c.odds[w]
	o.tries, o.right = o.tries*keep+1, o.right*keep
	if right {
		o.right++
		o.pause = settled
		c.credit = min(c.credit+1, mostWrong)
	} else if o.tries >= enough {
		o.pause = min(max(2*o.pause, settled), rarest)
	}
	c.odds[w] = o
}

// tick measures what a tick takes beside its calls.
func (c *chances) tick(t *TickStats) {
	rest := t.Took
	for _, call := range t.Calls {
		rest -= call.Took
	}
	c.ticks = min(c.ticks+1, costMemory)
	c.overhead += (unstalled(max(rest, 0), c.overhead, c.ticks) - c.overhead) / c.ticks
}

// mayGuess says whether guesses are possible for a request at all.
func (c *Controller) mayGuess(r *Request) bool {
	_, forks := r.Sampler.(Forking)
	return forks && r.Exit.Kind == ExitNone && len(r.Replay) == 0 && r.Lens == 0 && !r.Elastic && c.cfg.Scheduling == ScheduleDepth
}

// weigh chooses whether the next tokens of s are guessed, and when.
func (c *Controller) weigh(s *sequence) {
	most, hope := gainOn, 0.0
	if s.ahead > 1 && s.draft > 0 {
		most = gainOff
	}
	best, at, last := 0, 0, 0
	for _, draft := range [...]int{(s.loops + 7) / 8, (s.loops + 3) / 4, (s.loops + 1) / 2, s.loops - s.loops/4} {
		if draft == last || draft < c.capacity.Loops.Min || draft >= s.loops {
			continue
		}
		last = draft
		w := wager{s.loops, draft}
		o := c.chances.odds[w]
		if gain := c.gain(w, o.likely()); gain > most && o.tries >= fewTries {
			best, most = draft, gain
		}
		if gain := c.gain(w, o.lucky()); gain > hope && c.gain(w, 1) > gainOn {
			at, hope = draft, gain
		}
	}
	one := 1 / float64(max(c.chances.company, 1))
	c.chances.since, c.chances.credit = c.chances.since+one, min(c.chances.credit+one/wrongOnes, mostWrong)
	switch try := c.chances.since >= max(c.chances.odds[wager{s.loops, at}].pause, settled) || hope > gainOn && c.chances.credit >= 1; {
	case best > 0 && hope > most && c.chances.odds[wager{s.loops, at}].tries < enough: // another may pay more
		s.draft, s.ahead = at, 1
	case best > 0:
		s.draft, s.ahead = best, s.req.rows()
	case at > 0 && try && (len(s.chunks) == 0 || s.chunks[len(s.chunks)-1].depth < at): // else the next row has passed it
		s.draft, s.ahead = at, 1
		c.chances.since, c.chances.credit = 0, c.chances.credit-1
	default:
		s.draft, s.ahead = 0, 0
	}
}

// gain is how many times as fast tokens come with guesses as without, where all that decode guess, since all pay for each
// other's rows; a guess is right with the probability that is given. 0: there is not room.
func (c *Controller) gain(w wager, right float64) float64 {
	n, loops, draft := float64(max(c.chances.company, 1)), float64(w.loops), float64(w.draft)
	chain := float64((w.loops + w.draft - 1) / w.draft) // rows of a sequence, itself and its guesses, while they are right
	if n*chain > float64(c.capacity.MaxRows) {
		return 0
	}
	calls := func(ticks, rows, looks, codas float64) float64 { // for a token of each, at which so many looks are in so many calls
		made := min(ticks, n*codas)
		return ticks*(c.byRows[StageBlock].of(rows)+c.chances.overhead) + made*c.byRows[StageCoda].of(n*looks/made)
	}
	codas := 1.0 // a look at a guess and one at the token that it follows are in one call, or in two
	if w.loops%w.draft > 0 {
		codas = 2
	}
	plain := loops*(c.byRows[StageBlock].of(n)+c.chances.overhead) + c.byRows[StageCoda].of(n)
	hit := calls(draft, n*chain, 2, codas)
	miss := calls(loops, n*(1+chain)/2, chain, chain)
	if guess := right*hit + (1-right)*miss; guess > 0 {
		return plain / guess
	}
	return 0
}
