//go:build unix

package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/convox-ci/convox-ci/internal/ci"
	"github.com/convox-ci/convox-ci/internal/commit"
	"github.com/convox-ci/convox-ci/internal/options"
	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

// place is what a fault meets.
type place struct {
	name     string
	stream   bool
	messages int  // of a stream that come before it breaks
	run      bool // a command is run; else there is a deploy
	bare     bool // in a container that can keep no record of it
	is       func(*http.Request, *lab) bool
}

// The places, in the order of the table.
var places = []place{
	{name: "upload", is: func(r *http.Request, _ *lab) bool { return strings.HasPrefix(r.URL.Path, "/apps/web/objects/") }},
	{name: "create", is: func(r *http.Request, _ *lab) bool { return r.Method == "POST" && r.URL.Path == "/apps/web/builds" }},
	{name: "log", stream: true, messages: 5, is: func(r *http.Request, _ *lab) bool { return strings.HasSuffix(r.URL.Path, "/logs") }},
	{name: "poll", is: func(r *http.Request, _ *lab) bool {
		return strings.HasPrefix(r.URL.Path, "/apps/web/builds/B") && !strings.HasSuffix(r.URL.Path, "/logs")
	}},
	{name: "promote", is: func(r *http.Request, _ *lab) bool { return strings.HasSuffix(r.URL.Path, "/promote") }},
	{name: "poll after promote", is: func(r *http.Request, l *lab) bool { return r.URL.Path == "/apps/web" && l.has("promote") > 0 }},
	{name: "start", run: true, is: func(r *http.Request, _ *lab) bool { return strings.HasSuffix(r.URL.Path, "/services/one/processes") }},
	{name: "run", stream: true, messages: 1, run: true, is: ours},
	{name: "run without a record", stream: true, messages: 1, run: true, bare: true, is: ours},
}

// ours tells the stream of the command from those of what the client asks the
// container besides.
func ours(r *http.Request, _ *lab) bool { return strings.Contains(r.Header.Get("Command"), "$RAN") }

// outcome is all that came of a cell.
type outcome struct {
	exit    int          // status of the process
	build   string       // status of the build, as told and as recorded; "" if none is known of
	verdict rack.Verdict // "" where there was none

	builds, releases, promotes int // on the rack
	processes                  int // that were started
	ran                        int // how often the command was run

	unknown bool   // the error says that it is not known what became of the command
	why     string // there is no such cell
}

// status is that of the command that is run.
const status = 7

// The outcomes.
var (
	live    = outcome{exit: exitOK, build: rack.BuildComplete, verdict: rack.Live, builds: 1, releases: 1, promotes: 1}
	ended   = outcome{exit: status, processes: 1, ran: 1}
	again   = outcome{exit: status, processes: 2, ran: 1} // the first one has ended with its rack, and was empty
	refused = outcome{exit: exitFailed}                   // in words of the rack, for all one can tell
	unrun   = outcome{exit: exitFailed, processes: 1}
	kept    = outcome{exit: exitFailed, build: rack.BuildComplete, builds: 1, releases: 1}
	broken  = outcome{exit: exitFailed, build: rack.BuildFailed, builds: 1}

	// Nobody knows what the command did, or its status, and that is what is said.
	unsent  = outcome{exit: exitUnavailable, processes: 1, unknown: true}
	unheard = outcome{exit: exitUnavailable, processes: 1, ran: 1, unknown: true}
	cutOff  = outcome{exit: exitFailed, processes: 1, ran: 1, unknown: true}
	late    = outcome{exit: exitTimeout, processes: 1, ran: 1, unknown: true}

	// These are no cells.
	none = outcome{why: "only a stream ends by a mark, or is silent between messages"}
)

// matrix is what comes of each fault at each place.
var matrix = [][]outcome{
	// upload, create, log, poll, promote, poll after promote, start, run, run without a record
	{live, live, live, live, live, live, ended, ended, unsent},        // reset before the effect
	{live, live, live, live, live, live, ended, ended, unheard},       // reset after the effect
	{live, live, live, live, live, live, ended, ended, ended},         // 429
	{refused, refused, live, live, kept, live, refused, ended, unrun}, // 500, which a rack says too
	{live, live, live, live, live, live, ended, ended, unsent},        // 502
	{live, live, live, live, live, live, ended, ended, ended},         // 503
	{live, live, live, live, live, live, ended, ended, unheard},       // 504 after the effect
	{live, live, live, live, live, live, ended, ended, unheard},       // no answer
	{live, live, live, live, live, live, ended, ended, cutOff},        // truncated body
	{live, live, live, live, live, live, ended, ended, unheard},       // garbage
	{live, live, live, live, live, live, ended, ended, unsent},        // page with status 200
	{none, none, live, none, none, none, none, ended, cutOff},         // closed without the end mark
	{none, none, live, none, none, none, none, ended, late},           // silent stream
	{live, broken, broken, broken, live, live, again, cutOff, cutOff}, // rack restarted: builds and commands end with it
}

// TestFaultMatrix lets every fault meet every place, once each: what the process
// says of it in its words and by its exit status is what the rack knows, nothing
// was made twice, and the log that was printed is the one that is stored. How
// many cells there are goes to standard output, which go test -v shows.
func TestFaultMatrix(t *testing.T) {
	played := 0
	for i, f := range faults {
		for k, p := range places {
			want := matrix[i][k]
			if want.why != "" {
				continue
			}
			played++
			t.Run(f.name+"/"+p.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					if got := play(t, f, p); got != want {
						t.Errorf("got  %+v\nwant %+v", got, want)
					}
				})
			})
		}
	}
	fmt.Printf("fault matrix: %d cells, and %d that make no sense\n", played, len(faults)*len(places)-played)
}

