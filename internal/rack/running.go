package rack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	peekInterval = 3 * time.Second  // between looks at the record of a command that is not heard of
	peekTimeout  = 30 * time.Second // for one look
	lastWords    = 5 * time.Second  // for the end of a stream that comes just when its command was seen to have ended
	silentLimit  = 2 * time.Minute  // without output until a look is taken: a stream may be dead without a word
)

var (
	// errProcessGone is the reason where the container is not there any more.
	errProcessGone = errors.New("its process has ended")
	// errSilentStream ends a stream on which nothing came although the command has ended.
	errSilentStream = errors.New("the stream is silent although the command has ended")
	// errUnread is a look at a record that brought nothing of it.
	errUnread = errors.New("the record of the command could not be read")
	// errInputCut is the reason where a command ended well whose input may have been cut off.
	errInputCut = errors.New("it has ended with status 0, but its stream broke, and with it maybe its input")
)

// running is a command under way in a process.
type running struct {
	client     *Client
	app        App
	process    string
	job        Job
	plain      string // the command as the rack can be told it
	input      *fed
	token      string // of its record
	keeps      bool   // the container can keep one
	entrypoint string // of the image, where it has to be known
}

// prepare finds out whether a record can be kept.
func (r *running) prepare(ctx context.Context, release string) error {
	delay := firstDelay
	for n := 1; ; n++ {
		printed, err := r.ask(ctx, probeRecord(r.token))
		var none *NoStatusError
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil, errors.As(err, &none) && none.Ended, n == maxTries:
			r.keeps = err == nil && strings.Contains(printed, kept)
			return r.findEntrypoint(ctx, release)
		}
		r.client.notice(fmt.Sprintf("process %s: %v; trying again in %s", r.process, err, delay))
		if err := sleep(ctx, delay); err != nil {
			return err
		}
		delay *= 2
	}
}

