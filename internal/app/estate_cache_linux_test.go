//go:build !carrier

package app

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/registry/ecr/ecrtest"
)

const (
	ownCache   = "office-build-cache"
	cacheRead  = "importing cache manifest from "
	cacheWrote = "exporting cache to registry"
)

// keepCache has the rack keep its build cache, and says so in its stack.
func (l *estateLab) keepCache() {
	l.Helper()
	l.do(0, "rack", "params", "set", "BuildCache=Yes")
	s := l.rackStack()
	s.Parameters = map[string]string{"BuildCache": "Yes", "BuildMethod": "ec2"}
	l.stacks.Put(s)
}

// moveOn has later builds run on a machine that has built nothing.
func (l *estateLab) moveOn() {
	l.Helper()
	builder := filepath.Join(l.dir, ".local", "state", "convox-ci", "builder")
	if _, err := os.Stat(builder); err != nil {
		l.Fatal(err)
	}
	if err := os.RemoveAll(builder); err != nil {
		l.Fatal(err)
	}
}

// cacheUnasked fails if anything was asked of the rack's cache.
func (l *estateLab) cacheUnasked() {
	l.Helper()
	for seen := range l.fake.Seen() {
		if seen.Repository == ownCache {
			l.Errorf("%s was asked of the build cache, which is not for this build", seen.Action)
		}
	}
}

// lacks fails if one of the words is in what a command prints.
func (l *estateLab) lacks(out string, words ...string) {
	l.Helper()
	for _, word := range words {
		if strings.Contains(out, word) {
			l.Errorf("%q is in:\n%s", word, out)
		}
	}
}

// leaves is the tag that a build has left its steps under, by its log.
var leaves = regexp.MustCompile(`/` + ownCache + `:(web\.[0-9a-f]{16})`)

// TestDeliveryTakesCache: builds on machines that have built nothing, and on the rack,
// take each other's steps from the rack's cache; nothing is taken with no-cache.
func TestDeliveryTakesCache(t *testing.T) {
	l := newEstateLab(t)
	l.do(0, "apps", "create", "web")
	l.keepCache()
	build, _, out := l.build(l.app("zero"))
	l.has(out, cacheWrote)
	l.lacks(out, cacheRead, "CACHED")
	l.moveOn()
	_, _, out = l.build(l.app("one"))
	l.has(out, cacheRead, "CACHED", cacheWrote)
	if cacheWarning.MatchString(out) {
		t.Errorf("the build says:\n%s", out)
	}
	l.has(l.do(0, "build", "--app", "web", l.app("two")), cacheRead, "CACHED", cacheWrote)

	l.moveOn()
	tag := leaves.FindStringSubmatch(out)[1]
	before := l.fake.Digest(ownCache, tag)
	_, _, out = l.build("--no-cache", l.app("one"))
	l.has(out, cacheWrote)
	l.lacks(out, cacheRead, "CACHED")
	if after := l.fake.Digest(ownCache, tag); before == "" || after == before {
		t.Errorf("with no-cache %q is left, before it was %q", after, before)
	}

	// What others leave is not asked for.
	l.do(0, "rack", "params", "set", "BuildCache=No")
	l.do(0, "rack", "params", "set", "BuildCache=Yes")
	l.copyImage("web."+build, ownCache+":"+strings.Repeat("0123abcd", 8))
	l.moveOn()
	_, _, out = l.build(l.app("one"))
	l.has(out, cacheWrote)
	l.lacks(out, cacheRead)
}

// TestDeliveryWithoutCache: a rack without the cache is not asked for it, and one that
// cannot be read or written never fails a build.
func TestDeliveryWithoutCache(t *testing.T) {
	l := newEstateLab(t)
	l.do(0, "apps", "create", "web")
	s := l.rackStack()
	for _, parameters := range []map[string]string{nil, {"BuildCache": "No", "Other": "Yes"}} {
		s.Parameters = parameters
		l.stacks.Put(s)
		_, _, out := l.build(l.app("one"))
		l.lacks(out, cacheWrote, "WARNING: building without")
	}
	l.cacheUnasked()

	// Switched on and not there yet, or deleted from outside.
	const without = "WARNING: building without the persistent cache of the Rack: "
	s.Parameters = map[string]string{"BuildCache": "Yes"}
	l.stacks.Put(s)
	_, _, out := l.build(l.app("one"))
	l.has(out, without)
	l.lacks(out, cacheWrote)

	l.keepCache()
	l.fake.Deny("ecr:DescribeImages")
	build, _, out := l.build(l.app("one"))
	l.has(out, without, "grant ecr:DescribeImages on "+cacheARN+" to "+ecrtest.User)
	l.lacks(out, cacheWrote)
	logs := l.do(0, "builds", "logs", "--app", "web", build)
	if n := len(cacheWarning.FindAllString(logs, -1)); n != 1 || !strings.Contains(logs, without) {
		t.Errorf("%d warnings in:\n%s", n, logs)
	}
	l.fake.Allow("ecr:DescribeImages")
	l.build(l.app("one"))
	l.moveOn()
	l.fake.Deny("ecr:GetDownloadUrlForLayer")
	build, _, out = l.build(l.app("one"))
	l.has(out, "WARNING: the persistent cache was not read: ")
	l.has(l.do(0, "builds", "--app", "web"), build+"  complete")
}
