package dense

import (
	"github.com/loopserve/loopserve/loopctl"
	"github.com/loopserve/loopserve/runtime/engine/native"
	"github.com/loopserve/loopserve/runtime/ort"
)

// stage is one graph, and its pages.
type stage struct {
	native.Graph
	which  loopctl.Stage
	single bool // the graph's batch is fixed at 1
	rows   int  // of a native call at most, batch·seq
	pages  arena
}

func (s *stage) open(env *ort.Env, name string, raw []byte, files map[string]*ort.Buffer, which loopctl.Stage) error {
	s.which = which
	err := s.Open(which, func() (*ort.Session, error) { return env.LoadBytes(name, raw, ort.SessionOptions{Files: files}) })
	if err != nil {
		return err
	}
	for _, in := range s.Session.Inputs() {
		s.single = s.single || len(in.Dims) > 0 && in.Dims[0] == 1
	}
	return nil
}

// inputs and outputs are those of a native call, [batch, seq, …]: written before it, read after it, by whichever stage
// is called.
type inputs struct {
	ids, positions, mask *ort.Buffer // int64 [batch, seq]
	depth                *ort.Buffer // int64 [batch]
	hidden, inject       *ort.Buffer // [batch, seq, state width], [batch, seq, d]
}

type outputs struct {
	hidden, inject *ort.Buffer // [batch, seq, state width], [batch, seq, d]
	delta, gate    *ort.Buffer // [batch, seq]
	logits         *ort.Buffer // [batch, seq, vocab]
}
