package measure

import (
	"time"

	"github.com/loopserve/loopserve/loopctl"
)

// Numbers are what a load's runs brought. Times are in milliseconds, over all requests.
type Numbers struct {
	Requests int    `json:"requests"`
	TTFT     Spread `json:"ttft_ms"`
	ITL      Spread `json:"itl_ms"`
	TPOT     Spread `json:"tpot_ms"`
	E2E      Spread `json:"e2e_ms"`
	// TokensPerSecond and LoopsPerSecond are spreads over runs: a run's tokens divided by its time, which is that from the
	// first request to the last token.
	TokensPerSecond Spread `json:"tokens_per_second"`
	LoopsPerSecond  Spread `json:"loops_per_second"`
	// MeanLoops is per token.
	MeanLoops float64 `json:"mean_loops"`
	Drafted   int     `json:"drafted,omitempty"` // tokens guessed, where drafts were asked for
	Accepted  int     `json:"accepted,omitempty"`
	// The next are means over block calls; null where nobody counts them, as over HTTP or for some of a load's clients.
	MSPerBlockCall *float64 `json:"ms_per_block_call"`
	RowsPerCall    *float64 `json:"rows_per_call"`
	RowsRunnable   *float64 `json:"rows_of_runnable"` // share of the rows that could have run that did
}

// run is what was seen of a load at a stretch.
type run struct {
	replies       []*Reply // that ended within it
	tokens, loops float64  // that came within it
	wall          time.Duration
	blocks        loopctl.Blocks
}

// add books the tokens that came from start to end, and the replies that ended by then.
func (r *run) add(replies []*Reply, start, end time.Time) {
	r.wall += end.Sub(start)
	for _, reply := range replies {
		part := reply.within(end)
		r.tokens, r.loops = r.tokens+part*float64(reply.Tokens), r.loops+part*float64(reply.Loops)
		if !reply.end().After(end) {
			r.replies = append(r.replies, reply)
		}
	}
}

// runs are those of one load.
type runs []run

func (rs runs) wall() (sum time.Duration) {
	for i := range rs {
		sum += rs[i].wall
	}
	return sum
}

func (rs runs) numbers() Numbers {
	var n Numbers
	var all []*Reply
	var tokenRates, loopRates []float64
	var blocks loopctl.Blocks
	tokens, loops := 0, 0
	for i := range rs {
		r := &rs[i]
		all = append(all, r.replies...)
		blocks.Add(r.blocks, 1)
		tokenRates, loopRates = append(tokenRates, ratio(r.tokens, r.wall.Seconds())), append(loopRates, ratio(r.loops, r.wall.Seconds()))
	}
	for _, r := range all {
		tokens, loops = tokens+r.Tokens, loops+r.Loops
		n.Drafted, n.Accepted = n.Drafted+r.Drafted, n.Accepted+r.Accepted
	}
	n.Requests, n.MeanLoops = len(all), ratio(float64(loops), float64(tokens))
	n.TTFT, n.ITL, n.TPOT, n.E2E = spread(all, ttft), spread(all, itl), spread(all, tpot), spread(all, e2e)
	n.TokensPerSecond, n.LoopsPerSecond = spreadOf(tokenRates), spreadOf(loopRates)
	if blocks.Calls > 0 {
		calls, rows := float64(blocks.Calls), float64(blocks.Rows)
		n.MSPerBlockCall, n.RowsPerCall, n.RowsRunnable = new(ms(blocks.Took)/calls), new(rows/calls), new(ratio(rows, float64(blocks.Runnable)))
	}
	return n
}

func (rs runs) point(s Shape) *Point {
	p := &Point{Shape: s, Numbers: rs.numbers()}
	for i := range rs {
		n := rs[i : i+1].numbers()
		p.Rounds = append(p.Rounds, Round{E2E: n.E2E.P50, TTFT: n.TTFT.P50, TPOT: n.TPOT.P50, TokensPerSecond: n.TokensPerSecond.P50})
	}
	return p
}

// spread is of one time of each reply, or of several, or none.
func spread(replies []*Reply, times func(*Reply) []time.Duration) Spread {
	var values []float64
	for _, r := range replies {
		for _, d := range times(r) {
			values = append(values, ms(d))
		}
	}
	return spreadOf(values)
}

func ttft(r *Reply) []time.Duration { return []time.Duration{r.TTFT} }

func e2e(r *Reply) []time.Duration { return []time.Duration{r.E2E} }

// perToken is the whole answer's time over its tokens.
func perToken(r *Reply) []time.Duration {
	return []time.Duration{r.E2E / time.Duration(max(r.Tokens, 1))}
}

func itl(r *Reply) (gaps []time.Duration) {
	for i := 1; i < len(r.Stamps); i++ {
		gaps = append(gaps, r.Stamps[i]-r.Stamps[i-1])
	}
	return gaps
}

// tpot is the mean time of a token after the first, as vLLM defines it; an answer of one token has none.
func tpot(r *Reply) []time.Duration {
	if r.Tokens < 2 {
		return nil
	}
	return []time.Duration{(r.E2E - r.TTFT) / time.Duration(r.Tokens-1)}
}

// countBlocks adds, times sign, what a client's engine has done so far: −1 before a measurement, 1 after it.
func (r *run) countBlocks(c Client, sign int64) {
	if p, ok := c.(*Process); ok && p.Blocks != nil {
		r.blocks.Add(p.Blocks(), sign)
	}
}
