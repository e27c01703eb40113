package parity

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/loopserve/loopserve/internal/golden"
	"github.com/loopserve/loopserve/loopctl"
)

// Options say how the sequences are fed.
type Options struct {
	Chunk int // tokens of a prompt in one call; 0: all of them
}

// Check runs everything that the case has answers for: every prompt at every loop count, and the continuations.
func Check(e Engine, c *golden.Case, opt Options) (Report, error) {
	k := &checker{e: e, c: c, opt: opt, read: map[string]bool{}, why: map[string]string{}}
	folders := c.Folders("")
	slices.SortStableFunc(folders, func(a, b string) int { return cmp.Compare(rank(a), rank(b)) })
	for _, folder := range folders {
		if k.folder(folder); k.err != nil {
			return k.r, fmt.Errorf("%s: %w", folder, k.err)
		}
	}
	k.leave()
	return k.r, nil
}

// prefix begins the names of answers to prompts that are read in both directions. A bundle that reads them so gives the others, too,
// when its rows are told to see no further than themselves.
const prefix = "prefix/"

// rank is the order of a report: prompts, plain continuations, the rest.
func rank(folder string) int {
	switch {
	case strings.HasPrefix(folder, "prompt_"):
		return 0
	case folder == "greedy":
		return 1
	}
	return 2
}

type checker struct {
	e    Engine
	c    *golden.Case
	opt  Options
	r    Report
	read map[string]bool   // the answers that were compared
	why  map[string]string // why others were not
	err  error             // the first one: it ends the check
}

func (k *checker) fail(err error) {
	if k.err == nil {
		k.err = err
	}
}

func (k *checker) folder(folder string) {
	switch {
	case strings.HasPrefix(folder, "prompt_"):
		k.eachLoops(folder, func(at string, loops int) { k.prompt(folder, at, loops, nil) })
	case strings.HasPrefix(folder, "steps_"):
		k.steps(folder)
	case folder == "greedy":
		k.eachLoops(folder, func(at string, loops int) { k.greedy(at, "greedy logits and tokens", loops, loops) })
	case strings.HasPrefix(folder, "cache_compress-s"):
		k.compressed(folder)
	case folder == "adaptive":
		k.adaptives()
	case folder+"/" == prefix && k.e.Manifest().PrefixLM:
		for _, inner := range k.c.Folders(prefix) {
			k.eachLoops(prefix+inner, func(at string, loops int) {
				if inner == "greedy" {
					k.greedy(at, "greedy logits and tokens, prompt read in both directions", loops, loops)
				} else {
					k.prompt(inner, at, loops, nil)
				}
			})
		}
	}
}

// eachLoops calls check for every loop count of a folder, with where its answers are.
func (k *checker) eachLoops(folder string, check func(at string, loops int)) {
	most := k.e.Manifest().Loops.Max
	for _, loops := range k.c.Loops(folder) {
		at := fmt.Sprintf("%s/T_%d/", folder, loops)
		if loops > most {
			for _, name := range k.c.Names(at) {
				k.why[name] = fmt.Sprintf("the bundle's loops end at %d", most)
			}
			continue
		}
		if check(at, loops); k.err != nil {
			k.err = fmt.Errorf("%d loops: %w", loops, k.err)
			return
		}
	}
}

// steps runs prompts on a way of their own: steps_4-2-1-1/prompt_1/….
func (k *checker) steps(folder string) {
	var way loopctl.Trajectory
	for _, number := range strings.Split(strings.TrimPrefix(folder, "steps_"), "-") {
		step, err := strconv.ParseFloat(number, 64)
		k.fail(err)
		way = append(way, step)
	}
	for _, prompt := range k.c.Folders(folder + "/") {
		if k.err == nil {
			k.prompt(prompt, folder+"/"+prompt+"/", len(way), way)
		}
	}
}

// adaptives runs early exit by latent-diff with the cache whose planes are filled; other rules and caches are listed as left.
func (k *checker) adaptives() {
	for _, rule := range k.c.Folders("adaptive/") {
		theta, err := strconv.ParseFloat(strings.TrimPrefix(rule, "latent-diff_"), 64)
		if err != nil {
			continue
		}
		for _, cache := range k.c.Folders("adaptive/" + rule + "/") {
			if strings.HasPrefix(cache, "cache_latest-m") && k.err == nil {
				k.adaptive("adaptive/"+rule+"/"+cache+"/", theta)
			}
		}
	}
}

func (k *checker) add(what, kind, label string, diff float64) {
	k.r.Lines = append(k.r.Lines, Line{What: what, Kind: label, MaxDiff: diff, Tolerance: k.c.Within(kind)})
}

// compare notes the largest difference between an answer's numbers and what was got; each is given its place in the answer.
func (k *checker) compare(name, kind, label string, got func(i int) float64) {
	want, _ := k.floats(name)
	k.add(name, kind, label, farthest(want, got))
}

// count notes how many of an answer's integers are not what was got.
func (k *checker) count(name, label string, got func(i int) int) {
	want := k.ids(name)
	line := Line{What: name, Kind: label, Compared: len(want)}
	for i, w := range want {
		if got(i) != int(w) {
			line.Differ++
		}
	}
	k.r.Lines = append(k.r.Lines, line)
}

// floats and ids are answers. One that is missing or damaged is k's error.
func (k *checker) floats(name string) ([]float32, []int64) {
	k.read[name] = true
	values, shape, err := k.c.Floats(name)
	k.fail(err)
	return values, shape
}

func (k *checker) ids(name string) []int32 {
	k.read[name] = true
	ids, err := k.c.IDs(name)
	k.fail(err)
	return ids
}

// reasons say why answers are left, by a part of their name.
var reasons = []struct{ part, why string }{
	{"/cache_full/", "later tokens do not see a row at depths that it skipped: no KV policy of a bundle"},
	{"cache_compress-r", "all layers of a loop share a slot: no KV policy of a bundle"},
	{"cache_last-loop", "of the KV policy last_loop, whose rows only the scheduler places"},
	{"cache_first-full", "of the KV policy first, whose rows only the scheduler places"},
	{"cache_first-bypass", "the same, and generated tokens pass the window once"},
	{"euler", "of a bundle that is exported with --loop-beta 0"},
	{"naive", "of a bundle that is exported with --loop-naive"},
	{"/natural", "an engine does not show the first loop's output, on which every logit depends"},
	{"/loop_out", "an engine does not show what the coda reads, on which every logit depends"},
	{"/given_state/", "an engine takes no initial state from outside"},
	{prefix, "the manifest's prefix_lm is false"},
	{"/z_L_step_", "an engine shows the first hidden_size numbers of a state; each later one depends on the others"},
	{"/prelude", "an engine does not show what the prelude injects; every hidden state depends on it"},
	{"/latents_returned_by_forward", "a norm of a hidden state, which is compared itself"},
}

// leave lists what was not compared: one line for each folder, or for what one reason is about.
func (k *checker) leave() {
	for _, name := range k.c.Names("") {
		if k.read[name] {
			continue
		}
		what, why := name, k.why[name]
		if cut := strings.LastIndexByte(name, '/'); why == "" && strings.Count(name, "/") > 1 {
			what = name[:cut]
		}
		for _, r := range reasons {
			if before, _, found := strings.Cut(name, r.part); found && why == "" {
				what, why = before+strings.TrimSuffix(r.part, "/"), r.why
			}
		}
		if why == "" {
			why = "nothing here knows this answer"
		}
		if line := what + ": " + why; !slices.Contains(k.r.Left, line) {
			k.r.Left = append(k.r.Left, line)
		}
	}
}
