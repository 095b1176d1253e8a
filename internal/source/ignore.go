package source

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// ignoreFile is the only file with ignore rules, at the top of the tree. One below is a file like
// others.
const ignoreFile = ".dockerignore"

// maxIgnoreFile is the bytes of rules that are read: a thousand times what projects have.
const maxIgnoreFile = 1 << 20

// rules decide which entries of a tree are sent.
type rules struct {
	matcher *patternmatcher.PatternMatcher // nil when nothing is ignored
	again   []string                       // the patterns of the "!" rules
	keep    map[string]bool                // the kept files
	above   map[string]bool                // the folders above kept files
}

// readRules reads dir's ignore file. Without one, nothing is ignored.
func readRules(dir string, keep []string) (*rules, error) {
	r := &rules{keep: map[string]bool{}, above: map[string]bool{}}
	for _, name := range keep {
		name = path.Clean(filepath.ToSlash(name))
		r.keep[name] = true
		for up := path.Dir(name); up != path.Dir(up); up = path.Dir(up) {
			r.above[up] = true
		}
	}
	patterns, err := readPatterns(filepath.Join(dir, ignoreFile))
	if err != nil || len(patterns) == 0 {
		return r, err
	}
	for _, p := range patterns {
		if err := check(p); err != nil {
			return nil, fmt.Errorf("%s: rule %q: %w", ignoreFile, p, err)
		}
		if again, ok := strings.CutPrefix(p, "!"); ok {
			r.again = append(r.again, again)
		}
	}
	if r.matcher, err = patternmatcher.New(patterns); err != nil {
		return nil, fmt.Errorf("%s: %w", ignoreFile, err)
	}
	return r, nil
}

// readPatterns reads the rules in a file, none when it is missing. The file is not part of what is
// sent by being read here, so it may be a link to a file outside of the tree, as repositories with
// many apps have.
func readPatterns(name string) ([]string, error) {
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxIgnoreFile {
		return nil, fmt.Errorf("%s: not a file of at most %d bytes", ignoreFile, maxIgnoreFile)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	patterns, err := ignorefile.ReadAll(io.LimitReader(f, maxIgnoreFile))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ignoreFile, err)
	}
	return patterns, nil
}

// check finds the faults of one rule, which a matcher of all rules would only report in the middle
// of the walk and without saying which rule it is.
func check(pattern string) error {
	one, err := patternmatcher.New([]string{strings.TrimPrefix(pattern, "!")})
	if err != nil {
		return err
	}
	_, err = one.MatchesOrParentMatches("name")
	return err
}

// ignored reports whether the entry is left out, and what its children need to know; above is that
// of the folder it is in.
func (r *rules) ignored(name string, above patternmatcher.MatchInfo) (bool, patternmatcher.MatchInfo, error) {
	if r.matcher == nil {
		return false, above, nil
	}
	ignored, info, err := r.matcher.MatchesUsingParentResults(name, above)
	return ignored && !r.keep[name], info, err
}

// reachBelow reports whether something in an ignored folder may have to be sent, so that it must be
// entered.
func (r *rules) reachBelow(name string) bool {
	return r.above[name] || slices.ContainsFunc(r.again, func(pattern string) bool { return reaches(pattern, name) })
}

// reaches reports whether pattern may match a name below the folder. It may err on the side of
// true, which costs time only.
func reaches(pattern, folder string) bool {
	if strings.ContainsAny(pattern, `[\|{`) {
		return true // in the matcher's own regular expressions these can cross a slash
	}
	parts := strings.Split(pattern, "/")
	for name := range strings.SplitSeq(folder, "/") {
		if len(parts) == 0 {
			return false // names the folder or one above it, and a later rule ignores that again
		}
		if strings.Contains(parts[0], "**") {
			return true
		}
		if match, _ := path.Match(parts[0], name); !match {
			return false // without classes and escapes there is no malformed pattern
		}
		parts = parts[1:]
	}
	return len(parts) > 0
}
