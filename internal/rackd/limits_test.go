package rackd_test

import (
	"context"
	"io"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/image"
	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
)

// TestBuildLimits looks at what a builder is asked to hold: the smaller one of the
// configuration and of the parameters that were set.
func TestBuildLimits(t *testing.T) {
	for _, test := range []struct {
		name       string
		configured image.Limits
		set        url.Values
		want       image.Limits
		warned     string
	}{
		{"nothing is limited, whatever the defaults", image.Limits{}, nil, image.Limits{}, ""},
		{"the configuration", image.Limits{CPU: 512, Memory: 300}, url.Values{"BuildImage": {"x"}}, image.Limits{CPU: 512, Memory: 300}, ""},
		{"parameters", image.Limits{}, url.Values{"BuildCpu": {"128"}, "BuildMemory": {"200"}}, image.Limits{CPU: 128, Memory: 200}, ""},
		{"the smaller one", image.Limits{CPU: 512, Memory: 100}, url.Values{"BuildCpu": {"128"}, "BuildMemory": {"200"}}, image.Limits{CPU: 128, Memory: 100}, ""},
		{"no number", image.Limits{CPU: 64}, url.Values{"BuildCpu": {"all"}}, image.Limits{CPU: 64}, `BuildCpu limits nothing: "all" is not a whole number from 11 on`},
		{"too little", image.Limits{}, url.Values{"BuildMemory": {"5"}}, image.Limits{}, `BuildMemory limits nothing: "5" is not a whole number from 6 on`},
		{"no limit again", image.Limits{}, url.Values{"BuildMemory": {""}}, image.Limits{}, ""},
		{"another method", image.Limits{}, url.Values{"BuildMethod": {"fargate"}, "BuildCpu": {"128"}, "FargateBuildCpu": {"256"}, "FargateBuildMemory": {"512"}},
			image.Limits{CPU: 256, Memory: 512}, ""},
		{"not this method", image.Limits{}, url.Values{"FargateBuildCpu": {"256"}}, image.Limits{}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := start(t, func(c *rackd.Config) { c.Limits.Build = test.configured })
			if test.set != nil {
				m.want("parameters", m.do("PUT", "/system?parameters="+url.QueryEscape(test.set.Encode()), nil, nil), 200, "ok\n")
			}
			log := m.log(m.create(nil).ID)
			if len(m.engine.specs) != 1 {
				t.Fatal(log)
			}
			if d := cmp.Diff(test.want, m.engine.specs[0].Limits); d != "" {
				t.Errorf("limits (-want +got):\n%s", d)
			}
			if !strings.Contains(log, test.warned) || strings.Contains(log, "WARNING") != (test.warned != "") {
				t.Errorf("log is\n%s", log)
			}
		})
	}
}

// TestTimeOfABuild has builds hang: each ends when its own time is over, in which
// its waiting for the other does not count.
func TestTimeOfABuild(t *testing.T) {
	const limit = 20 * time.Minute
	synctest.Test(t, func(t *testing.T) {
		m := unserved(t, t.TempDir(), slots(1), func(c *rackd.Config) { c.Limits.Time = limit })
		m.addApp("web")
		m.must(m.stores.Objects.PutObject(t.Context(), "web", "tmp/a", m.pack(plain)))
		m.engine.work = func(ctx context.Context, _ image.Spec, _ io.Writer) error {
			<-ctx.Done()
			return ctx.Err()
		}
		var builds []rack.Build
		for range 2 {
			builds = append(builds, decode[rack.Build](m, m.direct("POST", "/apps/web/builds?url=object://web/tmp/a", nil)))
			synctest.Wait() // or the second one may be the first to run
		}
		begun := time.Now()
		for i, b := range builds {
			for time.Since(begun) < 3*limit {
				synctest.Wait()
				if b = decode[rack.Build](m, m.direct("GET", "/apps/web/builds/"+b.ID, nil)); b.Final() {
					break
				}
				time.Sleep(time.Minute)
			}
			const why = "the build ran for longer than a build may on this rack (20m0s)"
			if took := time.Since(begun).Round(time.Minute); b.Status != rack.BuildFailed || b.Reason != why || took != time.Duration(i+1)*limit {
				t.Errorf("build %d is %s after %v: %s", i, b.Status, took, b.Reason)
			}
			if log := m.direct("GET", "/apps/web/objects/build/"+b.ID+"/logs", nil).body; !strings.HasSuffix(log, "\nERROR: "+why+"\n") {
				t.Errorf("log is %q", log)
			}
		}
	})
}
