package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/source"
)

const (
	// countedLines is how many lines the step of each build prints: so many that
	// an engine which leaves out what comes too fast would leave some out.
	countedLines = 6000
	// atOnce is how many builds run at once under load.
	atOnce = 3
	// mayGrow is how much more memory a rack with 50 builds may need at its peak
	// than with 5, in bytes: as many run at once, and each of the others waits with
	// no more than a stream of its log. It is room for rubbish that is not collected
	// yet; the sources of the builds that wait, or what a build needs to run, would
	// not fit.
	mayGrow = 64 << 20
)

// TestManyBuildsOfManyApps asks a real rack for 50 builds at once.
func TestManyBuildsOfManyApps(t *testing.T) {
	data := t.TempDir()
	t.Cleanup(func() {
		if err := removeLeftovers(data); err != nil {
			t.Error(err)
		}
	})
	r := serveKillable(t, data, "--builds-at-once", strconv.Itoa(atOnce))
	packed := countingSource(t, countedLines)
	asked := map[string]int{"first": 17, "second": 17, "third": 16}
	for app := range asked {
		r.must(t, r.ask("POST", "/apps", url.Values{"name": {app}}, nil))
		r.must(t, r.put("/apps/"+app+"/objects/tmp/source.tgz", packed))
	}

	few := newTurnstile(t, atOnce)
	few.open()
	for _, b := range r.countAll(t, few, []string{"first", "second", "third", "first", "second"}) {
		b.check(t, r)
	}
	before := r.peak(t)

	many := newTurnstile(t, atOnce)
	var apps []string
	for _, app := range []string{"first", "second", "third"} {
		for range asked[app] {
			apps = append(apps, app)
		}
	}
	waited := 0
	for _, b := range r.countAll(t, many, apps) {
		b.check(t, r)
		if strings.HasPrefix(b.streamed, fmt.Sprintf("Waiting: as many builds run as may run at once (%d)\n", atOnce)) {
			waited++
		}
	}
	if waited != len(apps)-atOnce { // since the first ones were held until all had been asked for
		t.Errorf("%d of %d builds waited, want all but %d", waited, len(apps), atOnce)
	}
	came, most := many.seen()
	if len(came) != len(apps) || most != atOnce {
		t.Errorf("%d steps were run for %d builds, at most %d at once, want %d", len(came), len(apps), most, atOnce)
	}
	wantTurns(t, came, asked)
	if grown := r.peak(t) - before; grown > mayGrow {
		t.Errorf("50 builds need %d MB more than 5 (%d MB), want at most %d MB", grown>>20, before>>20, mayGrow>>20)
	} else {
		t.Logf("peak with 5 builds %d MB, with 50 %d MB more", before>>20, grown>>20)
	}
}

// wantTurns fails if builds of an app began late because of those of another: of
// all apps that still waited, as many must have begun, more or less the ones that
// ran when the second app asked, and those that overtook each other on their way
// to the turnstile.
func wantTurns(t *testing.T, came []string, asked map[string]int) {
	t.Helper()
	begun := map[string]int{}
	for at, name := range came {
		app, _, _ := strings.Cut(name, "-")
		begun[app]++
		for other, all := range asked {
			if begun[other] < all && begun[app]-begun[other] > 2*atOnce {
				t.Fatalf("%d builds of %s began before number %d of %s: %q", begun[app], app, begun[other]+1, other, came[:at+1])
			}
		}
	}
}

