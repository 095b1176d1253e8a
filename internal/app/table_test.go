package app

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// TestPrintBuilds holds the table of the official client, which scripts cut by
// columns.
func TestPrintBuilds(t *testing.T) {
	started := time.Now().Add(-2*time.Hour - time.Minute)
	builds := []rack.Build{
		{ID: "BSEEDBUILDA", Status: "complete", Release: "RSEEDRELEAS", Started: started, Ended: started.Add(63*time.Second + 500*time.Millisecond), Description: "build 0123456781 commit 1"},
		{ID: "BOLDBUILDAA", Status: "running", Started: started, Description: "two\nli\x1b[31mnes"},
	}
	var got strings.Builder
	if err := printBuilds(&got, builds); err != nil {
		t.Fatal(err)
	}
	want := `ID           STATUS    RELEASE      STARTED      ELAPSED  DESCRIPTION
BSEEDBUILDA  complete  RSEEDRELEAS  2 hours ago  1m3s     build 0123456781 commit 1
BOLDBUILDAA  running                2 hours ago           two li[31mnes
`
	if d := cmp.Diff(want, got.String()); d != "" {
		t.Error(d)
	}
}

func TestAgo(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "less than a minute ago", 59 * time.Second: "less than a minute ago", time.Minute: "1 minute ago",
		119 * time.Minute: "1 hour ago", 25 * time.Hour: "1 day ago", 15 * 24 * time.Hour: "2 weeks ago", 800 * 24 * time.Hour: "2 years ago",
	} {
		if got := ago(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}
