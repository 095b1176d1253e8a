package manifest

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// places translates where something stands in a text after interpolation to where
// it stands in the file. It is fast for places in the order of the text.
type places struct {
	filled
	in   spot // the text
	file spot // the source
}

// spot is a place in a text.
type spot struct {
	at           int // bytes before it
	line, column int // from 1; the column in characters
}

// The YAML package and this one do not see a mark of the byte order.
var byteOrderMark = []byte("\uFEFF")

// start is the first place of a text.
func start(text []byte) spot {
	s := spot{line: 1, column: 1}
	if bytes.HasPrefix(text, byteOrderMark) {
		s.at = len(byteOrderMark)
	}
	return s
}

func (f filled) places() *places {
	return &places{filled: f, in: start(f.text), file: start(f.source)}
}

// mark gives n and everything in it the places that they have in the file.
func (p *places) mark(n *yaml.Node) {
	n.Line, n.Column = p.of(n.Line, n.Column)
	for _, child := range n.Content {
		p.mark(child)
	}
}

// of returns the line and the column in the file of those in the text. A place
// after the end of a line is the end of that line.
func (p *places) of(line, column int) (int, int) {
	if line < p.in.line || line == p.in.line && column < p.in.column {
		p.in = start(p.text)
	}
	for p.in.at < len(p.text) && (p.in.line < line || p.in.column < column) {
		size := lineEnd(p.text[p.in.at:])
		if size > 0 && p.in.line == line {
			break
		}
		p.in.step(p.text, size)
	}
	at := p.origin(p.in.at)
	if at < p.file.at {
		p.file = start(p.source)
	}
	for p.file.at < at {
		size := 0
		if p.source[p.file.at] == '\n' {
			size = 1 // what editors and CI systems count
		}
		p.file.step(p.source, size)
	}
	return p.file.line, p.file.column
}

// origin returns the offset in the file of an offset in the text.
func (p *places) origin(at int) int {
	i, _ := slices.BinarySearchFunc(p.values, at, func(v value, at int) int {
		if v.end < at {
			return -1
		}
		return 1
	})
	if i < len(p.values) && p.values[i].at <= at && (at < p.values[i].end || p.values[i].at == p.values[i].end) {
		return p.values[i].from
	}
	for i < len(p.values) && p.values[i].end <= at {
		i++
	}
	if i == 0 {
		return at
	}
	return p.values[i-1].to + at - p.values[i-1].end
}

// step goes one character on, or beyond a line end of so many bytes.
func (s *spot) step(text []byte, lineEnd int) {
	if lineEnd > 0 {
		s.at, s.line, s.column = s.at+lineEnd, s.line+1, 1
		return
	}
	_, size := utf8.DecodeRune(text[s.at:])
	s.at, s.column = s.at+size, s.column+1
}

// lineEnd returns the length of the line end that text begins with, in bytes, 0 if
// it does not. See https://yaml.org/spec/1.1/#id871136.
func lineEnd(text []byte) int {
	for _, end := range []string{"\r\n", "\n", "\r", "\u0085", "\u2028", "\u2029"} {
		if bytes.HasPrefix(text, []byte(end)) {
			return len(end)
		}
	}
	return 0
}
