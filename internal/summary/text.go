package summary

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Conceal returns a text without the secrets in it.
type Conceal func(string) string

// colours are what terminals take for colours and for moves of their cursor.
var colours = regexp.MustCompile("\x1b(?:\\[[0-?]*[ -/]*[@-~]|\\][^\x07\x1b]*(?:\x07|\x1b\\\\)?|[@-Z\\\\-_])")

// line is a text of others as one line: masked, and without what would not be
// printed. A secret may come to light only when the colours in it are gone, so
// that is looked for again.
func (conceal Conceal) line(text string, limit int) string {
	clean := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r): // direction marks among them, which show a text as another one
			return utf8.RuneError
		}
		return r
	}, colours.ReplaceAllString(strings.ToValidUTF8(conceal(text), "\uFFFD"), ""))
	return cut(conceal(clean), limit)
}

// cut shortens a text to a number of bytes, the dots for what is missing included.
func cut(text string, limit int) string {
	const dots = "…"
	if len(text) <= limit {
		return text
	}
	limit -= len(dots)
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit] + dots
}

// Text renders the report for a log, in which what the build has printed stands
// right above.
func (r *Report) Text(conceal Conceal) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s%s\n", r.title(conceal.line), r.verdict().words, r.lasted())
	for _, line := range r.rows() {
		text := conceal.line(line.text+line.words, 2*maxName)
		for _, p := range line.more {
			text += " " + strings.TrimSpace(p.words+" "+conceal.line(p.text, 2*maxName))
		}
		fmt.Fprintf(&b, "  %-14s %s\n", line.label, text)
	}
	for _, t := range r.times() {
		fmt.Fprintf(&b, "  %-14s %10s  %s\n", t.Name, seconds(t.Took), bar(t.share))
	}
	for _, i := range r.images() {
		fmt.Fprintf(&b, "  %-14s %s %s\n", "Image", conceal.line(i.Ref, 2*maxName), conceal.line(i.Digest, maxName))
	}
	if next := r.next(); next != nil {
		fmt.Fprintf(&b, "  %-14s %s\n", "Next", conceal.line(strings.Join(next, " "), 3*maxName))
	}
	return b.String()
}
