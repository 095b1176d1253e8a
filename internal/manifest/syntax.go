package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"

	"gopkg.in/yaml.v3"
)

// maxStepsBack is how many lines before the one where the parser gave up are
// tried as the place of a fault. It reads ahead to the next line with content,
// and each step parses the text once more.
const maxStepsBack = 3

var (
	// syntaxText takes an error of the yaml package apart: line, then words.
	syntaxText = regexp.MustCompile(`(?s)^yaml: (?:line ([0-9]+): )?(.*)$`)
	// blockFault are the words for a line that does not fit the block it is in.
	// The line that comes with them is that of the block's beginning.
	blockFault = regexp.MustCompile(`^did not find expected (key|'-' indicator)$`)
	// lateFault are the words that come with a line counted from 0.
	lateFault = regexp.MustCompile(`^did not find expected (',' or|node content|<document start>)`)
	// unknownAnchor are the only words that quote the text.
	unknownAnchor = regexp.MustCompile(`(?s)^unknown anchor '(.*)' referenced$`)
)

// parseFirst parses the first document of text; what it returns is the zero
// node when there is none. stopped is the last line, from 1, that was looked at.
func parseFirst(text []byte) (doc yaml.Node, stopped int, err error) {
	lines := &lineReader{text: text}
	err = yaml.NewDecoder(lines).Decode(&doc)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return doc, lines.line(), err
}

// lineReader hands out text line by line, so that what was read when the parser
// gave up tells where it stood.
type lineReader struct {
	text []byte
	at   int // bytes handed out
}

func (r *lineReader) Read(p []byte) (int, error) {
	rest := r.text[r.at:]
	if len(rest) == 0 {
		return 0, io.EOF
	}
	if end := bytes.IndexByte(rest, '\n'); end >= 0 {
		rest = rest[:end+1]
	}
	n := copy(p, rest)
	r.at += n
	return n, nil
}

func (r *lineReader) line() int {
	return bytes.Count(r.text[:max(r.at-1, 0)], []byte("\n")) + 1
}

// syntaxFault returns the error for a text that is not YAML: err is the parser's,
// which stopped at the given line. Its words are kept, its line is put right.
func syntaxFault(err error, f filled, stopped int) *Error {
	said, words := syntaxParts(err)
	line := said
	switch {
	case said == 0 || blockFault.MatchString(words):
		line = stepBack(f.text, stopped, words)
	case lateFault.MatchString(words):
		line = min(said+1, stopped) // at its end, text counts a line more than it has
	}
	if name := unknownAnchor.FindStringSubmatch(words); name != nil {
		words = fmt.Sprintf("unknown anchor '%s' referenced", fromFile(name[1], f.source))
	}
	e := &Error{Message: "yaml: " + words}
	e.Line, _ = f.places().of(line, 1)
	if said > 0 {
		e.Message = fmt.Sprintf("yaml: line %d: %s", e.Line, words)
	}
	return e
}

// syntaxParts returns the line of a parser's error, 0 when it has none, and its
// words.
func syntaxParts(err error) (int, string) {
	parts := syntaxText.FindStringSubmatch(err.Error())
	if parts == nil {
		return 0, err.Error()
	}
	line, _ := strconv.Atoi(parts[1]) // digits, or nothing and so 0
	return line, parts[2]
}

// stepBack returns the line at which a fault stands that made the parser give
// up at the line stopped: the text as far as that line has the fault, and the
// text before it does not.
func stepBack(text []byte, stopped int, words string) int {
	ends := lineEnds(text, stopped)
	for line := stopped; line > 1 && stopped-line < maxStepsBack; line-- {
		_, _, err := parseFirst(text[:ends[line-2]])
		if err == nil {
			return line
		}
		if _, other := syntaxParts(err); other != words {
			return line
		}
	}
	return max(1, stopped-maxStepsBack)
}

// lineEnds returns where each of the first n lines of text ends.
func lineEnds(text []byte, n int) []int {
	var ends []int
	at := 0
	for range n {
		end := bytes.IndexByte(text[at:], '\n')
		if end < 0 {
			break
		}
		at += end + 1
		ends = append(ends, at)
	}
	return ends
}
