package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// TestKilledDelivery kills a run before and after each request that changes
// something on the rack or in its registry. The last stage of the step, and the next
// run, leave nothing half done: a build is complete with its release and images, or
// it has failed and there is no release of it.
func TestKilledDelivery(t *testing.T) {
	d := newDelivery(t)
	dir := d.source(map[string]string{"Dockerfile": "FROM scratch\nCOPY tool /tool\nCOPY word /word\nENTRYPOINT [\"/tool\"]\n"})
	change := func(word string) { // so that there is always a layer that the registry lacks
		if err := os.WriteFile(filepath.Join(dir, "word"), []byte(word), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	change("first")
	d.do(nil, "build", "--external", dir)
	first := d.count()
	change("second")
	_, whole := d.do(nil, "build", "--external", dir)
	writes := d.count() - first
	t.Logf("a delivery changes something %d times:\n%s", writes, strings.Join(d.writes[first:], "\n"))
	known := map[string]bool{whole["build"]: true}
	complete := 0
	for n := range writes {
		for _, answered := range []bool{false, true} {
			change(fmt.Sprint(n, answered))
			left := d.killAt(n, answered, dir)
			if left != "" {
				out, err := d.client([]string{"GITHUB_ACTIONS=true", "STATE_external=" + left}, "post").CombinedOutput()
				if err != nil {
					t.Fatalf("post: %v\n%s", err, out)
				}
			}
			complete += d.sound(known, left, n, answered)
			if t.Failed() {
				t.FailNow()
			}
		}
	}
	if complete == 0 || complete > 8 { // from the release on: there are three more requests
		t.Errorf("%d of the builds are complete", complete)
	}
	_, outputs := d.do(nil, "build", "--external", dir)
	known[outputs["build"]] = true
	d.sound(known, outputs["build"], writes, true)
}

// killAt runs a build that is killed at the nth request that changes something,
// before it is passed on or when it was done, and gives the id of the build that the
// step has kept for its last stage.
func (d *delivery) killAt(n int, done bool, dir string) string {
	d.Helper()
	state := filepath.Join(d.home, "state")
	if err := os.WriteFile(state, nil, 0o600); err != nil {
		d.Fatal(err)
	}
	cmd := d.client([]string{"GITHUB_ACTIONS=true", "GITHUB_STATE=" + state}, "build", "--external", dir)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	reached := make(chan struct{})
	kill := func() {
		close(reached)
		cmd.Process.Kill()
	}
	at := d.count() + n
	d.watch(func(n int, _ *http.Request) {
		if !done && n == at {
			kill()
			panic(http.ErrAbortHandler) // it does not get any further
		}
	}, func(n int, _ *http.Response) {
		if done && n == at {
			kill()
		}
	})
	defer d.watch(nil, nil)
	if err := cmd.Start(); err != nil {
		d.Fatal(err)
	}
	err := cmd.Wait()
	select {
	case <-reached:
	default:
		d.Fatalf("write %d was not reached: %v\n%s", n, err, out.String())
	}
	text, err := os.ReadFile(state)
	if err != nil {
		d.Fatal(err)
	}
	ids := regexp.MustCompile(`(?m)^B[A-Z]{10}$`).FindAllString(string(text), -1)
	if len(ids) == 0 {
		return ""
	}
	return ids[len(ids)-1]
}

// sound fails unless everything on the rack is whole, and tells how many builds are
// complete that were not known before. One that nobody was told of, since its maker
// was killed before the answer, is only recorded, as is its start.
func (d *delivery) sound(known map[string]bool, left string, n int, answered bool) (complete int) {
	d.Helper()
	var builds []rack.Build
	var releases []rack.Release
	if err := d.rack.ask("GET", "/apps/shop/builds?limit=1000", nil, &builds); err != nil {
		d.Fatal(err)
	}
	if err := d.rack.ask("GET", "/apps/shop/releases?limit=1000", nil, &releases); err != nil {
		d.Fatal(err)
	}
	of := map[string][]string{}
	for _, r := range releases {
		of[r.Build] = append(of[r.Build], r.ID)
	}
	for _, b := range builds {
		switch {
		case b.Status == rack.BuildComplete:
			if len(of[b.ID]) != 1 || of[b.ID][0] != b.Release || b.Manifest == "" || b.Logs == "" {
				d.Errorf("write %d, answered %t: build %+v is complete with the releases %v", n, answered, b, of[b.ID])
			}
			d.image(b.ID)
			if !known[b.ID] {
				complete++
			}
		case len(of[b.ID]) > 0:
			d.Errorf("write %d, answered %t: build %+v has the releases %v", n, answered, b, of[b.ID])
		case b.Status != rack.BuildFailed && (b.ID == left || b.Manifest != ""):
			d.Errorf("write %d, answered %t: build %+v goes on", n, answered, b)
		}
		known[b.ID] = true
	}
	return complete
}