// findEntrypoint asks for the entry point that a v3 rack would put before the
// command. Without it there is no record, and the rack does it itself.
func (r *running) findEntrypoint(ctx context.Context, release string) error {
	if !r.keeps || !r.app.onV3() {
		return nil
	}
	rel, err := r.client.Release(ctx, r.app.Name, release)
	if err == nil {
		var b Build
		b, err = r.client.Build(ctx, r.app.Name, rel.Build)
		r.entrypoint = b.Entrypoint
	}
	r.keeps = err == nil
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// once runs the command where nothing can be asked of it later. A process that
// is gone ends the waiting, since a dead stream does not tell.
func (r *running) once(ctx context.Context) (int, error) {
	delay := firstDelay
	for n := 1; ; n++ {
		status, err := r.listen(ctx, r.plain, true, func(ctx context.Context) error {
			p, err := r.client.Process(ctx, r.app.Name, r.process)
			if errors.Is(err, ErrNotFound) || err == nil && p.ended() {
				return &NoStatusError{Ended: true, Err: errProcessGone}
			}
			return nil
		})
		if !turnedAway(err) || n == maxTries {
			return status, err
		}
		r.client.notice(fmt.Sprintf("process %s: %v; trying again in %s", r.process, err, delay))
		if err := sleep(ctx, delay); err != nil {
			return 0, err
		}
		delay *= 2
	}
}

// turnedAway tells whether a stream was refused before the rack had heard of it.
func turnedAway(err error) bool {
	var e *Error
	return errors.As(err, &e) && (again(e, false) || e.Status == http.StatusServiceUnavailable)
}

// recorded runs the command so that it leaves a record, and reads that when the
// stream breaks or is silent.
func (r *running) recorded(ctx context.Context) (int, error) {
	command, prefix := r.app.recorded(r.job.Command, r.entrypoint, r.token)
	for n := 1; ; n++ {
		status, err := r.listen(ctx, command, prefix, func(ctx context.Context) error {
			found, _, err := r.peek(ctx)
			if errors.Is(err, ErrNotFound) || err == nil && found != recordRunning && found != recordNone {
				return &NoStatusError{Err: errSilentStream}
			}
			return nil
		})
		if err == nil || !r.mayGoOn(ctx, err) {
			return status, err
		}
		r.client.notice(fmt.Sprintf("process %s: %v; looking for what became of the command", r.process, err))
		status, found, unread := r.followRecord(ctx)
		switch {
		case unread != nil && lastWord(err):
			return 0, err
		case unread != nil:
			return 0, unread
		case found == recordEnded && status == 0 && !r.input.none():
			return 0, &NoStatusError{Ended: true, Err: errInputCut}
		case found == recordEnded:
			r.client.notice(fmt.Sprintf("process %s: the command has ended with status %d; of what it printed since the stream ended nothing is shown", r.process, status))
			return status, nil
		case found == recordNone && n < maxTries && neverBegan(err):
			continue
		}
		return 0, err
	}
}

// neverBegan tells whether a command that has left no record was not begun: the
// rack has not even opened a stream for it.
func neverBegan(err error) bool {
	var e *Error
	return errors.As(err, &e)
}

// lastWord tells whether the stream ended with a word of the rack: where there is
// no record to be had, that says more than why there is none.
func lastWord(err error) bool {
	var none *NoStatusError
	return errors.As(err, &none) && none.Ended && !errors.Is(none.Err, errNoStatus)
}

// mayGoOn tells whether the command may run, or may be begun, although its
// stream ended in err. A rack opens a stream whatever it has to say: a page or a
// fault of a server in its place is from something in front of it.
func (r *running) mayGoOn(ctx context.Context, err error) bool {
	var none *NoStatusError
	var e *Error
	switch {
	case ctx.Err() != nil:
		return false
	case errors.As(err, &none): // also where the rack's own stream to the command broke, which it says as if that were the end
		return true
	case errors.As(err, &e):
		return again(e, true) || e.Status >= http.StatusInternalServerError || e.Status == http.StatusOK
	}
	return false
}

// listen runs the command and copies its output. When nothing comes for long it
// looks, and what look returns ends the stream.
func (r *running) listen(ctx context.Context, command string, entrypoint bool, look func(context.Context) error) (int, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	output := &activity{out: r.job.Output, last: time.Now()}
	go func() {
		for sleep(ctx, silentLimit) == nil {
			if time.Since(output.heard()) < silentLimit {
				continue
			}
			if err := look(ctx); err != nil && sleep(ctx, lastWords) == nil {
				stop(err)
			}
		}
	}()
	return r.client.Exec(ctx, r.app.Name, r.process, ExecOptions{Command: command, Entrypoint: entrypoint, Input: r.input, Output: output})
}

// followRecord looks at the record until the command has ended.
func (r *running) followRecord(ctx context.Context) (status int, found string, err error) {
	polls := newPolls()
	for begun := time.Now(); ; {
		found, status, err := r.peek(ctx)
		switch {
		case ctx.Err() != nil:
			return 0, "", context.Cause(ctx)
		case found == recordEnded, found == recordLost, found == recordNone && time.Since(begun) >= appearTime:
			return status, found, nil
		case polls.hopeless(err):
			if errors.Is(err, ErrNotFound) { // not a thing that was asked for and does not exist
				err = errProcessGone
			}
			return 0, "", &NoStatusError{Ended: true, Err: err}
		}
		if err := sleep(ctx, peekInterval); err != nil {
			return 0, "", err
		}
	}
}

// peek looks at the record once; found is "" if it could not be read. A process
// that has ended counts as one that is not there.
func (r *running) peek(ctx context.Context) (found string, status int, err error) {
	within, done := context.WithTimeoutCause(ctx, peekTimeout, errSilent)
	defer done()
	p, err := r.client.Process(within, r.app.Name, r.process)
	if err == nil && p.ended() {
		err = &Error{Status: http.StatusNotFound, Message: errProcessGone.Error()}
	}
	if err != nil {
		return "", 0, err
	}
	printed, err := r.ask(within, readRecord(r.token))
	if found, status = parseRecord(printed); err == nil && found == "" {
		err = errUnread
	}
	if err != nil { // whatever it was, the next look may work
		return "", 0, &Error{Method: http.MethodGet, Path: path("apps", r.app.Name, "processes", r.process, "exec"), Err: err}
	}
	return found, status, nil
}

// ask runs a short script of ours and returns what it printed.
func (r *running) ask(ctx context.Context, script string) (string, error) {
	within, done := context.WithTimeoutCause(ctx, peekTimeout, errSilent)
	defer done()
	printed := &head{}
	_, err := r.client.Exec(within, r.app.Name, r.process, ExecOptions{Command: r.app.script(script), Output: printed})
	return string(printed.kept), err
}

// activity is a writer that knows when it was last written to.
type activity struct {
	out  io.Writer
	mu   sync.Mutex
	last time.Time
}

func (a *activity) Write(p []byte) (int, error) {
	a.mu.Lock()
	a.last = time.Now()
	a.mu.Unlock()
	return a.out.Write(p)
}

// heard is when it was last written to.
func (a *activity) heard() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last
}
