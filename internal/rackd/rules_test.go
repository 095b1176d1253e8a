package rackd_test

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// TestLists: ten unless told otherwise, the newest first whatever the order in
// which records came, only those of the app, and all that were stored a moment ago.
func TestLists(t *testing.T) {
	m := start(t)
	m.addApp("other")
	for i := range 12 {
		n := i * 5 % 12 // in no order
		at := time.Date(2026, 1, 2, 3, 4, 5, n, time.UTC)
		id := strings.Repeat("A", 9) + string(rune('A'+n))
		m.must(m.stores.Builds.SwapBuild(t.Context(), rack.Build{}, rack.Build{ID: "B" + id, App: "web", Status: rack.BuildFailed, Started: at}))
		m.must(m.stores.Releases.AddRelease(t.Context(), rack.Release{ID: "R" + id, App: "web", Env: "A=secret", Created: at}))
		other := rack.Build{ID: "BX" + id[1:], App: "other", Status: rack.BuildFailed, Started: at}
		m.must(m.stores.Builds.SwapBuild(t.Context(), rack.Build{}, other))
	}
	const newest = "LKJIHGFEDCBA"
	for query, want := range map[string]int{"": 10, "?limit=": 10, "?limit=1": 1, "?limit=11": 11, "?limit=12": 12, "?limit=1000": 12} {
		builds, releases := "", ""
		for _, b := range decode[[]rack.Build](m, m.get("/apps/web/builds"+query)) {
			builds += b.ID[len(b.ID)-1:]
		}
		for _, r := range decode[[]rack.Release](m, m.get("/apps/web/releases"+query)) {
			releases += r.ID[len(r.ID)-1:]
			if r.Env != "" {
				t.Errorf("the list shows the environment %q", r.Env)
			}
		}
		if builds != newest[:want] || releases != newest[:want] {
			t.Errorf("%q: builds %s, releases %s, want %s", query, builds, releases, newest[:want])
		}
	}
	for _, query := range []string{"?limit=0", "?limit=-1", "?limit=x"} {
		if a := m.get("/apps/web/builds" + query); a.status < 400 {
			t.Errorf("%q: %d", query, a.status)
		}
	}
}

// TestIDsAndTimes: the forms of ids and times in answers.
func TestIDsAndTimes(t *testing.T) {
	m := start(t)
	when := regexp.MustCompile(`"(started|ended|created)": "(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z)"`)
	id := regexp.MustCompile(`^R[A-Z]{10}$`)
	seen := map[string]bool{}
	last := time.Time{}
	for i := range 50 {
		a := m.post("/apps/web/releases", url.Values{"env": {fmt.Sprint("A=", i)}})
		r := decode[rack.Release](m, a)
		if !id.MatchString(r.ID) || seen[r.ID] {
			t.Errorf("id %q", r.ID)
		}
		seen[r.ID] = true
		if !when.MatchString(a.body) || !r.Created.After(last) {
			t.Errorf("created %v after %v: %s", r.Created, last, a.body)
		}
		last = r.Created
	}
	unset := rack.Build{ID: "BAAAAAAAAAA", App: "web", Status: rack.BuildFailed, Started: last}
	m.must(m.stores.Builds.SwapBuild(t.Context(), rack.Build{}, unset))
	if a := m.get("/apps/web/builds/" + unset.ID); !strings.Contains(a.body, `"ended": "0001-01-01T00:00:00Z"`) {
		t.Errorf("a time that is not set: %s", a.body)
	}
}
