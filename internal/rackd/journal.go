package rackd

import (
	"bytes"
	"sync"
	"time"
)

const (
	// maxJournal is how much of the output of a process is kept, in bytes: the
	// latest. It is in memory, and gone with the process some minutes after its end.
	maxJournal = 16 << 20
	// maxLine is where a line is broken that goes on, in bytes.
	maxLine = 64 << 10
)

// journal is what a process has written, line by line.
type journal struct {
	source string // service/NAME/ID
	news   *news

	mu    sync.Mutex
	lines []line
	gone  int // lines before the first that is kept
	size  int // of the lines that are kept
	open  []byte
	done  bool
}

// line is one of a journal, without its end.
type line struct {
	at   time.Time
	text string
}

func newJournal(source string, n *news) *journal { return &journal{source: source, news: n} }

// Write adds output, which may break off anywhere.
func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	defer j.news.tell()
	j.open = append(j.open, p...)
	for {
		end, next := bytes.IndexByte(j.open, '\n'), 1
		switch {
		case (end < 0 || end > maxLine) && len(j.open) > maxLine:
			end, next = maxLine, 0
		case end < 0:
			return len(p), nil
		}
		j.add(j.open[:end])
		j.open = j.open[end+next:]
	}
}

// add keeps one more line, and drops the earliest where there is no room.
func (j *journal) add(text []byte) {
	j.lines = append(j.lines, line{now(), string(text)})
	j.size += len(text)
	for j.size > maxJournal {
		j.size -= len(j.lines[0].text)
		j.lines = j.lines[1:]
		j.gone++
	}
}

// end tells the readers that nothing more comes.
func (j *journal) end() {
	j.mu.Lock()
	defer j.mu.Unlock()
	defer j.news.tell()
	if len(j.open) > 0 {
		j.add(j.open)
		j.open = nil
	}
	j.done = true
}

func (j *journal) ended() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.done
}

// look gives the line of a number, or the first after it that is kept, and its
// number; false if there is none yet.
func (j *journal) look(n int) (line, int, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	n = max(n, j.gone)
	if n-j.gone >= len(j.lines) {
		return line{}, n, false
	}
	return j.lines[n-j.gone], n, true
}

// news wakes those who wait for something to happen.
type news struct {
	mu   sync.Mutex
	next chan struct{}
}

func newNews() *news { return &news{next: make(chan struct{})} }

// wait gives a channel that is closed by the first news after the call.
func (n *news) wait() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.next
}

func (n *news) tell() {
	n.mu.Lock()
	defer n.mu.Unlock()
	close(n.next)
	n.next = make(chan struct{})
}
