package buildlog

import (
	"path"
	"strconv"
	"strings"
)

// place reads the line above a rule, with which BuildKit heads the lines of a
// Dockerfile that an error comes from. Of several the last counts: warnings come
// before the error that ends the build.
//
//	Dockerfile:3
//	--------------------
//	   2 |     COPY tool /tool
//	   3 | >>> RUN ["/tool", "fail"]
func (l *Log) place(line string) {
	at := strings.LastIndexByte(line, ':')
	if at < 1 || strings.ContainsAny(line[:at], " \t\x00") {
		return
	}
	if n := lineNumber(line[at+1:]); n > 0 {
		l.fault = Fault{Unit: strings.Clone(l.unit), File: strings.Clone(path.Base(line[:at])), Line: n}
	}
}

// onLine is in what BuildKit says of a Dockerfile that it cannot read.
const onLine = "dockerfile parse error on line "

// complaint reads an error that has the line in its words, for logs without an
// excerpt of the Dockerfile. It is looked for where errors are written.
func (l *Log) complaint(line string) {
	if l.fault.Line > 0 || !strings.HasPrefix(line, "ERROR: ") && !strings.HasPrefix(line, "error: ") {
		return
	}
	_, rest, found := strings.Cut(line, onLine)
	number, _, ok := strings.Cut(rest, ":")
	if n := lineNumber(number); found && ok && n > 0 {
		l.fault = Fault{Unit: strings.Clone(l.unit), Line: n}
	}
}

// maxDockerfile is the highest number of a line that is taken for one.
const maxDockerfile = 1 << 20

// lineNumber reads the number of a line, 0 for what is none.
func lineNumber(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxDockerfile || text[0] == '+' {
		return 0
	}
	return n
}
