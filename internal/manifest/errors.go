package manifest

import (
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"
)

// maxListed is how many values of a wrong type one error names: enough to
// repair a file in one go, few enough for a log.
const maxListed = 20

// Error is a fault in a manifest.
//
// Line and Column, from 1, say where in the file; 0 is unknown. A column counts
// characters. A fault in the value of a variable stands where its ${NAME} does.
type Error struct {
	Line, Column int
	Message      string // as a Rack prints it; the words of the YAML parser for a syntax error
	Unsure       bool   // set by [Inspect] alone: a Rack may accept the file nevertheless

	ours    bool     // the rule is this package's; other Racks do not have it
	missing bool     // the app's environment lacks what a service requires
	parts   []*Error // that it reports together; nil for one that stands alone
}

// Missing tells whether the fault is not the file's: the app's environment lacks
// variables that a service requires.
func (e *Error) Missing() bool { return e.missing }

// Parts returns the faults that an error reports together, each with its own
// place: itself if it is one fault.
func (e *Error) Parts() []*Error {
	if len(e.parts) == 0 {
		return []*Error{e}
	}
	var all []*Error
	for _, part := range e.parts {
		part := *part
		part.Unsure = e.Unsure
		all = append(all, &part)
	}
	return all
}

// Error returns the bare message, which is what a Rack writes to a build's log.
func (e *Error) Error() string { return e.Message }

// In returns the message after its place in file, "convox.yml:3:5: message",
// without the parts that are unknown.
func (e *Error) In(file string) string {
	place := file
	if e.Line > 0 {
		place += fmt.Sprintf(":%d", e.Line)
		if e.Column > 0 {
			place += fmt.Sprintf(":%d", e.Column)
		}
	}
	return place + ": " + e.Message
}

// fault returns the error for a fault at n.
func fault(n *yaml.Node, format string, args ...any) *Error {
	return faultAt(n.Line, n.Column, format, args...)
}

// faultAt returns the error for a fault at a line and column.
func faultAt(line, column int, format string, args ...any) *Error {
	return &Error{Line: line, Column: column, Message: fmt.Sprintf(format, args...)}
}

// limit returns the error for a manifest that breaks a bound of this package.
func limit(format string, args ...any) *Error {
	return &Error{Message: fmt.Sprintf(format, args...), ours: true}
}

// mismatch notes that n is not what its place needs. into is the Go type a
// Rack decodes that place into, because its message names it.
func (d *decoder) mismatch(n *yaml.Node, into string) { d.note(n, d.describe(n, false), into) }

// mismatchAbove is [decoder.mismatch] for a place above the names of things.
func (d *decoder) mismatchAbove(n *yaml.Node, into string) { d.note(n, d.describe(n, true), into) }

func (d *decoder) note(n *yaml.Node, what, into string) {
	if len(d.mismatches) == maxListed {
		d.unlisted++
		return
	}
	d.mismatches = append(d.mismatches, fault(n, "cannot unmarshal %s into %s", what, into))
}

// mismatchCount is how many were noted.
func (d *decoder) mismatchCount() int { return len(d.mismatches) + d.unlisted }

// mismatched returns all mismatches as one error, at the first of them, in the
// layout of https://pkg.go.dev/gopkg.in/yaml.v2#TypeError. Unlike a Rack's, its
// line numbers are those of the file.
func (d *decoder) mismatched() *Error {
	all := *d.mismatches[0]
	all.parts = d.mismatches
	var text strings.Builder
	text.WriteString("yaml: unmarshal errors:")
	for _, e := range d.mismatches {
		fmt.Fprintf(&text, "\n  line %d: %s", e.Line, e.Message)
	}
	if d.unlisted > 0 {
		fmt.Fprintf(&text, "\n  and %d more", d.unlisted)
	}
	all.Message = text.String()
	return &all
}
