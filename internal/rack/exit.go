package rack

import (
	"bytes"
	"io"
	"regexp"
	"strconv"
)

// exitLine is what the output of a command ends with: its status, and on v3
// racks a fault behind it if the rack could not run it.
var exitLine = regexp.MustCompile(`^` + regexp.QuoteMeta(ExitPrefix) + `(-?[0-9]{1,9})\n?(?:` + refusedPrefix + `([^\n]*)\n?)?$`)

// maxExitLine bounds what may still become one, in bytes.
const maxExitLine = maxRefusal

// exitFilter copies the output of a command, all but the line that reports its
// status. The line may come in pieces, or at the end of a message; what only
// looks like one, since more output follows, is output.
type exitFilter struct {
	out  io.Writer
	held []byte // may become the line
}

// Write takes a piece of the output.
func (f *exitFilter) Write(p []byte) (int, error) {
	f.held = append(f.held, p...)
	for {
		keep := exitStart(f.held)
		if keep > 0 {
			if _, err := f.out.Write(f.held[:keep]); err != nil {
				return 0, &writeError{err}
			}
			f.held = f.held[:copy(f.held, f.held[keep:])]
		}
		if len(f.held) == 0 || mayBeExit(f.held) {
			return len(p), nil
		}
		// It is none: its first byte is output, and the line may begin behind it.
		if _, err := f.out.Write(f.held[:1]); err != nil {
			return 0, &writeError{err}
		}
		f.held = f.held[:copy(f.held, f.held[1:])]
	}
}

// exitStart is where in b the line may begin, len(b) if nowhere.
func exitStart(b []byte) int {
	if i := bytes.Index(b, []byte(ExitPrefix)); i >= 0 {
		return i
	}
	for i := max(0, len(b)-len(ExitPrefix)+1); i < len(b); i++ {
		if bytes.HasPrefix([]byte(ExitPrefix), b[i:]) {
			return i
		}
	}
	return len(b)
}

// exitHead is any beginning of what may follow the prefix.
var exitHead = regexp.MustCompile(`^-?[0-9]{0,9}$`)

// mayBeExit tells whether b, which begins as the line does, can still become it.
func mayBeExit(b []byte) bool {
	if len(b) <= len(ExitPrefix) {
		return true
	}
	status, rest, ended := bytes.Cut(b[len(ExitPrefix):], []byte("\n"))
	if !ended {
		return exitHead.Match(status)
	}
	n := min(len(rest), len(refusedPrefix))
	line := bytes.IndexByte(rest, '\n')
	return exitHead.Match(status) && string(rest[:n]) == refusedPrefix[:n] && len(b) <= maxExitLine && (line < 0 || line == len(rest)-1)
}

// end is called when nothing more comes. It gives the status, and what the rack
// said behind it; what was held back and is no line goes out as output. Where the
// stream was cut, so may the line be: it counts only with its end.
func (f *exitFilter) end(cut bool) (status int, fault string, ok bool, err error) {
	held := f.held
	f.held = nil
	whole := !cut || bytes.HasSuffix(held, []byte("\n"))
	if m := exitLine.FindSubmatch(held); m != nil && whole {
		status, _ = strconv.Atoi(string(m[1])) // the pattern allows nothing else
		return status, message(m[2]), true, nil
	}
	if len(held) > 0 {
		if _, err := f.out.Write(held); err != nil {
			return 0, "", false, &writeError{err}
		}
	}
	return 0, "", false, nil
}
