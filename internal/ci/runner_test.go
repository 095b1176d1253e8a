package ci_test

import (
	"regexp"
	"strings"
	"unicode"
)

// runner reads a log as GitHub's runner does: lines end at \n, \r or \r\n; a
// line is a command when it begins, after blanks, with "::name", or holds
// "##[name" anywhere; stop-commands turns all off until its token comes.
type runner struct {
	deaf  bool // takes no stop-commands: what would happen without them
	token string
	found []string // commands in the order they took effect, as name or name=data
}

// known is every command of the runner; the token is one as long as it is set.
var known = map[string]bool{
	"stop-commands": true, "set-output": true, "set-env": true, "save-state": true, "add-mask": true,
	"add-path": true, "add-matcher": true, "remove-matcher": true, "warning": true, "error": true,
	"notice": true, "debug": true, "group": true, "endgroup": true, "echo": true,
}

var lineEnd = regexp.MustCompile(`\r\n|\r|\n`)

func (r *runner) read(log string) {
	for _, line := range lineEnd.Split(log, -1) {
		name, data, ok := r.parseNew(line)
		if !ok {
			name, data, ok = r.parseOld(line)
		}
		if !ok {
			continue
		}
		switch {
		case r.token != "" && !strings.EqualFold(name, r.token):
		case r.token != "":
			r.token = ""
			r.found = append(r.found, "resume")
		case strings.EqualFold(name, "stop-commands") && !r.deaf:
			r.token = data
			r.found = append(r.found, "stop")
		default:
			r.found = append(r.found, strings.ToLower(name)+"="+data)
		}
	}
}

func (r *runner) parseNew(line string) (name, data string, ok bool) {
	line = strings.TrimLeftFunc(line, unicode.IsSpace)
	if !strings.HasPrefix(line, "::") {
		return "", "", false
	}
	info, data, ok := strings.Cut(line[2:], "::")
	return r.named(info, data, ok)
}

func (r *runner) parseOld(line string) (name, data string, ok bool) {
	_, rest, ok := strings.Cut(line, "##[")
	if !ok {
		return "", "", false
	}
	info, data, ok := strings.Cut(rest, "]")
	return r.named(info, data, ok)
}

func (r *runner) named(info, data string, ok bool) (string, string, bool) {
	name, _, _ := strings.Cut(info, " ")
	if !ok || !known[strings.ToLower(name)] && !(r.token != "" && strings.EqualFold(name, r.token)) {
		return "", "", false
	}
	return name, data, true
}
