package workflow_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/summary"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

// TestURLs: where the app is reached is put out, the same each time, and nothing
// is made up. That it cannot be known is no failure of the promote.
func TestURLs(t *testing.T) {
	const web = `{"name":"web","domain":"web.example","ports":[{"balancer":80,"container":3000},{"balancer":443,"certificate":"c","container":3000}]}`
	const api = `{"name":"api","domain":"api.example","ports":[{"balancer":443,"container":3000}]}`
	const worker = `{"name":"worker","domain":"","ports":null}`
	for _, test := range []struct {
		name, answer string
		status       int
		url, urls    string
	}{
		{"one", "[" + worker + "," + api + "]", 200, "https://api.example", `{"api":["https://api.example"]}`},
		{"web of several", "[" + web + "," + api + "]", 200, "https://web.example", `{"api":["https://api.example"],"web":["http://web.example","https://web.example"]}`},
		{"several without web", "[" + api + "," + strings.ReplaceAll(api, "api", "other") + "]", 200, "", `{"api":["https://api.example"],"other":["https://other.example"]}`},
		{"none", "[" + worker + "]", 200, "", "{}"},
		{"null", "null", 200, "", "{}"},
		{"no right", "forbidden", http.StatusForbidden, "", ""},
		{"no such route", "", http.StatusNotFound, "", ""},
		{"no answer", "", http.StatusServiceUnavailable, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := rack.Release{ID: "RABCDEFGHIJ", App: "shop", Manifest: imageManifest, Created: at(1)}
				j, s := bubbled(t, running, func(r *http.Request) (int, string) {
					if strings.HasSuffix(r.URL.Path, "/services") {
						return test.status, test.answer
					}
					return 0, ""
				}, release)
				begun := time.Now()
				in := workflow.PromoteInputs{Target: target, Release: release.ID, PromoteOptions: workflow.PromoteOptions{Wait: true}, Limits: workflow.Limits{Timeout: time.Hour}}
				if _, err := workflow.Promote(t.Context(), j, in); err != nil {
					t.Fatal(err)
				}
				s.has(t, map[string]string{"url": test.url, "urls": test.urls, "promoted": "true", "status": "complete"})
				if strings.Contains(s.String(), "could not be seen") != (test.urls == "") {
					t.Errorf("said\n%s", s)
				}
				if took := time.Since(begun); took > 2*time.Minute {
					t.Errorf("took %s", took)
				}
			})
		})
	}
}

// TestReportOfAPromote: the times are those of the work, and what the summary says
// is what the outputs say.
func TestReportOfAPromote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const waits = 40 * time.Second // that the rack takes to answer
		release := rack.Release{ID: "RABCDEFGHIJ", App: "shop", Manifest: imageManifest, Created: at(1)}
		j, _ := bubbled(t, running, func(r *http.Request) (int, string) {
			if strings.HasSuffix(r.URL.Path, "/promote") {
				time.Sleep(waits)
			}
			return 0, ""
		}, release)
		j.Report = &summary.Report{Run: summary.Run{Verb: "promote"}}
		in := workflow.PromoteInputs{Target: target, Release: release.ID, PromoteOptions: workflow.PromoteOptions{Wait: true}, Limits: workflow.Limits{Timeout: time.Hour}}
		if _, err := workflow.Promote(t.Context(), j, in); err != nil {
			t.Fatal(err)
		}
		got := j.Report.Text(func(text string) string { return text })
		if !strings.Contains(got, "Promote: live\n  Release        RABCDEFGHIJ\n  promote            40.0 s  ██") {
			t.Errorf("got\n%s", got)
		}
	})
}
