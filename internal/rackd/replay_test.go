package rackd_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/image"
	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
	"github.com/convox-ci/convox-ci/internal/wire"
)

// TestReplay sends what official clients sent to official racks, and compares
// our answers with theirs: in all that a client reads where that was a v2 rack,
// which this one is to be taken for; else in whether the request is served.
func TestReplay(t *testing.T) {
	for _, name := range wire.Names(wire.Server) {
		t.Run(name, func(t *testing.T) {
			if why, ok := unlike[name]; ok {
				t.Log("differs on purpose:", why)
			}
			replay(t, wire.Load(t, name))
		})
	}
}

// unlike are the sessions that our rack ends otherwise than the recorded one.
var unlike = map[string]string{
	"v2-builds-export-failed": "an image that is missing is an error before the archive begins",
	"v3-builds-export-failed": "likewise",
	"v2-build-args-comma":     "a value with a comma is put together again instead of refused",
	"v3-build-args-malformed": "a build argument without a value is refused, as v2 racks do",
}

// differs are the values that are not the same as on a real rack, by request
// and path within the answer; below them nothing is compared. Where it says
// gone, our rack leaves the field out.
var differs = map[string]string{
	"GET /system: .count":               "machines",
	"GET /system: .domain":              "",
	"GET /system: .name":                "",
	"GET /system: .outputs":             "",
	"GET /system: .parameters":          "those that it has",
	"GET /system: .provider":            "",
	"GET /system: .rack-domain":         "",
	"GET /system: .region":              "",
	"GET /system: .type":                "",
	"GET /system: .version":             "",
	"GET /apps: [].parameters":          "those of a stack",
	"GET /apps/X: .parameters":          "",
	"POST /apps: .parameters":           "",
	"POST /apps: .status":               "running at once: there is nothing to wait for",
	"GET /apps/X/builds/X: .entrypoint": "not recorded",

	"GET /apps/X/services: [].count":    "as the manifest says",
	"GET /apps/X/services: [].domain":   "nothing is routed to it",
	"GET /apps/X/services: [].ports":    "gone: likewise",
	"GET /instances: [].agent":          "none runs",
	"GET /instances: [].cpu":            "nobody measures it",
	"GET /instances: [].id":             "",
	"GET /instances: [].memory":         "nobody measures it",
	"GET /instances: [].private-ip":     "",
	"GET /instances: [].processes":      "",
	"GET /system/X: [].host":            "",
	"GET /system/X: [].id":              "",
	"GET /system/X: [].instance":        "",
	"GET /system/X: [].name":            "",
	"GET /system/X: [].release":         "",
	"GET /system/X: [].task_definition": "",
	"POST /registries: .password":       "nobody needs it back",
	"POST /system/X/token: .token":      "signed with a key of its own",
	"GET /apps/X/builds/X: .reason":     "recorded, where a v2 rack leaves it empty",

	"GET /apps/X/processes: [].command":                   "what sleeps stands for what a real rack runs for a service",
	"GET /apps/X/processes: [].host":                      "",
	"GET /apps/X/processes: [].image":                     "",
	"GET /apps/X/processes: [].instance":                  "",
	"GET /apps/X/processes: [].ports":                     "nothing is published",
	"GET /apps/X/processes: [].task_definition":           "",
	"GET /apps/X/processes/X: .command":                   "as in the list",
	"GET /apps/X/processes/X: .host":                      "",
	"GET /apps/X/processes/X: .image":                     "",
	"GET /apps/X/processes/X: .instance":                  "",
	"GET /apps/X/processes/X: .ports":                     "",
	"GET /apps/X/processes/X: .status":                    "running as soon as the start is answered",
	"GET /apps/X/processes/X: .task_definition":           "",
	"POST /apps/X/services/X/processes: .host":            "",
	"POST /apps/X/services/X/processes: .image":           "",
	"POST /apps/X/services/X/processes: .instance":        "",
	"POST /apps/X/services/X/processes: .ports":           "",
	"POST /apps/X/services/X/processes: .task_definition": "",
}

// session is one replay.
type session struct {
	*machine
	wire.Recording
	ids  map[string]string // recorded to ours, of what is made on the way
	logs map[string]string // by path
}

