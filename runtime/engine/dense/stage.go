package dense

import (
	"errors"
	"fmt"

	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/models/bundle"
	"github.com/loopserve/loopserve/runtime/ort"
)

// stage is one graph: its session, its prepared call, the places of its inputs and outputs (−1 where it has none of
// that name), and its pages.
type stage struct {
	which   loopctl.Stage
	session *ort.Session
	call    *ort.Call
	single  bool // the graph's batch is fixed at 1
	rows    int  // of a native call at most, batch·seq
	pages   arena

	ids, positions, mask, depth, hiddenIn, injectIn int
	hidden, inject, delta, gate, logits             int
}

func (s *stage) open(env *ort.Env, b *bundle.Bundle, which loopctl.Stage, file string) (err error) {
	s.which = which
	if s.session, err = env.Load(b.Path(file), ort.SessionOptions{}); err != nil {
		return fmt.Errorf("load %s: %w", which, err)
	}
	if s.call, err = s.session.NewCall(); err != nil {
		return fmt.Errorf("%s: %w", which, err)
	}
	for _, in := range s.session.Inputs() {
		s.single = s.single || len(in.Dims) > 0 && in.Dims[0] == 1
	}
	in, out := s.session.Input, s.session.Output
	s.ids, s.positions, s.mask, s.depth = in("input_ids"), in("position_ids"), in("attention_mask"), in("depth")
	s.hiddenIn, s.injectIn = in("hidden"), in("inject")
	s.hidden, s.inject, s.delta, s.gate, s.logits = out("hidden"), out("inject"), out("delta"), out("gate"), out("logits")
	if which == loopctl.StageBlock {
		s.hidden = out("hidden_out")
	}
	return nil
}

func (s *stage) close() error {
	return errors.Join(s.call.Close(), s.pages.mem.Close(), s.session.Close())
}

// inputs and outputs are those of a native call, [batch, seq, …]: written before it, read after it, by whichever stage
// is called.
type inputs struct {
	ids, positions, mask *ort.Buffer // int64 [batch, seq]
	depth                *ort.Buffer // int64 [batch]
	hidden, inject       *ort.Buffer // [batch, seq, d]
}

type outputs struct {
	hidden, inject *ort.Buffer // [batch, seq, d]
	delta, gate    *ort.Buffer // [batch, seq]
	logits         *ort.Buffer // [batch, seq, vocab]
}

func (i *inputs) close() error {
	return errors.Join(i.ids.Close(), i.positions.Close(), i.mask.Close(), i.depth.Close(), i.hidden.Close(), i.inject.Close())
}

func (o *outputs) close() error {
	return errors.Join(o.hidden.Close(), o.inject.Close(), o.delta.Close(), o.gate.Close(), o.logits.Close())
}
