package ci_test

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/ci"
)

// readers find what the CI systems other than GitHub would take for a command in
// a log, each by the rules of the program that does it there.
var readers = map[string]func(log string) []string{
	ci.Azure:      readAzure,
	ci.TeamCity:   readTeamCity,
	ci.GitLab:     readGitLab,
	ci.Buildkite:  readBuildkite,
	ci.CircleCI:   func(string) []string { return nil },
	ci.Bitbucket:  func(string) []string { return nil },
	ci.Drone:      func(string) []string { return nil },
	ci.Woodpecker: func(string) []string { return nil },
	ci.Plain:      func(string) []string { return nil },
}

// readAzure reads as the agent does, which takes area and event in brackets behind
// "##vso" anywhere in a line, and as its log viewer, which reads "##[" in what the
// agent does not take.
func readAzure(log string) (found []string) {
	for _, line := range lineEnd.Split(log, -1) {
		_, rest, ok := strings.Cut(line, "##vso[")
		head, data, closed := strings.Cut(rest, "]")
		name, properties, _ := strings.Cut(head, " ")
		words := strings.FieldsFunc(name, func(r rune) bool { return r == '.' })
		if ok && closed && len(words) == 2 {
			found = append(found, strings.TrimSpace(name+" "+decodeAzure(properties))+"="+decodeAzure(data))
		} else if _, rest, ok := strings.Cut(line, "##["); ok {
			found = append(found, "##["+rest)
		}
	}
	return found
}

func decodeAzure(text string) string {
	for _, code := range [][2]string{{"%3B", ";"}, {"%0D", "\r"}, {"%0A", "\n"}, {"%5D", "]"}, {"%AZP25", "%"}} {
		text = strings.ReplaceAll(text, code[0], code[1])
	}
	return text
}

// readTeamCity reads as the parser of service messages does: anywhere in a line,
// up to the first bracket that is not escaped.
func readTeamCity(log string) (found []string) {
	for _, line := range lineEnd.Split(log, -1) {
		_, rest, ok := strings.Cut(line, "##teamcity[")
		if !ok {
			continue
		}
		message, escaped, closed := "", false, false
		for _, r := range rest {
			if r == ']' && !escaped {
				closed = true
				break
			}
			escaped = r == '|' && !escaped
			message += string(r)
		}
		found = append(found, fmt.Sprintf("%s %v", message, closed))
	}
	return found
}

var gitlabSection = regexp.MustCompile(`section_(?:start|end):\d+:[a-zA-Z0-9_.-]+(?:\[(?:\w+=\w+)(?:, ?\w+=\w+)*\])?\r\x1b\[0K`)

// readGitLab reads as the converter of job logs does, which looks for sections
// from every byte on.
func readGitLab(log string) []string { return gitlabSection.FindAllString(log, -1) }

var (
	buildkiteHeading = regexp.MustCompile(`^(?:---|\+\+\+|~~~)\s(.+)?$`)
	buildkiteOpen    = regexp.MustCompile(`^\^\^\^\s+\+\+\+\s*$`)
	buildkiteColour  = regexp.MustCompile(`\x1b\[[;\d]*[mK]`)
)

// readBuildkite reads as the agent does, which takes colours out first. Lines may
// end as they do on a terminal, where a carriage return goes back to their start.
func readBuildkite(log string) (found []string) {
	for _, line := range regexp.MustCompile(`\r?\n|\r`).Split(log, -1) {
		line = buildkiteColour.ReplaceAllString(line, "")
		if buildkiteHeading.MatchString(line) || buildkiteOpen.MatchString(line) {
			found = append(found, line)
		}
	}
	return found
}

// What a terminal takes for something else than text, over bytes as characters.
var (
	anySequence = regexp.MustCompile(`\x1b\[[ -?]*[@-~]?|\x1b[\]PX^_][^\x07\x1b\r\n]*\x07?|\x1b[ -/]*[0-~]?`)
	colour      = regexp.MustCompile(`^\x1b\[[0-9;:]{0,60}m$`)
	controlByte = regexp.MustCompile(`[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]`)
	c1Control   = regexp.MustCompile(`(\x{c2}(?:\x1b\[[0-9;:]*m)*)[\x{80}-\x{9f}]`)
)

