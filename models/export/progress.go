package export

// Progress is how far an export is.
type Progress struct {
	Doing       string // "writing" or "hashing"
	Done, Total int64  // numbers of the checkpoint
	Written     int64  // bytes
	Tensor      string // that is being read
}

// progress counts what is read. A tied table may be read twice, and a table that is recomputed not at all: the total
// is only near the truth.
type progress struct {
	tell        func(Progress)
	done, total int64
	told        int64
}

// between two calls are so many numbers, about a tenth of a second's work.
const between = 1 << 22

func (s *source) progress(opt Options) progress {
	p := progress{tell: opt.Progress}
	for _, name := range s.ckpt.Names() {
		p.total += s.ckpt.Tensor(name).Len()
	}
	return p
}

// advance counts n more numbers of a tensor. It ends an export that nobody wants any more.
func (b *builder) advance(n int64, tensor string) error {
	p := &b.progress
	if p.done += n; p.done-p.told < between && p.told > 0 {
		return nil
	}
	p.told = p.done
	if p.tell != nil {
		p.tell(Progress{Doing: "writing", Done: min(p.done, p.total), Total: p.total, Written: b.data.at, Tensor: tensor})
	}
	return b.ctx.Err()
}
