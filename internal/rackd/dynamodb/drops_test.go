package dynamodb_test

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd/dynamodb"
)

// TestHalfDrops has somebody else come across a drop that was killed, after each of
// its writes. What they see is what the item of the build says: it is there without a
// mark, or it is dropped.
func TestHalfDrops(t *testing.T) {
	ctx := t.Context()
	b := rack.Build{ID: "BA", App: "web", Started: at(1)}
	for name, meet := range map[string]func(t *testing.T, s *dynamodb.Store, dropped bool){
		"one who reads it": func(t *testing.T, s *dynamodb.Store, dropped bool) {
			if got, err := s.Build(ctx, "web", "BA"); dropped != errors.Is(err, rack.ErrNotFound) || !dropped && got != b {
				t.Errorf("dropped %v, read %v, %v", dropped, got, err)
			}
		},
		"one who reads a release": func(t *testing.T, s *dynamodb.Store, dropped bool) {
			if _, err := s.Release(ctx, "web", "R2"); dropped != errors.Is(err, rack.ErrNotFound) {
				t.Errorf("dropped %v, release %v", dropped, err)
			}
		},
		"one who changes it": func(t *testing.T, s *dynamodb.Store, dropped bool) {
			if err := s.SwapBuild(ctx, b, b); dropped != errors.Is(err, rack.ErrConflict) {
				t.Errorf("dropped %v, swap %v", dropped, err)
			}
		},
		"one who takes its id": func(t *testing.T, s *dynamodb.Store, dropped bool) {
			if err := s.SwapBuild(ctx, rack.Build{}, b); dropped == errors.Is(err, rack.ErrConflict) {
				t.Errorf("dropped %v, build %v", dropped, err)
			}
			must(t, s.RemoveBuilds(ctx, "web"))
		},
		"one who removes all": func(t *testing.T, s *dynamodb.Store, dropped bool) { must(t, s.RemoveBuilds(ctx, "web")) },
		"one who forgets it": func(t *testing.T, s *dynamodb.Store, dropped bool) {
			must(t, s.ForgetBuild(ctx, b))
			if trash := must2(s.Dropped(ctx))(t); len(trash) > 0 {
				t.Errorf("in the trash: %v", trash)
			}
			if dropped {
				must(t, s.SwapBuild(ctx, rack.Build{}, b))
			}
			must(t, s.DropBuild(ctx, b)) // for what follows
		},
	} {
		t.Run(name, func(t *testing.T) {
			for writes := 0; ; writes++ {
				l := newLab(t).init(t)
				l.late = true
				s := l.open(t)
				fillBuilds(t, s.Stores())
				l.killAfter(writes)
				err := s.DropBuild(ctx, b)
				l.heal()
				item := getForeign(t, l, l.tables.Builds, "BA")
				dropped := item == nil || item["dropped"] != nil
				s = l.open(t)
				meet(t, s, dropped)
				inTrash := slices.Equal(must2(s.Dropped(ctx))(t), []rack.Build{b})
				if want := dropped || name == "one who forgets it"; inTrash != want {
					t.Errorf("after %d writes it is dropped: %v, and in the trash: %v", writes, dropped, inTrash)
				}
				if releases := must2(s.ListReleases(ctx, "web", 0))(t); len(releases) != 2 && inTrash || len(releases) != 4 && !inTrash {
					t.Errorf("after %d writes: %d releases", writes, len(releases))
				}
				wantNothingLeft(t, l, s)
				if err == nil {
					if writes < 8 {
						t.Errorf("a drop is %d writes", writes)
					}
					return
				}
			}
		})
	}
}

// Of two who drop one build at once one wins, whatever the other has written.
func TestDropWithinDrop(t *testing.T) {
	l := newLab(t).init(t)
	s, ctx := l.open(t), t.Context()
	b := rack.Build{ID: "BA", App: "web", Started: at(1)}
	for step := range 4 {
		must(t, s.SwapBuild(ctx, rack.Build{}, b))
		n, won := 0, false
		l.fault = func(operation string) error {
			if operation == "PutItem" || operation == "UpdateItem" {
				if n++; n == step+1 { // the other does all of it within
					l.heal()
					won = s.DropBuild(ctx, b) == nil
				}
			}
			return nil
		}
		err := s.DropBuild(ctx, b)
		l.heal()
		if won == (err == nil) || err != nil && !errors.Is(err, rack.ErrConflict) {
			t.Errorf("step %d: the other won %v, this one %v", step, won, err)
		}
		if trash := must2(s.Dropped(ctx))(t); !slices.Equal(trash, []rack.Build{b}) {
			t.Errorf("step %d: in the trash is %v", step, trash)
		}
		must(t, s.ForgetBuild(ctx, b))
		wantNothingLeft(t, l, s)
	}
}

// A drop that was killed while it removed releases is finished, and forgotten, by
// another while somebody lists the releases: those that are left are not seen.
func TestDropsEndWithinLists(t *testing.T) {
	ctx := t.Context()
	for step := 1; ; step++ {
		l := newLab(t).init(t)
		s := l.open(t)
		fillBuilds(t, s.Stores())
		b := rack.Build{ID: "BA", App: "web", Started: at(1)}
		l.killAfter(4) // begun, in the trash, marked, and one release removed
		if err := s.DropBuild(ctx, b); !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
		l.heal()
		if left := scan(t, l, l.tables.Releases); len(left) != 3 {
			t.Fatalf("%d releases are left", len(left))
		}
		var once sync.Mutex
		calls, other := 0, l.open(t)
		l.fault = func(string) error {
			once.Lock()
			defer once.Unlock()
			if calls++; calls == step {
				l.heal()
				_, err := other.Dropped(ctx)
				if err := errors.Join(err, other.ForgetBuild(ctx, b)); err != nil {
					t.Error(err)
				}
			}
			return nil
		}
		got := must2(s.ListReleases(ctx, "web", 0))(t)
		l.heal()
		if calls < step {
			return // the list was made of fewer calls
		}
		if len(got) != 2 || got[0].ID != "R3" || got[1].ID != "R1" {
			t.Errorf("finished before call %d of a list: %v", step, got)
		}
	}
}

// A text that is too long for an item is stored once for all changes of the rest.
func TestLongTextsStay(t *testing.T) {
	l := newLab(t).init(t)
	s, ctx := l.open(t), t.Context()
	b := rack.Build{ID: "BA", App: "web", Manifest: long, Started: at(1)}
	must(t, s.SwapBuild(ctx, rack.Build{}, b))
	pieces := func() (n int) {
		for _, item := range scan(t, l, l.tables.Records) {
			if len(item["part"]) > 7 && item["part"][:7] == "pieces/" {
				n++
			}
		}
		return n
	}
	for _, status := range []string{rack.BuildRunning, rack.BuildComplete} {
		next := b
		next.Status = status
		if status == rack.BuildRunning {
			l.killAfter(1) // which is the change itself: its manifest is not written again
		}
		must(t, s.SwapBuild(ctx, b, next))
		l.heal()
		if b = must2(s.Build(ctx, "web", "BA"))(t); b != next {
			t.Errorf("read %s, a manifest of %d bytes", b.Status, len(b.Manifest))
		}
	}
	if n := pieces(); n != 2 {
		t.Errorf("%d pieces", n)
	}
	must(t, s.DropBuild(ctx, b))
	must(t, s.ForgetBuild(ctx, b))
	if n := pieces(); n != 0 {
		t.Errorf("%d pieces in the end", n)
	}
}
