package rackd

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// hub has the logs of the builds that run. Each is a file, so that readers may
// begin anywhere and a log outlives a process that is killed.
type hub struct {
	dir  string
	mu   sync.Mutex
	live map[string]*liveLog
}

// liveLog is a log that is being written. A reader of it waits for more bytes
// on the channel more, which is closed and replaced with each write.
type liveLog struct {
	file *os.File
	mu   sync.Mutex
	size int64
	more chan struct{}
	done bool
}

func newHub(spool string) (*hub, error) {
	h := &hub{dir: filepath.Join(spool, "logs"), live: map[string]*liveLog{}}
	return h, os.MkdirAll(h.dir, 0o700)
}

// file is where the log of a running build is; ids are unique over all apps.
func (h *hub) file(build string) string { return filepath.Join(h.dir, build+".log") }

// begin starts the log of a build, before anyone can ask for it.
func (h *hub) begin(build string) (*liveLog, error) {
	f, err := os.OpenFile(h.file(build), os.O_CREATE|os.O_RDWR|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	l := &liveLog{file: f, more: make(chan struct{})}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.live[build] = l
	return l, nil
}

// end tells the readers that nothing more comes and forgets the log, once the
// record of the build says where the stored one is.
func (h *hub) end(build string) {
	h.mu.Lock()
	l := h.live[build]
	delete(h.live, build)
	h.mu.Unlock()
	l.mu.Lock()
	l.done = true
	close(l.more)
	l.file.Close()
	l.mu.Unlock()
	os.Remove(h.file(build)) // readers that are not through keep it open
}

// open gives a reader of a running build's log from its first byte, which ends
// with the log or with ctx; false if there is no such log.
func (h *hub) open(ctx context.Context, build string) (r io.ReadCloser, live bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.live[build]
	if l == nil {
		return nil, false, nil
	}
	f, err := os.Open(h.file(build))
	if err != nil {
		return nil, true, err
	}
	return &liveReader{ctx: ctx, log: l, file: f}, true, nil
}

// left lists the builds whose logs a process before this one left behind.
func (h *hub) left() ([]string, error) {
	files, err := os.ReadDir(h.dir)
	var builds []string
	for _, f := range files {
		builds = append(builds, strings.TrimSuffix(f.Name(), ".log"))
	}
	return builds, err
}

// seal ends the log that a process before this one left behind, perhaps within
// a line; where there is none it makes one.
func (h *hub) seal(build string, cause error) error {
	f, err := os.OpenFile(h.file(build), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, errorLine(f, cause))
	return errors.Join(err, f.Close())
}

// errorLine is what the log of a failed build ends with: a line of its own,
// whatever stands before it.
func errorLine(log *os.File, cause error) string {
	last := []byte{'\n'}
	if info, err := log.Stat(); err == nil && info.Size() > 0 {
		log.ReadAt(last, info.Size()-1)
	}
	line := "ERROR: " + cause.Error() + "\n"
	if last[0] != '\n' {
		return "\n" + line
	}
	return line
}

// Write adds to the log and wakes its readers. A builder's late word, after the
// log has ended, is refused.
func (l *liveLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.done {
		return 0, os.ErrClosed
	}
	n, err := l.file.Write(p)
	l.size += int64(n)
	close(l.more)
	l.more = make(chan struct{})
	return n, err
}

// liveReader reads a log that may still grow.
type liveReader struct {
	ctx  context.Context
	log  *liveLog
	file *os.File
	at   int64
}

func (r *liveReader) Read(p []byte) (int, error) {
	for {
		r.log.mu.Lock()
		size, more, done := r.log.size, r.log.more, r.log.done
		r.log.mu.Unlock()
		if r.at < size {
			n, err := r.file.ReadAt(p[:min(int64(len(p)), size-r.at)], r.at)
			r.at += int64(n)
			return n, err
		}
		if done {
			return 0, io.EOF
		}
		select {
		case <-more:
		case <-r.ctx.Done():
			return 0, context.Cause(r.ctx)
		}
	}
}

func (r *liveReader) Close() error { return r.file.Close() }
