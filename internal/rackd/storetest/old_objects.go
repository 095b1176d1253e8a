package storetest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
)

func testRemovedObjects(t *testing.T, open func() rackd.Stores) {
	s, ctx := open(), t.Context()
	wantKind(t, "remove what is not there, nor its app", s.Objects.RemoveObject(ctx, "web", "a"), rack.ErrNotFound)
	must(t, s.Objects.RemoveObjects(ctx, "web"))
	keys := []string{"a", "a/b", "a/", "a%2Fb", "../a", ".", strings.Repeat("k", rackd.MaxKey)}
	for _, key := range keys {
		put(t, s, "web", key, "of web")
		put(t, s, "web-2", key, "of web-2")
	}
	still, err := s.Objects.OpenObject(ctx, "web", "a")
	must(t, err)
	for i, key := range keys {
		must(t, s.Objects.RemoveObject(ctx, "web", key))
		wantKind(t, "remove what is not there any more", s.Objects.RemoveObject(ctx, "web", key), rack.ErrNotFound)
		wantNoObject(t, s, "web", key)
		for _, other := range keys[i+1:] {
			wantObject(t, s, "web", other, "of web")
		}
	}
	wantContent(t, "a, opened before it was removed", still, "of web")

	put(t, s, "web", "a", "again")
	put(t, s, "web", "b", "again")
	still, err = s.Objects.OpenObject(ctx, "web", "a")
	must(t, err)
	must(t, s.Objects.RemoveObjects(ctx, "web"))
	wantContent(t, "a, opened before all was removed", still, "again")
	s = open()
	wantNoObject(t, s, "web", "a")
	wantNoObject(t, s, "web", "b")
	for _, key := range keys {
		wantObject(t, s, "web-2", key, "of web-2")
	}
	put(t, s, "web", "a", "a third time")
	wantObject(t, s, "web", "a", "a third time")
}

func testOldObjects(t *testing.T, open func() rackd.Stores) {
	s, ctx := open(), t.Context()
	// The clock of a store may be another one than this, but not by an hour.
	past, future := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	want := func(prefix string, before time.Time, keys ...string) {
		t.Helper()
		got, err := s.Objects.OldObjects(ctx, "web", prefix, before)
		must(t, err)
		slices.Sort(got)
		if d := cmp.Diff(keys, got); d != "" && len(keys)+len(got) > 0 {
			t.Errorf("objects under %q before %v (-want +got):\n%s", prefix, before, d)
		}
	}
	want("tmp/", future)
	for _, key := range []string{"tmp/a", "tmp/b c", "tmp/d/世界.tgz", "tmp", "tmpx", "x/tmp/a", "tmp%2Fa"} {
		put(t, s, "web", key, key)
	}
	put(t, s, "web-2", "tmp/z", "another app's")
	want("tmp/", past)
	want("tmp/", future, "tmp/a", "tmp/b c", "tmp/d/世界.tgz")
	want("tmp/d/", future, "tmp/d/世界.tgz")
	want("tmp/%", future)
	s = open()
	must(t, s.Objects.RemoveObject(ctx, "web", "tmp/a"))
	want("tmp/", future, "tmp/b c", "tmp/d/世界.tgz")
	want("", future, "tmp", "tmp%2Fa", "tmp/b c", "tmp/d/世界.tgz", "tmpx", "x/tmp/a")
}
