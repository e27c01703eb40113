package bench

// Result is what a sweep measured. Times are in milliseconds.
type Result struct {
	Model  string  `json:"model"`
	Target string  `json:"target"` // "in-process" or the URL
	Date   string  `json:"date"`   // RFC 3339
	Runs   int     `json:"runs"`
	WarmUp int     `json:"warmup"`
	Points []Point `json:"points"`
	// Fit is the first of Fits: end-to-end latency against loops at the first concurrency, prompt and answer length.
	// Null where fewer than two loop counts were swept.
	Fit  *Fit  `json:"fit"`
	Fits []Fit `json:"fits"`
}

// Point is one shape's numbers, over the requests of all its runs.
type Point struct {
	Shape
	Requests int    `json:"requests"`
	TTFT     Spread `json:"ttft_ms"`
	ITL      Spread `json:"itl_ms"`
	TPOT     Spread `json:"tpot_ms"`
	E2E      Spread `json:"e2e_ms"`
	// TokensPerSecond and LoopsPerSecond are spreads over runs: a run's tokens divided by its time from the first request
	// to the last token.
	TokensPerSecond Spread `json:"tokens_per_second"`
	LoopsPerSecond  Spread `json:"loops_per_second"`
	// MeanLoops is per token.
	MeanLoops float64 `json:"mean_loops"`
	// Of the engine's block calls; null where nobody counts them, as over HTTP.
	MSPerBlockCall *float64 `json:"ms_per_block_call"`
	RowsPerCall    *float64 `json:"rows_per_call"`
	RowsRunnable   *float64 `json:"rows_of_runnable"`  // share of the rows that could have run that did
	Drafted        int      `json:"drafted,omitempty"` // tokens guessed, where drafts were asked for
	Accepted       int      `json:"accepted,omitempty"`
	Rounds         []Round  `json:"rounds"`
}

// Round is one run of a point: medians over its requests.
type Round struct {
	E2E             float64 `json:"e2e_ms"`
	TTFT            float64 `json:"ttft_ms"`
	TPOT            float64 `json:"tpot_ms"` // 0 where answers have one token
	TokensPerSecond float64 `json:"tokens_per_second"`
}
