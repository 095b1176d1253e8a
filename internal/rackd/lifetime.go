package rackd

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/convox-ci/convox-ci/internal/container"
	"github.com/convox-ci/convox-ci/internal/rack"
)

// maxHold is the longest time for which a container is held, in seconds: longer
// than any command of a deploy, and one that a duration can hold.
const maxHold = 30 * 24 * 60 * 60

// held tells for how long a command only waits. "sleep N" is how clients ask for
// a container to run commands in; the rack does the waiting, since an image need
// not have a program that can.
func held(command string) (time.Duration, bool) {
	words := strings.Fields(command)
	if len(words) != 2 || words[0] != "sleep" {
		return 0, false
	}
	seconds, err := strconv.ParseUint(words[1], 10, 32)
	if err != nil {
		return 0, false
	}
	return time.Duration(min(seconds, maxHold)) * time.Second, true
}

// launch starts a process and returns when its container is there: a client
// that waits for the process must not wait for one that cannot be.
func (s *Server) launch(ctx context.Context, o order) (*process, error) {
	if !s.enter() {
		return nil, errClosing
	}
	if err := s.standing(ctx, o.app); err != nil {
		s.busy.Done()
		return nil, err
	}
	p := s.processes.add(s.work, o, s.Name)
	created := make(chan error, 1)
	creating, done := context.WithCancelCause(ctx)
	stopped := context.AfterFunc(p.asked, func() { done(errProcessStopped) })
	go func() {
		defer s.busy.Done()
		defer close(p.removed)
		err := s.Containers.Create(creating, p.record.ID, o.ref)
		stopped()
		done(nil)
		if err != nil {
			s.processes.forget(p.record.ID)
			p.stop()
			created <- err
			return
		}
		p.is(rack.ProcessRunning)
		created <- nil
		s.live(p)
	}()
	return p, <-created
}

var (
	errProcessStopped = errors.New("the process was stopped")
	errClosing        = fault(http.StatusServiceUnavailable, "the rack is being stopped")
)

// enter counts one more of what the rack waits for when it closes; false if it
// closes already.
func (s *Server) enter() bool {
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.work.Err() != nil {
		return false
	}
	s.busy.Add(1)
	return true
}

// live is a process from its start to its end, and a while longer.
func (s *Server) live(p *process) {
	id := p.record.ID
	if d, ok := held(p.command); ok {
		select {
		case <-time.After(d):
		case <-p.asked.Done():
		}
	} else {
		// What its command left behind ends with it, as in a container of which
		// it is the first process; and it ends when the container does.
		stop := context.AfterFunc(p.asked, func() { s.remove(id) })
		_, err := s.Containers.Run(id, container.Command{Line: p.command, Entrypoint: true, Env: p.env, Output: p.journal})
		if err != nil {
			fmt.Fprintf(p.journal, "ERROR: %v\n", err)
		}
		stop()
	}
	s.remove(id)
	p.is(rack.ProcessStopped)
	p.journal.end()
	p.stop()
	time.AfterFunc(keepEnded, func() { s.processes.forget(id) })
}

func (s *Server) remove(id string) {
	if err := s.Containers.Remove(id); err != nil && s.Notice != nil {
		s.Notice(fmt.Sprintf("process %s could not be removed: %v", id, err))
	}
}