// recordedID finds the ids of builds, releases and processes; those of the last
// are 12 digits on a v2 rack and the names of pods on v3.
var recordedID = regexp.MustCompile(`\b(?:[BR][A-Z]{10}|[0-9a-f]{12}|[a-z]+-[0-9a-f]{10}-[a-z]{5}|web-[0-9a-z]{5})\b`)

func replay(t *testing.T, r wire.Recording) {
	change := []func(*rackd.Config){password(recordedPassword(t, r)), tokens, func(c *rackd.Config) { c.Name = "fake" }}
	if runs(r) {
		change = append(change, running(t))
	}
	if strings.Contains(r.Name, "registries") {
		change = append(change, otherRegistry(t, r))
	}
	if strings.Contains(r.Name, "port") { // export or import
		images := store(t)
		change = append(change, images.use)
		if !strings.Contains(r.Name, "failed") {
			images.push("myapp:web.BSEEDBUILDA")
			images.push("myapp:worker.BSEEDBUILDA")
		}
	}
	m := resume(t, t.TempDir(), change...)
	s := &session{machine: m, Recording: r, ids: map[string]string{}, logs: map[string]string{}}
	if strings.Contains(r.Name, "failed") {
		m.engine.work = func(context.Context, image.Spec, io.Writer) error { return errors.New("exit status 1") }
	}
	s.seed()
	if strings.HasSuffix(r.Name, "registries-remove") {
		s.must(s.stores.Registries.PutRegistry(t.Context(), rack.Registry{Server: "registry.invalid", Username: "user", Password: "p w,&"}))
	}
	if runs(r) {
		s.seedProcesses()
	}
	for i, e := range r.Exchanges {
		what := fmt.Sprintf("exchange %d, %s %s", i, e.Method, e.Path)
		goOn := true
		switch {
		case e.AnsweredBy == wire.Console:
			s.want(what, s.send(e), 404, "") // as a rack answers it to a client without a console
		case e.Status == http.StatusSwitchingProtocols && strings.HasSuffix(e.Path, "/exec"):
			s.command(what, e)
		case e.Status == http.StatusSwitchingProtocols:
			s.stream(what, e)
		default:
			goOn = s.exchange(what, e)
		}
		if !goOn || t.Failed() {
			return // the rest follows from it
		}
	}
}

// recordedPassword is the one that the client of a recording used.
func recordedPassword(t *testing.T, r wire.Recording) string {
	basic, _ := strings.CutPrefix(r.Exchanges[0].Headers["Authorization"], "Basic ")
	data, err := base64.StdEncoding.DecodeString(basic)
	_, password, ok := strings.Cut(string(data), ":")
	if err != nil || !ok {
		t.Fatalf("%s: authorization %q: %v", r.Name, basic, err)
	}
	return password
}

// The manifests of the recorded sources.
const (
	recordedManifest = "services:\n  web:\n    build: .\n    port: 3000\n  worker:\n    build: .\n    command: bin/worker\n"
	smallManifest    = "services:\n  web:\n    image: nginx\n"
)

// seed stores what was on the recorded racks before the client came.
func (s *session) seed() {
	s.Helper()
	ctx, ago := s.Context(), func(d time.Duration) time.Time { return time.Now().Add(-d).UTC() }
	for _, app := range strings.Fields("color drop fail flaky myapp rollback silent slow updating") {
		a := rack.App{Generation: "2", Name: app, Release: "RSEEDRELEAS", Status: rack.AppRunning, Parameters: map[string]string{"Rack": "fake"}}
		if app == "updating" {
			a.Status = rack.AppUpdating
		}
		s.must(s.stores.Apps.SwapApp(ctx, rack.App{}, a))
		if !slices.ContainsFunc(s.Exchanges, func(e wire.Exchange) bool { return strings.HasPrefix(e.Path, "/apps/"+app+"/") }) {
			continue // only its name is asked for
		}
		for i, b := range []rack.Build{{ID: "BOLDBUILDAA", Release: "ROLDRELEASE"}, {ID: "BSEEDBUILDA", Release: "RSEEDRELEAS"}} {
			b.App, b.Manifest, b.Status, b.Logs = app, recordedManifest, rack.BuildComplete, "object://"+app+"/build/"+b.ID+"/logs"
			b.Description = fmt.Sprintf("build 012345678%d commit %d", i, i)
			b.GitSHA = fmt.Sprintf("0123456789abcdef0123456789abcdef0123456%d", i)
			b.Started, b.Ended = ago(3*time.Hour-time.Duration(i)*time.Hour), ago(3*time.Hour-time.Duration(i)*time.Hour-time.Minute)
			s.must(s.stores.Builds.SwapBuild(ctx, rack.Build{}, b))
			s.must(s.stores.Objects.PutObject(ctx, app, "build/"+b.ID+"/logs", strings.NewReader("Building: .\nSuccess\n")))
		}
		for i, r := range []rack.Release{
			{ID: "ROLDRELEASE", Build: "BOLDBUILDAA", Env: "FOO=old", Description: "build 0123456780 commit 0"},
			{ID: "RSEEDRELEAS", Build: "BSEEDBUILDA", Env: "FOO=bar\nSECRET=s3cret", Description: "build 0123456781 commit 1"},
			{ID: "RNEWRELEASE", Build: "BSEEDBUILDA", Env: "FOO=new\nSECRET=s3cret", Description: "env change:FOO"},
		} {
			r.App, r.Manifest, r.Created = app, recordedManifest, ago(3*time.Hour-time.Duration(i)*time.Hour)
			s.must(s.stores.Releases.AddRelease(ctx, r))
		}
	}
}

