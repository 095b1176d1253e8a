package rackd

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// logWish is what a client wants of a log; see the headers of log streams.
type logWish struct {
	follow, prefix bool
	since          time.Time // zero for all
	filter         string    // that a line has to hold; "" for none
}

// readWish reads the headers. Without one, the log begins a while ago, and that
// of a process (age 0) with its first line.
func readWish(r *http.Request, age time.Duration) (logWish, error) {
	w := logWish{follow: true, prefix: r.Header.Get("Prefix") == "true", filter: r.Header.Get("Filter")}
	if follow := r.Header.Get("Follow"); follow != "" {
		w.follow = follow == "true"
	}
	if len(r.Header.Values("Since")) > 0 {
		var err error
		if age, err = time.ParseDuration(r.Header.Get("Since")); err != nil {
			return w, err
		}
	}
	if age > 0 {
		w.since = now().Add(-age)
	}
	return w, nil
}

// lineReader reads journals as one log, in the order of time.
type lineReader struct {
	logWish
	client, rack context.Context
	news         *news
	journals     func() []*journal
	last         func() bool // nothing more can come

	at   map[*journal]int // the line that is read next
	rest string           // of what a Read had no room for
}

// Read gives as many lines as there are.
func (l *lineReader) Read(p []byte) (int, error) {
	for l.rest == "" {
		woken, last := l.news.wait(), l.last() // before the look, or what comes after it were missed
		if l.rest = l.next(len(p)); l.rest != "" {
			break
		}
		if last || !l.follow {
			return 0, io.EOF
		}
		select {
		case <-woken:
		case <-l.client.Done():
			return 0, context.Cause(l.client)
		case <-l.rack.Done():
			return 0, io.EOF
		}
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

// Close has nothing to close.
func (l *lineReader) Close() error { return nil }

// next gives the lines that come next, up to a size or one line more.
func (l *lineReader) next(size int) string {
	var text strings.Builder
	all := l.journals()
	for text.Len() < size {
		var from *journal
		var first line
		for _, j := range all {
			if found, n, ok := j.look(l.at[j]); ok {
				if n > l.at[j] {
					fmt.Fprintf(&text, "(%d lines are not kept any more)\n", n-l.at[j])
				}
				l.at[j] = n
				if from == nil || found.at.Before(first.at) {
					from, first = j, found
				}
			}
		}
		if from == nil {
			break
		}
		l.at[from]++
		if !first.at.Before(l.since) && strings.Contains(first.text, l.filter) {
			l.write(&text, from.source, first)
		}
	}
	return text.String()
}

func (l *lineReader) write(to *strings.Builder, source string, from line) {
	if l.prefix {
		fmt.Fprintf(to, "%s %s ", from.at.Format(time.RFC3339), source)
	}
	to.WriteString(from.text + "\n")
}
