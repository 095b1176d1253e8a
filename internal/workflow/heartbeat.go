package workflow

import (
	"time"
)

// heartbeatInterval is how long nothing may be printed. CI systems end a job that
// says nothing, CircleCI after 10 minutes; and a person wants to know what it is
// that takes so long.
const heartbeatInterval = time.Minute

// awaiting prints a line whenever nothing was printed for a while, with what is
// waited for and since when, until done is called.
func (j Job) awaiting(what string) (done func()) {
	begun := time.Now()
	stop := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		t := time.NewTimer(heartbeatInterval)
		defer t.Stop()
		for {
			select {
			case <-stop:
				return
			case <-t.C:
			}
			quiet := time.Since(j.lastWord(begun))
			if quiet >= heartbeatInterval {
				j.printf("Still waiting for %s, since %s", what, time.Since(begun).Round(time.Second))
				quiet = 0
			}
			t.Reset(heartbeatInterval - quiet)
		}
	}()
	return func() {
		close(stop)
		<-stopped
	}
}

// lastWord is when something was printed last, not before begun.
func (j Job) lastWord(begun time.Time) time.Time {
	if j.LastWord == nil {
		return begun
	}
	if last := j.LastWord(); last.After(begun) {
		return last
	}
	return begun
}