// mapped is a recorded text with the ids that our rack has given.
func (s *session) mapped(text string) string {
	return recordedID.ReplaceAllStringFunc(text, func(id string) string {
		if ours, ok := s.ids[id]; ok {
			return ours
		}
		return id
	})
}

// header gives the recorded header of a request, for our host.
func (s *session) header(e wire.Exchange) http.Header {
	h := http.Header{}
	for name, value := range e.Headers {
		switch name {
		case "Host", "Content-Length", "Connection", "Upgrade", "Sec-Websocket-Key", "Sec-Websocket-Version": // of the connection
		case "Origin":
			h.Set(name, strings.Replace(value, e.Headers["Host"], s.host, 1))
		default:
			h[name] = []string{value}
		}
	}
	return h
}

// send sends a recorded request.
func (s *session) send(e wire.Exchange) answer {
	s.Helper()
	var body io.Reader
	switch {
	case e.Method == "POST" && strings.HasSuffix(e.Path, "/builds/import"):
		body = bytes.NewReader(s.imported(e))
	case strings.HasSuffix(e.Path, "/files") && e.Method == "POST":
		body = bytes.NewReader(plainArchive(s.T, e.Tar))
	case e.Method == "POST" && e.Tar != nil:
		body = bytes.NewReader(archive(s.T, e.Tar))
	case e.Form != nil:
		form := url.Values{}
		for name, values := range e.Form {
			for _, v := range values {
				form.Add(name, s.mapped(v))
			}
		}
		body = strings.NewReader(form.Encode())
	case e.BodyBytes > 0:
		s.Fatalf("%s %s: a body of another kind", e.Method, e.Path)
	}
	return s.do(e.Method, s.mapped(e.Target()), s.header(e), body)
}

// exchange sends a request and compares the answers. False is the end of a
// session that went on where ours cannot.
func (s *session) exchange(what string, e wire.Exchange) (goOn bool) {
	s.Helper()
	s.passTime(e)
	copies := e.Method == "GET" && strings.HasSuffix(e.Path, "/files")
	if copies {
		s.seedFile(e)
	}
	got := s.send(e)
	if e.Status < 400 && got.status < 400 {
		s.bind(e.Body, got.body)
	}
	_, ends := unlike[s.Name]
	switch {
	case ends && (e.Path == "/apps/myapp/builds" || isExport(e)):
		if (got.status < 400) == (e.Status < 400) {
			s.Errorf("%s: %d %q, which is no other than recorded", what, got.status, got.body)
		}
		return false
	case copies:
		s.compareFiles(what, e, got)
	case isExport(e) && got.status == e.Status:
		s.compareArchives(what, e, got)
	case s.Server != "v2" && strings.HasSuffix(e.Path, "/budget"):
		s.want(what, got, 404, "") // v2 racks have none, and clients of v3 go on without
	case s.Server != "v2":
		if (got.status < 400) != (e.Status < 400) { // errors have other numbers on a v3 rack
			s.Errorf("%s: %d %q, recorded was %d", what, got.status, got.body, e.Status)
		}
	case e.Method == "GET" && e.Path == "/apps/rollback" && got.status == e.Status:
		// Our rack runs nothing that could fail and be rolled back.
	case route(e) == "GET /apps/X/processes" && !runs(s.Recording) && got.status == e.Status:
		// Our rack starts no services when a release is promoted.
	case route(e) == "GET /apps/X/builds/X" && strings.Contains(e.Body, `"status": "running"`) && got.status == e.Status:
		// The log broke off and the build still ran; ours has ended.
	default:
		s.compare(what, e, got)
	}
	return true
}

