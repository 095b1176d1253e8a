package dynamodb_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd/dynamodb"
)

// TestGuest: what is written is what a v2 Rack writes and nothing else, also where an
// answer is lost, and it asks nothing of a third table.
func TestGuest(t *testing.T) {
	for _, lost := range []bool{false, true} {
		l := newLab(t).init(t)
		clear(l.calls)
		g, ctx := dynamodb.Visit(l.config(), l.tables), t.Context()
		losing := func() {
			once := lost
			l.mu.Lock()
			defer l.mu.Unlock()
			l.lose = func(operation string) bool {
				if operation != "PutItem" && operation != "UpdateItem" || !once {
					return false
				}
				once = false
				return true
			}
		}
		want, whole := v2Build()
		b := whole
		b.Status, b.Logs, b.Release = rack.BuildRunning, "", ""
		b.Ended = time.Time{}
		losing()
		must(t, g.AddBuild(ctx, b))
		if err := g.AddBuild(ctx, whole); !errors.Is(err, rack.ErrConflict) {
			t.Errorf("a second build of the id: %v", err)
		}
		if got, err := g.Build(ctx, "web", b.ID); err != nil || got != b {
			t.Errorf("read %v, %s", err, cmp.Diff(b, got))
		}
		if _, err := g.Build(ctx, "other", b.ID); !errors.Is(err, rack.ErrNotFound) {
			t.Errorf("of another app: %v", err)
		}
		losing()
		must(t, g.ReplaceBuild(ctx, b, whole))
		again := b
		again.Logs = "object://elsewhere"
		if err := g.ReplaceBuild(ctx, b, again); !errors.Is(err, rack.ErrConflict) {
			t.Errorf("a build that has ended was changed: %v", err)
		}
		other := b
		other.ID = "BZZZZZZZZZZ"
		if err := g.ReplaceBuild(ctx, rack.Build{}, other); !errors.Is(err, rack.ErrNotFound) {
			t.Errorf("a build that is not there was changed: %v", err)
		}
		if d := cmp.Diff(want, textsIn(getForeign(t, l, l.tables.Builds, b.ID))); d != "" {
			t.Errorf("attributes (-want +got):\n%s", d)
		}
		l.releases(t, g, losing)
		for call := range l.calls {
			if strings.Contains(call, l.tables.Records) {
				t.Errorf("%s was asked", call)
			}
		}
		l.heal()
	}
}

func (l *lab) releases(t *testing.T, g *dynamodb.Guest, losing func()) {
	ctx := t.Context()
	if _, ok, err := g.Newest(ctx, "web"); ok || err != nil {
		t.Errorf("a release of none: %v", err)
	}
	r := rack.Release{ID: "RABCDEFGHIJ", App: "web", Build: "BABCDEFGHIJ", Manifest: "services:\n", Description: "one", Created: at(3)}
	losing()
	must(t, g.AddRelease(ctx, r))
	changed := r
	changed.Build = "BOTHER"
	if err := g.AddRelease(ctx, changed); !errors.Is(err, rack.ErrConflict) {
		t.Errorf("a second release of the id: %v", err)
	}
	older := r
	older.ID, older.Created = "ROLDEROLDER", at(2)
	must(t, g.AddRelease(ctx, older))
	if got, ok, err := g.Newest(ctx, "web"); got != r || !ok || err != nil {
		t.Errorf("the newest is %+v, %v", got, err)
	}
	if _, err := g.Release(ctx, "other", r.ID); !errors.Is(err, rack.ErrNotFound) {
		t.Errorf("of another app: %v", err)
	}
	item := getForeign(t, l, l.tables.Releases, r.ID)
	if d := cmp.Diff(map[string]string{"id": r.ID, "app": "web", "build": r.Build, "manifest": r.Manifest, "description": "one", "created": "20260102.030403.123456789"},
		textsIn(item)); d != "" || len(item) != 6 {
		t.Errorf("attributes (-want +got):\n%s", d)
	}
}

// TestGuestKeepsWhatOthersWrite: a v2 Rack notes its task on a build that runs, and
// what it has written since the build was read stays, also where it has only begun.
func TestGuestKeepsWhatOthersWrite(t *testing.T) {
	for _, status := range []string{rack.BuildCreated, rack.BuildRunning} {
		l := newLab(t).init(t)
		g := dynamodb.Visit(l.config(), l.tables)
		item, whole := v2Build()
		was := whole
		was.Status, was.Manifest, was.Entrypoint = rack.BuildRunning, "", ""
		next := was
		next.Status = rack.BuildComplete
		item["status"], item["description"] = status, "of the rack"
		l.fault = func(operation string) error { // between the reading and the writing
			if strings.HasPrefix(operation, "Update") {
				putForeign(t, l, l.tables.Builds, item, `{"task":"arn:task"}`)
			}
			return nil
		}
		must(t, g.ReplaceBuild(t.Context(), was, next))
		l.heal()
		got := getForeign(t, l, l.tables.Builds, whole.ID)
		if tags, ok := got["tags"].(*types.AttributeValueMemberB); !ok || string(tags.Value) != `{"task":"arn:task"}` {
			t.Errorf("the tags are %v", got["tags"])
		}
		item["status"] = rack.BuildComplete
		if d := cmp.Diff(item, textsIn(got)); d != "" {
			t.Errorf("attributes (-want +got):\n%s", d)
		}
		must(t, g.ReplaceBuild(t.Context(), next, next)) // nothing to write
	}
}
