package server

import (
	"context"
	"errors"
	"io"

	"github.com/gin-gonic/gin"

	"github.com/loopserve/loopserve/loopctl"
)

// work is what the engine does for one HTTP request. It ends with the client's connection and with the server.
type work struct {
	ctx     context.Context //nolint:containedctx // lives as long as the handler that made it
	cancel  func()          // ends what still runs
	streams []*loopctl.Stream
	done    func() // tells the server that the request is over
}

// submit gives the model what requests makes under the work's context. The caller must end the work.
func (s *Server) submit(c *gin.Context, t target, requests func(ctx context.Context) ([]*loopctl.Request, error)) (w work, err error) {
	if w.done, err = s.enter(); err != nil {
		return w, err
	}
	ctx, cancel := context.WithCancelCause(c.Request.Context())
	unhook := context.AfterFunc(s.stop, func() { cancel(context.Cause(s.stop)) })
	w.ctx, w.cancel = ctx, func() { unhook(); cancel(context.Canceled) }
	accepted := false
	defer func() { // also when Submit panics: the request must not count as open for ever
		if !accepted {
			w.end()
		}
	}()
	list, err := requests(ctx)
	if err != nil {
		return w, err
	}
	if w.streams, err = t.Generator.Submit(list...); err != nil {
		return w, err
	}
	accepted = true
	return w, nil
}

func (w *work) end() {
	w.cancel()
	w.done()
}

var errStreamEnded = errors.New("stream ended without its last event")

// nextEvent waits for a sequence's next event. One that says why the sequence could not go on is an error.
func nextEvent(ctx context.Context, stream *loopctl.Stream) (loopctl.Event, error) {
	e, err := stream.Next(ctx)
	switch {
	case errors.Is(err, io.EOF):
		err = errStreamEnded
	case err != nil:
	case e.Finish == loopctl.FinishError && e.Err == nil:
		err = loopctl.ErrEngine
	case e.Finish == loopctl.FinishError:
		err = e.Err
	case e.Finish == loopctl.FinishCancelled && ctx.Err() != nil:
		err = context.Cause(ctx)
	case e.Finish == loopctl.FinishCancelled:
		err = context.Canceled
	}
	return e, err
}
