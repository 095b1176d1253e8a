package rack

import (
	"errors"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxWords = 512 // bytes that an archive may end in as words of a rack: a line
	minWords = 8   // below that, bytes look like words by chance
)

// ArchiveError tells why the archive of a build is not sound.
type ArchiveError struct {
	Problem string // what it does or lacks, after "the archive"
	Said    string // the words of a rack that it ends in, "" if there are none
}

func (e *ArchiveError) Error() string {
	text := "the archive of the build " + e.Problem
	if e.Said != "" {
		text += "; it ends in words of the rack: " + e.Said
	}
	return text
}

func (a *Archive) wrong(problem string) error { return &ArchiveError{Problem: problem} }

// torn tells an archive that ends too early from one that is wrong.
func (a *Archive) torn(err error, otherwise string) error {
	if a.err != nil && (errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)) {
		return a.wrong("ends too early")
	}
	return a.wrong(otherwise)
}

// words finds the text that bytes end in. A v2 or v3 rack that fails while it
// makes an archive has said 200 by then, and ends it with the error on a line.
func words(end []byte) string {
	line, ok := strings.CutSuffix(string(end), "\n")
	if !ok {
		return ""
	}
	from := len(line)
	for from > 0 {
		r, size := utf8.DecodeLastRuneInString(line[:from])
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			break
		}
		from -= size
	}
	if len(line)-from < minWords {
		return ""
	}
	return strings.TrimSpace(line[from:])
}
