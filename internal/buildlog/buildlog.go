// Package buildlog reads the log of a build while it passes: the words of Racks
// and of the builders that they use. A log tells what no record has, but anybody
// may have written into it, so that nothing is decided by it.
package buildlog

import (
	"bytes"
	"slices"
	"strings"
)

const (
	maxLine   = 4 << 10 // bytes of a line that are read; what is looked for is shorter
	maxSteps  = 4 << 10 // of one Dockerfile that are told apart; a step takes a line of it
	maxImages = 64      // that are remembered; an app has one for each service
)

// Log is what is known of a build by its log. The zero value has seen nothing.
// What it remembers does not grow with the log. It is for one goroutine.
type Log struct {
	tail   tail
	line   []byte // that is under way
	unit   string // build path of the Dockerfile that is being built
	steps  steps
	images []Image
	before string // the line before, if a place may be in it
	fault  Fault
}

// Image is an image that was pushed.
type Image struct {
	Ref    string // repository:tag; the tag is SERVICE.BUILD
	Digest string // of its manifest, sha256:…; "" if the log does not say
}

// Fault is where in a Dockerfile a build has failed.
type Fault struct {
	Unit string // build path of the service, as in the manifest; "" if not known
	File string // base name of the Dockerfile; "" if not known
	Line int    // from 1
}

var newline = []byte("\n")

// Write takes the next part of the log. It never fails.
func (l *Log) Write(p []byte) (int, error) {
	l.tail.add(p)
	for rest := p; len(rest) > 0; {
		part, after, ended := bytes.Cut(rest, newline)
		rest = after
		if !ended || len(l.line) > 0 {
			l.line = append(l.line, part[:min(len(part), maxLine-len(l.line))]...)
			part = l.line
		}
		if ended {
			l.pass(bytes.TrimSuffix(part[:min(len(part), maxLine)], []byte("\r")))
			l.line = l.line[:0]
		}
	}
	return len(p), nil
}

// pass looks at a line, and reads it if it may tell something.
func (l *Log) pass(line []byte) {
	before := l.before
	l.before = ""
	if !telling(line) {
		return
	}
	l.before = string(line)
	l.read(l.before, before)
}

// telling sorts out what most of a log is, cheaply: a log may come as fast as the
// network is.
func telling(line []byte) bool {
	if len(line) == 0 {
		return false
	}
	switch line[0] {
	case '#': // else it is what a step prints
		at := bytes.IndexByte(line, ' ')
		return at > 0 && at+1 < len(line) && (line[at+1] == '[' || line[at+1] == 'C')
	case 'B', 'E', 'I', 'R', 'S', '-', ' ', 'e':
		return true
	}
	last := line[len(line)-1]
	return '0' <= last && last <= '9' && bytes.IndexByte(line, ' ') < 0 // a file and a line of it
}

// read takes a line, with the one before if that was telling too.
func (l *Log) read(line, before string) {
	switch line[0] {
	case '#', 'S', ' ':
		l.steps.read(line)
	case 'B':
		if unit, ok := strings.CutPrefix(line, "Building: "); ok {
			l.unit = unit
			l.steps.begin()
		}
	case 'I':
		if ref, ok := strings.CutPrefix(line, "Image: "); ok {
			l.pushed(ref)
		}
	case 'R':
		if ref, ok := strings.CutPrefix(line, "Running: docker push "); ok {
			l.pushed(ref)
		}
	case '-':
		if strings.Trim(line, "-") == "" {
			l.place(before)
		}
	}
	l.complaint(line)
}

// pushed remembers an image, as REPOSITORY:TAG or REPOSITORY:TAG@DIGEST.
func (l *Log) pushed(text string) {
	ref, digest, _ := strings.Cut(text, "@")
	if digest != "" && !isDigest(digest) {
		return
	}
	at := slices.IndexFunc(l.images, func(i Image) bool { return i.Ref == ref })
	switch {
	case at >= 0 && digest != "":
		l.images[at].Digest = digest
	case at < 0 && len(l.images) < maxImages:
		l.images = append(l.images, Image{Ref: strings.Clone(ref), Digest: strings.Clone(digest)})
	}
}

// isDigest tells whether a text is sha256: and 64 digits.
func isDigest(text string) bool {
	const digits = 64
	hex, ok := strings.CutPrefix(text, "sha256:")
	return ok && len(hex) == digits && strings.Trim(hex, "0123456789abcdef") == ""
}

// Images are the images of a build that were pushed, in the order of the log.
func (l *Log) Images(build string) []Image {
	var list []Image
	for _, i := range l.images {
		if strings.HasSuffix(i.Ref, "."+build) {
			list = append(list, i)
		}
	}
	return list
}

// Steps tells how many steps the Dockerfiles have had, and how many of them came
// from the cache. Both are 0 where the log does not say, or has too many of them
// to be counted.
func (l *Log) Steps() (cached, all int) { return l.steps.counted() }

// Last gives the last lines, whole ones only, without the newline at the end: the
// rest of a line could be the rest of a secret, which no mask would know. Not more
// is kept than 16 KiB.
func (l *Log) Last(lines, size int) string { return l.tail.last(lines, size) }

// Fault is where the build has failed, if the log points at a line of a Dockerfile.
func (l *Log) Fault() (f Fault, ok bool) { return l.fault, l.fault.Line > 0 }
