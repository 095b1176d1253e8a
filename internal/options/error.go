package options

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/agext/levenshtein"
)

// maxShown is how many bytes of a wrong value are shown: enough to recognise it,
// and a whole file given by mistake stays out of the log.
const maxShown = 80

// Error is every fault of the inputs.
type Error struct {
	Problems []Problem // in the order of the struct's fields
}

// Problem is one fault of one input.
type Problem struct {
	Input    string   // its name
	Value    string   // what was given; "" for nothing, and always for secrets and lists, which may hold them
	Message  string   // what is wrong with it
	Accepted []string // what is accepted, or examples of it; may be empty
}

// Error lists every problem on a line of its own.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// String is the problem in one line:
//
//	timeout: "abc" is not a duration; accepted: 90s, 30m, 1h
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.Input + ": ")
	if p.Value != "" {
		b.WriteString(strconv.Quote(cut(p.Value)) + " ")
	}
	b.WriteString(p.Message)
	if len(p.Accepted) > 0 {
		b.WriteString("; accepted: " + strings.Join(p.Accepted, ", "))
	}
	return b.String()
}

// Join makes one report of several: the problems of every [*Error] among errs in
// one, joined with the other errors. It returns nil when all are nil.
func Join(errs ...error) error {
	all := &Error{}
	var others []error
	for _, err := range errs {
		if e, ok := errors.AsType[*Error](err); ok {
			all.Problems = append(all.Problems, e.Problems...)
		} else {
			others = append(others, err)
		}
	}
	if len(all.Problems) > 0 {
		others = append([]error{all}, others...)
	}
	return errors.Join(others...)
}

// Nearest returns the one of names a person may have meant by name, "" when none
// is close. One edit in three characters counts as close: a slip of the finger,
// not another word. Case does not count.
func Nearest(name string, names []string) string {
	const charactersPerEdit = 3
	name = strings.ToLower(name)
	best, limit := "", max(1, utf8.RuneCountInString(name)/charactersPerEdit)
	for _, candidate := range names {
		edits := levenshtein.Distance(name, strings.ToLower(candidate), nil)
		if edits <= limit && edits < utf8.RuneCountInString(candidate) {
			best, limit = candidate, edits-1
		}
	}
	return best
}

// cut shortens text to maxShown bytes, at a character.
func cut(text string) string {
	if len(text) <= maxShown {
		return text
	}
	n := maxShown
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n] + "…"
}

// faults is what a parser found wrong with one value.
type faults []fault

// fault is one thing wrong.
type fault struct {
	message  string
	accepted []string
}

// Error is for Go only; people read [Problem].
func (f faults) Error() string {
	lines := make([]string, len(f))
	for i, one := range f {
		lines[i] = one.message
	}
	return strings.Join(lines, "; ")
}