// countingSource is an app of two services that are built alike. Each of its
// builds prints lines of its own.
func countingSource(t *testing.T, lines int) []byte {
	t.Helper()
	dir := t.TempDir()
	build(t, filepath.Join(dir, "tool"), "./testdata/tool")
	for name, text := range map[string]string{
		"convox.yml": "services:\n  web:\n    build: .\n  worker:\n    build: .\n",
		"Dockerfile": fmt.Sprintf("FROM scratch\nCOPY tool /tool\nARG GATE\nARG NAME\nRUN [\"/tool\", \"count\", \"%d\"]\n", lines),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var packed bytes.Buffer
	if _, err := source.Pack(t.Context(), &packed, dir, source.Options{}); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

// counted is a build of the counting source.
type counted struct {
	rack.Build
	name     string // that is in each of its lines
	streamed string // its log
}

// countAll starts a build of each of the apps at the same turnstile and waits for
// them all; the turnstile is opened when the logs of all are followed.
func (r *killable) countAll(t *testing.T, at *turnstile, apps []string) []*counted {
	t.Helper()
	var builds []*counted
	var all sync.WaitGroup
	for i, app := range apps {
		b := &counted{name: fmt.Sprintf("%s-%d-%d", app, len(apps), i)}
		form := url.Values{"url": {"object://" + app + "/tmp/source.tgz"}, "build-args": {"NAME=" + b.name, "GATE=" + at.address}}
		r.must(t, r.ask("POST", "/apps/"+app+"/builds", form, &b.Build))
		builds = append(builds, b)
		conn := r.socket(t, "/apps/"+app+"/builds/"+b.ID+"/logs")
		all.Go(func() {
			var err error
			if b.streamed, err = drain(t, conn); err != nil {
				t.Errorf("log of %s: %v", b.name, err)
			}
		})
	}
	select {
	case <-at.full:
	case <-time.After(patience):
		t.Error("too few builds came to run at once")
	}
	at.open()
	all.Wait()
	return builds
}

// check looks at a build that has ended.
func (b *counted) check(t *testing.T, r *killable) {
	t.Helper()
	var ended rack.Build
	r.must(t, r.ask("GET", "/apps/"+b.App+"/builds/"+b.ID, nil, &ended))
	if ended.Status != rack.BuildComplete || ended.Release == "" {
		t.Fatalf("build %s is %s: %s\n%.2000s", b.name, ended.Status, ended.Reason, b.streamed)
	}
	stored, err := r.get("/apps/" + b.App + "/objects/build/" + b.ID + "/logs")
	r.must(t, err)
	if !strings.HasPrefix(stored, b.streamed) {
		t.Errorf("the stored log of %s does not begin with what was streamed", b.name)
	}
	for what, log := range map[string]string{"stored": stored, "streamed": b.streamed} {
		if err := wantCounted(log, b.name); err != nil {
			t.Errorf("%s log of %s: %v", what, b.name, err)
		}
	}
	if n := strings.Count(stored, "Building: "); n != 1 {
		t.Errorf("two equal services of %s were built %d times", b.name, n)
	}
}

var countedLine = regexp.MustCompile(`(?m)^#\d+ \d+\.\d+ (\S+) has line (\d+) of \d+$`)

// wantCounted tells what is wrong with the numbered lines in a log.
func wantCounted(log, name string) error {
	n := 0
	for _, m := range countedLine.FindAllStringSubmatch(log, -1) {
		n++
		if m[1] != name || m[2] != strconv.Itoa(n) {
			return fmt.Errorf("line %d is %q", n, m[0])
		}
	}
	if n != countedLines {
		return fmt.Errorf("it has %d lines, want %d", n, countedLines)
	}
	return nil
}

// peak is the most memory that the process of a rack ever had, in bytes.
func (r *killable) peak(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.process))
	r.must(t, err)
	m := regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`).FindSubmatch(text)
	if m == nil {
		t.Fatalf("no peak in %s", text)
	}
	kb, err := strconv.ParseInt(string(m[1]), 10, 64)
	r.must(t, err)
	return kb << 10
}

func (r *killable) must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// put stores an object.
func (r *killable) put(path string, body []byte) error {
	res, err := r.http.Post(r.url+path, "application/octet-stream", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	return nil
}

// get is what is at a path.
func (r *killable) get(path string) (string, error) {
	res, err := r.http.Get(r.url + path)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var text bytes.Buffer
	_, err = text.ReadFrom(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = errors.New(res.Status)
	}
	return text.String(), err
}

// socket opens a stream.
func (r *killable) socket(t *testing.T, path string) *websocket.Conn {
	t.Helper()
	conn, err := r.dial(t.Context(), path)
	r.must(t, err)
	t.Cleanup(func() { conn.CloseNow() })
	return conn
}

func (r *killable) dial(ctx context.Context, path string) (*websocket.Conn, error) {
	u, err := url.Parse(r.url + path)
	if err != nil {
		return nil, err
	}
	header := http.Header{}
	req := http.Request{Header: header}
	secret, _ := u.User.Password()
	req.SetBasicAuth(u.User.Username(), secret)
	u.User = nil
	conn, _, err := websocket.Dial(ctx, u.String(), &websocket.DialOptions{HTTPClient: r.http, HTTPHeader: header})
	return conn, err
}

// drain reads a stream up to its end, which is one empty binary message, or up to
// where it breaks off.
func drain(t *testing.T, conn *websocket.Conn) (string, error) {
	var text strings.Builder
	for {
		kind, p, err := conn.Read(t.Context())
		if err != nil || kind == websocket.MessageBinary {
			return text.String(), err
		}
		text.Write(p)
	}
}