// passTime does what happened on the recorded rack by itself: an update ended.
func (s *session) passTime(e wire.Exchange) {
	var recorded rack.App
	if e.Method == "GET" && e.Path == "/apps/updating" && json.Unmarshal([]byte(e.Body), &recorded) == nil {
		was, err := s.stores.Apps.App(s.Context(), "updating")
		s.must(err)
		now := was
		now.Status = recorded.Status
		s.must(s.stores.Apps.SwapApp(s.Context(), was, now))
	}
}

// bind learns the ids that our rack gave to what was made.
func (s *session) bind(recorded, ours string) {
	var theirs, here struct{ ID, Release string }
	if json.Unmarshal([]byte(recorded), &theirs) != nil || json.Unmarshal([]byte(ours), &here) != nil {
		return // a list, or no JSON
	}
	for their, our := range map[string]string{theirs.ID: here.ID, theirs.Release: here.Release} {
		if _, known := s.ids[their]; !known && recordedID.MatchString(their) && recordedID.MatchString(our) {
			s.ids[their] = our
		}
	}
}

// compare wants the answer to be what it was on a v2 rack.
func (s *session) compare(what string, e wire.Exchange, got answer) {
	s.Helper()
	if got.status != e.Status || got.header.Get("Content-Type") != e.ResponseHeaders["Content-Type"] {
		s.Errorf("%s: %d, %s: %s; recorded was %d, %s", what, got.status, got.header.Get("Content-Type"), got.body, e.Status, e.ResponseHeaders["Content-Type"])
		return
	}
	if (got.header.Get("Request-Id") != "") != (e.ResponseHeaders["Request-Id"] != "") {
		s.Errorf("%s: request id %q, recorded was %q", what, got.header.Get("Request-Id"), e.ResponseHeaders["Request-Id"])
	}
	if e.ResponseHeaders["Content-Type"] != "application/json" {
		if got.body != s.mapped(e.Body) {
			s.Errorf("%s: %q, recorded was %q", what, got.body, e.Body)
		}
		return
	}
	if d := cmp.Diff(leaves(s.T, route(e), s.mapped(e.Body)), leaves(s.T, route(e), got.body)); d != "" {
		s.Errorf("%s (-recorded +ours):\n%s", what, d)
	}
}

// route is a request without the names in it: GET /apps/X/builds/X.
func route(e wire.Exchange) string {
	parts := strings.Split(e.Path, "/")
	for i := 2; i < len(parts); i += 2 {
		parts[i] = "X"
	}
	return e.Method + " " + strings.Join(parts, "/")
}

// stream opens a recorded WebSocket and compares the form of what comes.
func (s *session) stream(what string, e wire.Exchange) {
	s.Helper()
	conn := s.socket(s.mapped(e.Target()), s.header(e))
	if strings.Count(e.Path, "/") < 4 { // the log of an app, or of the rack
		if e.Headers["Follow"] != "false" { // it went on until the client left
			s.must(conn.CloseNow())
		} else if got := s.rest(conn); got != "" {
			s.Errorf("%s: %q, where nothing has run", what, got)
		}
		return
	}
	var recorded strings.Builder
	for _, f := range e.Frames {
		if f.Dir == "server" && f.Type == "text" {
			recorded.WriteString(f.Payload)
		}
	}
	got := s.rest(conn)
	if before, again := s.logs[e.Path]; again && before != got {
		s.Errorf("%s: the second time it is %q, was %q", what, got, before)
	}
	s.logs[e.Path] = got
	if s.Server != "v2" && strings.HasPrefix(recorded.String(), "ERROR: ") && strings.HasPrefix(got, "ERROR: ") {
		return // in other words
	}
	said := recorded.String()
	if made := s.ids[recordedID.FindString(e.Path)]; made == "" && got != said {
		s.Errorf("%s: %q, recorded was %q", what, got, said)
	}
	if !strings.Contains(got, "\n") {
		s.Errorf("%s: log is %q", what, got)
	}
}
