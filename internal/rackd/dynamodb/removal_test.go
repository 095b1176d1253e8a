package dynamodb_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
	"github.com/convox-ci/convox-ci/internal/rackd/disk"
	"github.com/convox-ci/convox-ci/internal/rackd/dynamodb"
)

// sticking are objects of which one cannot be removed the first time.
type sticking struct {
	rackd.Objects
	key string
}

var errSticks = errors.New("the object cannot be removed")

func (s *sticking) RemoveObject(ctx context.Context, app, key string) error {
	if key == s.key {
		s.key = ""
		return errSticks
	}
	return s.Objects.RemoveObject(ctx, app, key)
}

// TestRemovalOfReleasesGoesOn: whenever a removal was cut off, the next one removes
// what is left of it, in whatever way: by the death of its process after each of its
// writes, or by one object that could not be removed. No sealed environment stays.
func TestRemovalOfReleasesGoesOn(t *testing.T) {
	const sticks = -1
	for writes, survived := sticks, false; !survived; writes++ {
		l, ctx := newLab(t).init(t), t.Context()
		files, err := disk.Open(t.TempDir(), "the test")
		must(t, err)
		defer files.Close()
		objects := &sticking{Objects: files}
		s, err := dynamodb.Open(ctx, dynamodb.Options{Config: l.config(), Tables: l.tables, Seal: l.seal, Environments: objects})
		must(t, err)
		env := strings.Repeat("A=1\n", 90_000)
		must(t, s.AddRelease(ctx, rack.Release{ID: "RA", App: "web", Build: "BA", Env: env, Manifest: long, Created: at(1)}))
		putForeign(t, l, l.tables.Releases, map[string]string{"id": "RB", "app": "web", "created": "20260102.030402.000000000", "build": "BA"}, "")
		must(t, files.PutObject(ctx, "web", "releases/RB/env", strings.NewReader("A=1")))
		if writes == sticks {
			objects.key = "releases/RA/env"
		} else {
			l.killAfter(writes)
		}
		err = s.RemoveReleases(ctx, "web")
		l.heal()
		if want := map[bool]error{true: errSticks, false: errKilled}[writes == sticks]; err != nil && !errors.Is(err, want) {
			t.Fatal(err)
		}
		survived = err == nil
		if _, err := s.ListReleases(ctx, "web", 0); err != nil {
			t.Errorf("after %d writes the releases cannot be read: %v", writes, err)
		}
		must(t, s.RemoveReleases(ctx, "web"))
		for _, id := range []string{"RA", "RB"} {
			if _, err := files.OpenObject(ctx, "web", "releases/"+id+"/env"); !errors.Is(err, rack.ErrNotFound) {
				t.Errorf("after %d writes the environment of %s stays: %v", writes, id, err)
			}
		}
		for _, table := range []string{l.tables.Releases, l.tables.Records} {
			if all := scan(t, l, table); len(all) > 0 {
				t.Errorf("after %d writes, left in %s: %d items, as %s", writes, table, len(all), all[0]["part"])
			}
		}
	}
}
