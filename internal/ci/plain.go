package ci

import (
	"fmt"
	"strings"
)

// plain is a system that only shows what is printed.
type plain struct{}

func (plain) mask(string) string { return "" }

func (plain) group(title string) (open, end string) {
	return "== " + strings.Join(strings.Fields(title), " ") + "\n", ""
}

func (plain) note(n note) string {
	place := n.file
	if place != "" && n.line > 0 {
		place = fmt.Sprintf("%s:%d", place, n.line)
	}
	if place != "" {
		place += ": "
	}
	return fmt.Sprintf("%s%s: %s\n", place, n.level, strings.TrimRight(n.message, "\n"))
}

func (plain) hush() (stop, resume string) { return "", "" }

func (plain) pass(to receiver, _, _ string) error {
	if to == laterEnvironment {
		return ErrNoEnvironment
	}
	return nil
}
