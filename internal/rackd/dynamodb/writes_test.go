package dynamodb_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// An answer that is lost on the way has the SDK ask again. What was done is done.
func TestLostAnswers(t *testing.T) {
	l := newLab(t).init(t)
	s, ctx := l.open(t), t.Context()
	for _, lost := range []string{"PutItem", "UpdateItem", "DeleteItem", "GetItem", "Query"} {
		l.lose = func() func(string) bool {
			odd := map[string]int{}
			return func(operation string) bool { // every second one
				l.mu.Lock()
				defer l.mu.Unlock()
				odd[operation]++
				return operation == lost && odd[operation]%2 == 1
			}
		}()
		id := strings.ToUpper(lost)
		b := rack.Build{ID: "B" + id, App: "web", Started: at(1)}
		must(t, s.SwapBuild(ctx, rack.Build{}, b))
		next := b
		next.Status, next.Manifest = rack.BuildComplete, long
		must(t, s.SwapBuild(ctx, b, next))
		if err := s.SwapBuild(ctx, b, next); !errors.Is(err, rack.ErrConflict) {
			t.Errorf("%s: swap of what is gone: %v", lost, err)
		}
		must(t, s.AddRelease(ctx, rack.Release{ID: "R" + id, App: "web", Build: b.ID, Created: at(2)}))
		if err := s.AddRelease(ctx, rack.Release{ID: "R" + id, App: "web", Created: at(2)}); !errors.Is(err, rack.ErrConflict) {
			t.Errorf("%s: second release: %v", lost, err)
		}
		must(t, s.SwapApp(ctx, rack.App{}, rack.App{Name: "web"}))
		must(t, s.DropBuild(ctx, next))
		if got := read(t, s, 0); len(got.Builds)+len(got.Releases) > 0 || len(got.Trash) != 1 || got.Trash[0] != next {
			t.Errorf("%s: after the drop: %s", lost, brief(got))
		}
		must(t, s.ForgetBuild(ctx, next))
		must(t, s.RemoveApp(ctx, "web"))
		if got := read(t, s, 0); !cmp.Equal(got, state{}) {
			t.Errorf("%s: in the end: %s", lost, brief(got))
		}
	}
}

// What was stored is in lists before the index of a v2 Rack shows it, and what was
// removed is not, while that still does.
func TestListsDoNotWaitForTheIndex(t *testing.T) {
	l := newLab(t).init(t)
	s, ctx := l.open(t), t.Context()
	fillBuilds(t, s.Stores())
	stale := map[string]string{}
	l.late = true
	l.reply = func(_, request string) string {
		for table, answer := range stale {
			if strings.Contains(request, table) && strings.Contains(request, `"IndexName"`) {
				return answer
			}
		}
		return ""
	}
	now := read(t, s, 0)
	if len(now.Builds) != 2 || len(now.Releases) != 4 {
		t.Errorf("listed is %s", brief(now))
	}
	if got := must2(s.ListReleases(ctx, "web", 2))(t); len(got) != 2 || got[0].ID != "R3" || got[1].ID != "R2" {
		t.Errorf("the latest two are %v", got)
	}
	for i := range 3 { // each has been under other times
		b := must2(s.Build(ctx, "web", "BA"))(t)
		next := b
		next.Started = at(10 + i)
		must(t, s.SwapBuild(ctx, b, next))
	}
	for limit, want := range []string{"BA BB", "BA", "BA BB"} {
		var ids []string
		for _, b := range must2(s.ListBuilds(ctx, "web", limit))(t) {
			ids = append(ids, b.ID)
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("limit %d: %s, want %s", limit, got, want)
		}
	}
	must(t, s.DropBuild(ctx, must2(s.Build(ctx, "web", "BA"))(t)))
	item := func(id string, second int) string {
		return fmt.Sprintf(`{"id": {"S": %q}, "created": {"S": "20260102.0304%02d.123456789"}}`, id, second)
	}
	stale[l.tables.Builds] = `{"Items": [` + item("BA", 12) + "," + item("BA", 1) + "," + item("BB", 2) + `], "Count": 3, "ScannedCount": 3}`
	stale[l.tables.Releases] = `{"Items": [` + item("R2", 2) + "," + item("R1", 1) + "," + item("R0", 0) + `], "Count": 3, "ScannedCount": 3}`
	now = read(t, s, 1)
	if len(now.Builds) != 1 || len(now.Releases) != 2 || len(now.Trash) != 1 {
		t.Errorf("after the drop: %s", brief(now))
	}
	l.heal()
	must(t, s.RemoveBuilds(ctx, "web"))
	wantNothingLeft(t, l, s)
}

// More than fits into a page, beside what has no record any more.
func TestManyEntries(t *testing.T) {
	l := newLab(t).init(t)
	s, ctx := l.open(t), t.Context()
	const many = 40
	for i := range many {
		must(t, s.AddRelease(ctx, rack.Release{ID: fmt.Sprintf("R%02d", i), App: "web", Created: at(i)}))
	}
	for _, limit := range []int{0, 1, 15, 16, 17, 33, many, many + 1} {
		got := must2(s.ListReleases(ctx, "web", limit))(t)
		want := min(limit, many)
		if limit == 0 {
			want = many
		}
		if len(got) != want {
			t.Errorf("limit %d: %d releases", limit, len(got))
		}
		for i, r := range got {
			if r.ID != fmt.Sprintf("R%02d", many-1-i) {
				t.Fatalf("limit %d: number %d is %s", limit, i, r.ID)
			}
		}
	}
}

// Nothing that is secret is in the tables as it is.
func TestSecretsAreSealed(t *testing.T) {
	l := newLab(t).init(t)
	s, ctx := l.open(t), t.Context()
	must(t, s.AddRelease(ctx, rack.Release{ID: "RA", App: "web", Env: "PASSWORD=correct-horse", Created: at(1)}))
	must(t, s.PutRegistry(ctx, rack.Registry{Server: "battery.example", Username: "correct-horse", Password: "correct-horse"}))
	for _, table := range []string{l.tables.Builds, l.tables.Releases, l.tables.Records} {
		if text := fmt.Sprint(scan(t, l, table)); strings.Contains(text, "correct-horse") || strings.Contains(text, "battery") {
			t.Errorf("%s has %s", table, text)
		}
	}
	// An envelope belongs to its release, and to its server.
	item := textsIn(getForeign(t, l, l.tables.Releases, "RA"))
	item["id"] = "RB"
	putForeign(t, l, l.tables.Releases, item, "")
	if r, err := s.Release(ctx, "web", "RB"); err == nil || r.Env != "" {
		t.Errorf("moved: %+v, %v", r, err)
	}
	for _, r := range scan(t, l, l.tables.Records) {
		if r["part"] == "registries" {
			r["name"] = "another"
			putForeign(t, l, l.tables.Records, r, "")
		}
	}
	if all, err := s.ListRegistries(ctx); err == nil {
		t.Errorf("moved: %v", all)
	}
}
