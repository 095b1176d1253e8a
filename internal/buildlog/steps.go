package buildlog

import (
	"strconv"
	"strings"
)

// steps counts steps, in the words of BuildKit's plain log
//
//	#6 [web 2/3] COPY tool /tool
//	#6 CACHED
//
// and in those of the builder that Docker had before it
//
//	Step 2/3 : COPY tool /tool
//	 ---> Using cache
type steps struct {
	all, cached int
	known       map[int]bool // steps of this Dockerfile by their number in the log: is it from the cache
	lost        bool         // there were too many
}

// begin comes before another Dockerfile, for which the log counts anew.
func (s *steps) begin() { clear(s.known) }

func (s *steps) read(line string) {
	switch {
	case line[0] == '#':
		s.vertex(line[1:])
	case strings.HasPrefix(line, "Step "):
		if place, _, ok := strings.Cut(line[len("Step "):], " : "); ok && isPlace(place) {
			s.all++
		}
	case line == " ---> Using cache" && s.cached < s.all:
		s.cached++
	}
}

// vertex reads a line of BuildKit's, behind the #. A step is named again whenever
// the log comes back to it.
func (s *steps) vertex(line string) {
	number, rest, ok := strings.Cut(line, " ")
	n, err := strconv.Atoi(number)
	if !ok || err != nil {
		return
	}
	cached, known := s.known[n]
	switch {
	case rest == "CACHED" && known && !cached:
		s.known[n] = true
		s.cached++
	case rest[0:min(1, len(rest))] == "[" && !known && isStep(rest[1:]):
		s.add(n)
	}
}

func (s *steps) add(n int) {
	if len(s.known) >= maxSteps {
		s.lost = true
		return
	}
	if s.known == nil {
		s.known = map[int]bool{}
	}
	s.known[n] = false
	s.all++
}

// isStep tells a step of a Dockerfile, STAGE 2/3], from what the builder does
// besides, internal].
func isStep(name string) bool {
	place, _, ok := strings.Cut(name, "]")
	if at := strings.LastIndexByte(place, ' '); at >= 0 {
		place = place[at+1:]
	}
	return ok && isPlace(place)
}

// isPlace tells whether a text is N/M.
func isPlace(text string) bool {
	n, m, ok := strings.Cut(text, "/")
	return ok && n != "" && m != "" && strings.Trim(n+m, "0123456789") == ""
}

func (s *steps) counted() (cached, all int) {
	if s.lost {
		return 0, 0
	}
	return s.cached, s.all
}
