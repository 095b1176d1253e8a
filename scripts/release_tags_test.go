package scripts_test

import (
	"strings"
	"testing"
)

// reference is the image of a release.
func reference(n string) string { return "ghcr.io/o/n@sha256:" + strings.Repeat(n, 64) }

// origin makes a repository that a checkout came from, and that it pushes to.
func origin(c checkout) checkout {
	o := checkout{t: c.t, dir: c.t.TempDir(), env: c.env}
	o.must("git", "init", "--quiet", "--bare")
	c.must("git", "remote", "add", "origin", o.dir)
	c.must("git", "push", "--quiet", "origin", "main")
	return o
}

// release is the part of a release that is about git, from the branch main.
func release(c checkout, version, n string) {
	c.t.Helper()
	c.must("git", "checkout", "--quiet", "--detach", "origin/main")
	c.must("scripts/release-actions", reference(n))
	c.must("scripts/release-tags", "commit", "release/"+version)
	c.must("scripts/release-tags", "move", "release/"+version)
}

// names compares what a tag stands for with what it should.
func names(o checkout, tag, version string) {
	o.t.Helper()
	if got, want := o.must("git", "rev-parse", tag+"^{commit}"), o.must("git", "rev-parse", version+"^{commit}"); got != want {
		o.t.Errorf("%s is not %s", tag, version)
	}
}

func TestTags(t *testing.T) {
	c := newCheckout(t)
	o := origin(c)
	main := o.must("git", "rev-parse", "main")
	release(c, "v1.2.3", "a")
	if got := o.must("git", "show", "v1.2.3:action.yml"); !strings.Contains(got, "image: docker://"+reference("a")) {
		t.Errorf("the Action of v1.2.3:\n%s", got)
	}
	if got := o.must("git", "rev-parse", "v1.2.3^"); got != main {
		t.Errorf("v1.2.3 is above %s, main is %s", got, main)
	}
	if got := o.must("git", "rev-parse", "main"); got != main {
		t.Error("main has moved")
	}
	if got := o.must("git", "show", "main:action.yml"); !strings.Contains(got, "image: Dockerfile") {
		t.Errorf("the Action of main:\n%s", got)
	}
	names(o, "v1", "v1.2.3")
	names(o, "v1.2", "v1.2.3")

	// A mend of an older line takes nobody back; a later one takes all along.
	release(c, "v1.1.9", "b")
	names(o, "v1", "v1.2.3")
	names(o, "v1.1", "v1.1.9")
	release(c, "v1.2.10", "c")
	names(o, "v1", "v1.2.10")
	names(o, "v1.2", "v1.2.10")
	release(c, "v10.0.0", "d")
	names(o, "v1", "v1.2.10")
	names(o, "v10", "v10.0.0")
	if got, want := strings.Fields(o.must("git", "tag")), 9; len(got) != want {
		t.Errorf("%d tags: %v", len(got), got)
	}
}

// TestTagIsNeverMoved: a try that was broken off can be made again; another release
// of the same name is refused.
func TestTagIsNeverMoved(t *testing.T) {
	c := newCheckout(t)
	o := origin(c)
	release(c, "v1.2.3", "a")
	first := o.must("git", "rev-parse", "v1.2.3")
	c.must("git", "checkout", "--quiet", "--detach", "origin/main")
	c.refuse("Nothing was written", "scripts/release-tags", "commit", "v1.2.3")
	c.env = append(c.env, "GIT_COMMITTER_DATE=2001-01-01T00:00:00Z") // the second commit is not the first
	release(c, "v1.2.3", "a")
	c.must("git", "checkout", "--quiet", "--detach", "origin/main")
	c.must("scripts/release-actions", reference("b"))
	c.refuse("v1.2.3 is released already, with other files", "scripts/release-tags", "commit", "v1.2.3")
	if got := o.must("git", "rev-parse", "v1.2.3"); got != first {
		t.Error("the tag has moved")
	}
	c.refuse("is not a version", "scripts/release-tags", "move", "v1")
	c.refuse("release-tags commit VERSION", "scripts/release-tags", "v1.2.3")
}