// said collects what the client says beside the log.
type said struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// apart is a console whose own lines are kept apart from the log that is printed.
type apart struct {
	*ci.Console
	own *said
}

func (a apart) Write(p []byte) (int, error) { return a.own.Write(p) }

// play plays a cell and tells what came of it.
func play(t *testing.T, f fault, p place) (o outcome) {
	l := newLab(t, p.bare)
	w := &way{lab: l, calm: l.transport(nil), fault: f, place: p}
	printed, own := &said{}, &said{}
	console := ci.Open(ci.Run{}, nil, printed)
	job := workflow.Job{
		Rack: rack.New(endpoint(t), w, func(line string) { fmt.Fprintln(own, line) }), Log: apart{console, own}, Outputs: console,
		Commit: func(context.Context, string) commit.Commit {
			return commit.Commit{SHA: "0123abcd", Subject: "a change"}
		},
	}
	var err error
	if p.run {
		err = runCommand(t, l, job, f.restart && p.stream)
	} else {
		var d workflow.Deployed
		d, err = deploySource(t, job)
		o.build, o.verdict = d.Build.Status, d.Outcome.Verdict
		l.compareLog(d.Build, printed.String())
	}
	if !w.met.Load() {
		t.Error("nothing met the fault")
	}
	var failed *workflow.BuildFailedError
	if errors.As(err, &failed) && failed.Reason != "the rack was stopped while the build ran" {
		t.Errorf("the build has failed: %v", err)
	}
	o.unknown = p.run && unknown(err)
	o.exit = (&process{run: ci.Run{System: ci.Plain}, console: console}).report(err)
	l.settle(&o)
	if t.Failed() || testing.Verbose() {
		t.Logf("%v\n%s%s", err, own, printed)
	}
	return o
}

// unknown tells whether an error admits that the status of a command is not known:
// nothing was reported, or no answer came, or not in time.
func unknown(err error) bool {
	var none *rack.NoStatusError
	var late *workflow.TimeoutError
	return errors.As(err, &none) || errors.As(err, &late) || errors.Is(err, rack.ErrUnavailable)
}

func endpoint(t *testing.T) rack.Endpoint {
	e, err := rack.Direct("http://rack.invalid")
	if err != nil {
		t.Fatal(err)
	}
	return e
}

const text = "services:\n  one:\n    build: .\n"

// deploySource deploys a small source.
func deploySource(t *testing.T, job workflow.Job) (workflow.Deployed, error) {
	dir := t.TempDir()
	for name, text := range map[string]string{"convox.yml": text, "Dockerfile": "FROM scratch\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var in workflow.DeployInputs
	in.App, in.Context, in.Manifest, in.Wait, in.Timeout = "web", options.Path(dir), "convox.yml", true, time.Hour
	return workflow.Deploy(t.Context(), job, in)
}

// runCommand runs a command on an app with a release. One that waits ends only
// with its container.
func runCommand(t *testing.T, l *lab, job workflow.Job, waits bool) error {
	ctx := t.Context()
	err := errors.Join(
		l.store.SwapBuild(ctx, rack.Build{}, rack.Build{ID: "BAAAAAAAAAA", App: "web", Status: rack.BuildComplete, Release: "RAAAAAAAAAA", Manifest: text}),
		l.store.AddRelease(ctx, rack.Release{ID: "RAAAAAAAAAA", App: "web", Build: "BAAAAAAAAAA", Manifest: text, Created: time.Now().UTC()}))
	if err != nil {
		t.Fatal(err)
	}
	in := workflow.RunInputs{Service: "one", Release: "RAAAAAAAAAA"}
	in.Command = fmt.Sprintf("echo run >> $RAN; echo begun; exit %d", status)
	if waits {
		in.Command = "echo run >> $RAN; echo begun; sleep 1000"
	}
	in.App, in.Timeout, in.RunTimeout = "web", time.Hour, time.Hour
	return workflow.Run(ctx, job, in)
}

// compareLog fails unless what was printed of a build is what the rack has
// stored, below the heading.
func (l *lab) compareLog(b rack.Build, printed string) {
	l.t.Helper()
	if b.ID == "" {
		return
	}
	stored, err := l.store.OpenObject(context.Background(), "web", "build/"+b.ID+"/logs")
	if err != nil {
		l.t.Fatal(err)
	}
	defer stored.Close()
	want, err := io.ReadAll(stored)
	if _, got, _ := strings.Cut(printed, "== Build log of "+b.ID+"\n"); err != nil || got != string(want) {
		l.t.Errorf("printed %q\nstored  %q, %v", got, want, err)
	}
}

// settle takes what the rack has into an outcome, and fails if there is more than
// one of what there should be one of.
func (l *lab) settle(o *outcome) {
	l.t.Helper()
	ctx := context.Background()
	builds, err := l.store.ListBuilds(ctx, "web", 0)
	releases, err2 := l.store.ListReleases(ctx, "web", 0)
	if err := errors.Join(err, err2); err != nil {
		l.t.Fatal(err)
	}
	for _, b := range builds {
		if b.ID == "BAAAAAAAAAA" {
			continue
		}
		o.builds++
		if o.build != "" && o.build != b.Status {
			l.t.Errorf("build is told to be %s and is %s", o.build, b.Status)
		}
	}
	for _, r := range releases {
		if r.ID != "RAAAAAAAAAA" {
			o.releases++
		}
	}
	o.promotes, o.ran = l.has("promote"), l.ran()
	made, left := l.shells.count()
	o.processes = made
	if left > 0 || l.objects() > 1 {
		l.t.Errorf("%d of %d containers are left, %d objects", left, made, l.objects())
	}
}