// filtered is a log as it should come through where there are no commands in it:
// with colours only, and a line end for each carriage return that stands alone.
func filtered(log string) string {
	var wide strings.Builder
	for _, b := range []byte(log) {
		wide.WriteRune(rune(b))
	}
	text := anySequence.ReplaceAllStringFunc(wide.String(), func(s string) string {
		if colour.MatchString(s) {
			return s
		}
		return ""
	})
	text = controlByte.ReplaceAllString(text, "")
	for before := ""; before != text; {
		before, text = text, c1Control.ReplaceAllString(text, "$1")
	}
	text = strings.ReplaceAll(text, "\r\n", "\x00")
	text = strings.TrimSuffix(text, "\r") // waits for what follows
	text = strings.NewReplacer("\r", "\n", "\x00", "\r\n").Replace(text)
	var narrow strings.Builder
	for _, r := range text {
		narrow.WriteByte(byte(r))
	}
	return narrow.String()
}

// Whatever the bytes, and however they are cut, no CI system finds a command in
// them; nothing moves about on a terminal; and apart from backslashes and control
// sequences nothing is lost.
func FuzzForeignElsewhere(f *testing.F) {
	f.Add("a ##vso[task.setvariable variable=x]y\r##[error]no ##v\x1b[Kso[a.b]", uint8(1))
	f.Add("##teamcity[setParameter name='a' value='b'] ##team\x00city[x]", uint8(2))
	f.Add("\x1b[0Ksection_start:1:a[collapsed=true]\r\x1b[0Ksection_end:1:a\r\x1b[0K", uint8(3))
	f.Add("--- a\n+++ b\r~~~ c\x1b[1m\r\n^^^ +++\n-\x1b[1m-- d\n---", uint8(4))
	f.Add("\x1b]0;a\x07\x1b_b\x1b\\\x1b(B\x1b[>4m\xc2\x9b\xc2\xa9\x1b[38;5;1m\x1b\x1b[2", uint8(5))
	f.Add("\xc2\x1b[m\x9b\r\r\n\r\x1b[K\n\\\\[", uint8(9))
	f.Fuzz(func(t *testing.T, log string, piece uint8) {
		step := int(piece)%16 + 1
		for system, read := range readers {
			c, said := open(system)
			c.Foreign(func(w io.Writer) error {
				for rest := log; rest != ""; {
					n := min(step, len(rest))
					io.WriteString(w, rest[:n])
					rest = rest[n:]
				}
				return nil
			})
			got := said.String()
			if found := read(got); len(found) > 0 {
				t.Errorf("%s: commands %q in %q", system, found, got)
			}
			if want := bare(filtered(log)); bare(got) != want && bare(got) != want+"\n" {
				t.Errorf("%s: got %q, want %q", system, got, want)
			}
		}
	})
}

// Whatever is in what we say ourselves, a CI system finds the commands that we gave,
// one for each thing said, and no other.
func FuzzSaid(f *testing.F) {
	f.Add("a]b;c%0A\nd##[error]e##vso[a.b]c")
	f.Add("'|[x]'\r\n##teamcity[a 'b']|")
	f.Add("section_end:1:a\r\x1b[0K\n--- x\n+++ y")
	f.Fuzz(func(t *testing.T, text string) {
		for system, want := range map[string]int{ci.Azure: 2 + 2 + 2, ci.TeamCity: 2 + 2 + 1, ci.GitLab: 2, ci.Buildkite: 2, ci.Plain: 0, ci.Bitbucket: 0} {
			c, said := open(system)
			end := c.Group(text)
			end()
			c.Warn(text)
			c.Annotate(ci.LevelError, text, 1, text)
			c.Annotate(ci.LevelNotice, text, 1, text)
			if err := c.Output("reason", text); err != nil {
				want -= map[string]int{ci.Azure: 2, ci.TeamCity: 1}[system]
			}
			io.WriteString(c, text)
			c.Close()
			found := readers[system](said.String())
			if len(found) != want {
				t.Errorf("%s: %d commands, want %d: %q in %q", system, len(found), want, found, said.String())
			}
			for _, command := range found {
				if system == ci.TeamCity && !strings.HasSuffix(command, "true") {
					t.Errorf("not ended: %q", command)
				}
			}
		}
	})
}
