package source

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// Rule is a line of a folder's .dockerignore.
type Rule struct {
	Line    int    // from 1
	Text    string // as it stands there, without blanks around it
	pattern string // what it means
}

// IgnoredBy returns the rule in dir by which the file name is left out of an archive unless it is
// kept ([Options.Keep]); ok is false if none is. The name is relative to dir, with slashes. The
// last rule that matches the name, or a folder above it, decides.
func IgnoredBy(dir, name string) (r Rule, ok bool, err error) {
	all, err := readRules(dir, nil)
	if err != nil || all.matcher == nil {
		return Rule{}, false, err
	}
	if ignored, err := all.ignoredBelow(name); err != nil || !ignored {
		return Rule{}, false, err
	}
	lines, err := readLines(filepath.Join(dir, ignoreFile))
	if err != nil {
		return Rule{}, false, err
	}
	for _, r := range slices.Backward(lines) {
		if strings.HasPrefix(r.pattern, "!") {
			continue
		}
		one, err := patternmatcher.New([]string{r.pattern})
		if err != nil {
			return Rule{}, false, err
		}
		if match, err := one.MatchesOrParentMatches(name); err == nil && match {
			return r, true, nil
		}
	}
	return Rule{}, false, nil
}

// ignoredBelow reports whether the walk leaves name out, by the way down to it.
func (r *rules) ignoredBelow(name string) (ignored bool, err error) {
	var match patternmatcher.MatchInfo
	parts := strings.Split(name, "/")
	for i := range parts {
		if ignored, match, err = r.ignored(strings.Join(parts[:i+1], "/"), match); err != nil {
			return false, err
		}
	}
	return ignored, nil
}

// readLines returns the rules of a file.
func readLines(file string) ([]Rule, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxIgnoreFile))
	if err != nil {
		return nil, err
	}
	var rules []Rule
	for i, line := range strings.Split(string(text), "\n") {
		alone := line
		if i > 0 {
			alone = "\n" + line // a byte order mark counts at the start of the file only
		}
		patterns, err := ignorefile.ReadAll(strings.NewReader(alone))
		if err != nil {
			return nil, err
		}
		for _, p := range patterns { // at most one
			rules = append(rules, Rule{Line: i + 1, Text: strings.TrimSpace(line), pattern: p})
		}
	}
	return rules, nil
}
