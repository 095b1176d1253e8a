package rackd_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/convox-ci/convox-ci/internal/image"
	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
)

var (
	buildID   = regexp.MustCompile(`^B[A-Z]{10}$`)
	releaseID = regexp.MustCompile(`^R[A-Z]{10}$`)
)

func TestBuild(t *testing.T) {
	m := start(t)
	before := time.Now()
	form := url.Values{"description": {"build 0123 a subject, with a comma"}, "git-sha": {"0123abc"}, "wildcard-domain": {"true"}}
	created := m.create(form)
	want := rack.Build{
		ID: created.ID, App: "web", Description: "build 0123 a subject, with a comma", GitSHA: "0123abc",
		Status: rack.BuildCreated, WildcardDomain: true, Started: created.Started,
	}
	if d := cmp.Diff(want, created); d != "" {
		t.Errorf("answer to the create (-want +got):\n%s", d)
	}
	if !buildID.MatchString(created.ID) || created.Started.Before(before) || created.Started.Location() != time.UTC {
		t.Errorf("id %s, started %v", created.ID, created.Started)
	}

	log := m.log(created.ID)
	ended := m.build(created.ID)
	want.Status, want.Manifest, want.Release, want.Ended = rack.BuildComplete, plain["convox.yml"], ended.Release, ended.Ended
	want.Logs = "object://web/build/" + created.ID + "/logs"
	if d := cmp.Diff(want, ended); d != "" {
		t.Errorf("build in the end (-want +got):\n%s", d)
	}
	if !releaseID.MatchString(ended.Release) || ended.Ended.Before(ended.Started) {
		t.Errorf("release %s, ended %v after %v", ended.Release, ended.Ended, ended.Started)
	}
	ref := "127.0.0.1:5000/web:one." + created.ID
	wantLog := regexp.MustCompile(`^Building: \.\n#1 from scratch\n#2 done\n` +
		`Running: docker tag [0-9a-f]{40} convox/web:one\.ID\n` +
		`Running: docker tag convox/web:one\.ID REF\nRunning: docker push REF\nImage: REF@DIGEST\n$`)
	if masked := strings.NewReplacer(ref, "REF", digest(ref), "DIGEST", created.ID, "ID").Replace(log); !wantLog.MatchString(masked) {
		t.Errorf("log is\n%s", masked)
	}
	if again := m.log(created.ID); again != log {
		t.Errorf("log the second time is %q, was %q", again, log)
	}
	m.want("stored log", m.get("/apps/web/objects/build/"+created.ID+"/logs"), 200, log)

	release := decode[rack.Release](m, m.get("/apps/web/releases/"+ended.Release))
	wantRelease := rack.Release{
		ID: ended.Release, App: "web", Build: created.ID, Manifest: ended.Manifest, Description: ended.Description, Created: release.Created,
	}
	if d := cmp.Diff(wantRelease, release); d != "" {
		t.Errorf("release (-want +got):\n%s", d)
	}
	if len(m.releases()) != 1 || m.app().Release != "" {
		t.Errorf("%d releases, active is %q", len(m.releases()), m.app().Release)
	}
	if d := cmp.Diff([]string{ref}, m.registry.refs); d != "" {
		t.Errorf("pushed (-want +got):\n%s", d)
	}
}

// The builder gets the environment of the latest release, overlaid with the
// build arguments, and the rest of the options.
func TestBuildOptions(t *testing.T) {
	m := start(t)
	m.post("/apps/web/releases", url.Values{"env": {"FROM_ENV=env\nBOTH=env\nHOLE=needed"}})
	f := files{
		"sub/app.yml":    "services:\n  one:\n    build: ./app\n    environment:\n      - HOLE\n",
		"app/Dockerfile": "FROM scratch AS development\nARG FROM_ENV\nARG BOTH\nARG ARGUED\nARG LAST\nFROM scratch\n",
	}
	b := m.create(url.Values{
		"url": {m.upload(f)}, "manifest": {"sub/app.yml"}, "development": {"true"}, "no-cache": {"true"},
		"build-args": {"BOTH=argument,ARGUED=a,b c", "LAST="},
	})
	m.log(b.ID)
	if b = m.build(b.ID); b.Status != rack.BuildComplete || b.Manifest != f["sub/app.yml"] {
		t.Errorf("build is %s: %s; manifest %q", b.Status, b.Reason, b.Manifest)
	}
	want := image.Spec{
		Target: "development", NoCache: true, Args: []string{"FROM_ENV=env", "BOTH=argument", "ARGUED=a,b c", "LAST="},
	}
	paths := cmpopts.IgnoreFields(image.Spec{}, "Context", "Dockerfile", "Layout")
	if d := cmp.Diff([]image.Spec{want}, m.engine.specs, paths); d != "" {
		t.Errorf("specs (-want +got):\n%s", d)
	}
}

// A build that cannot be is refused before there is a record of it.
func TestRefusedBuilds(t *testing.T) {
	m := start(t)
	m.addApp("other")
	for _, test := range []struct {
		name   string
		target string
		form   url.Values
		status int
		body   string
	}{
		{"no such app", "/apps/none/builds", nil, 404, "app not found: none\n"},
		{"argument without =", "/apps/web/builds", url.Values{"build-args": {"KEY"}}, 500, "invalid build args\n"},
		{"argument without a name", "/apps/web/builds", url.Values{"build-args": {"=x"}}, 500, "invalid build args\n"},
		{"empty argument", "/apps/web/builds", url.Values{"build-args": {""}}, 500, "invalid build args\n"},
		{"second argument without =", "/apps/web/builds", url.Values{"build-args": {"A=1", "KEY"}}, 500, "invalid build args\n"},
		{"no source", "/apps/web/builds", url.Values{"url": {""}}, 400, "only object:// sources are supported (got )\n"},
		{"source elsewhere", "/apps/web/builds", url.Values{"url": {"https://host/x.tgz"}}, 400, "only object:// sources are supported (got https)\n"},
		{"source without a key", "/apps/web/builds", url.Values{"url": {"object://web"}}, 400, "only object:// sources are supported (got object)\n"},
	} {
		if test.form != nil && !test.form.Has("url") {
			test.form.Set("url", "object://web/tmp/source.tgz")
		}
		m.want(test.name, m.post(test.target, test.form), test.status, test.body)
	}
	m.want("builds", m.get("/apps/web/builds"), 200, "[]\n")
	for name, generation := range map[string]string{"old": "1", "older": ""} { // as records of apps of generation 1 have it
		m.must(m.stores.Apps.SwapApp(t.Context(), rack.App{}, rack.App{Name: name, Generation: generation, Status: rack.AppRunning}))
		m.want(name, m.post("/apps/"+name+"/builds", url.Values{"url": {"object://web/tmp/source.tgz"}}), 400,
			"generation 1 is not supported: this rack builds apps of generation 2 (convox.yml)\n")
		m.want("builds of "+name, m.get("/apps/"+name+"/builds"), 200, "[]\n")
	}
}

func TestFailedBuilds(t *testing.T) {
	yml := plain["convox.yml"]
	for _, test := range []struct {
		name     string
		source   files
		form     url.Values
		reason   string
		manifest string
	}{
		{"object missing", nil, url.Values{"url": {"object://web/tmp/none.tgz"}}, "key not found: tmp/none.tgz", ""},
		{"no manifest", files{"Dockerfile": ""}, nil, "reading manifest convox.yml: there is no such file in the source", ""},
		{"another manifest", plain, url.Values{"manifest": {"./x/../app.yml"}}, "reading manifest app.yml: there is no such file in the source", ""},
		{"bad manifest", files{"convox.yml": "services: [\n"}, nil, "parse manifest: ", "services: [\n"},
		{"bad bytes", files{"convox.yml": "services: [\xff\n"}, nil, "parse manifest: ", "services: [\uFFFD\n"},
		{"environment missing", files{"convox.yml": yml + "    environment:\n      - NEEDED\n"}, nil, "parse manifest: ", yml + "    environment:\n      - NEEDED\n"},
		{"huge manifest", files{"convox.yml": strings.Repeat("#", 100<<20)}, nil, "reading manifest convox.yml: it is longer than 1048576 bytes", ""},
		{"manifest outside", plain, url.Values{"manifest": {"../../../../../etc/passwd"}}, "reading manifest ../../../../../etc/passwd: ", ""},
		{"manifest is a folder", files{"convox.yml/x": ""}, nil, "reading manifest convox.yml: ", ""},
		{"no Dockerfile", files{"convox.yml": yml}, nil, "there is no Dockerfile in the source", yml},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := start(t)
			form := url.Values{}
			for name, values := range test.form {
				form[name] = values
			}
			if test.source != nil {
				form.Set("url", m.upload(test.source))
			}
			m.wantFailed(m.create(form).ID, test.reason, test.manifest)
		})
	}
	t.Run("source is no archive", func(t *testing.T) {
		m := start(t)
		m.do("POST", "/apps/web/objects/tmp/x.tgz", nil, strings.NewReader("no gzip, but as long as a header of it"))
		m.wantFailed(m.create(url.Values{"url": {"object://web/tmp/x.tgz"}}).ID, "opening source gzip: ", "")
	})
	t.Run("builder fails within a line", func(t *testing.T) {
		m := start(t)
		m.engine.work = func(_ context.Context, _ image.Spec, log io.Writer) error {
			io.WriteString(log, "#1 half a line")
			return errors.New("exit status 1")
		}
		b := m.create(nil)
		m.wantFailed(b.ID, "build .: exit status 1", yml)
		if log := m.log(b.ID); log != "Building: .\n#1 half a line\nERROR: build .: exit status 1\n" {
			t.Errorf("log is %q", log)
		}
	})
	t.Run("push fails", func(t *testing.T) {
		m := start(t)
		m.registry.fault = errors.New("no space left")
		b := m.create(nil)
		m.wantFailed(b.ID, "push 127.0.0.1:5000/web:one."+b.ID+": no space left", yml)
	})
	t.Run("long reason", func(t *testing.T) {
		m := start(t)
		long := strings.Repeat("ü", 2000) + "\xff"
		m.engine.work = func(context.Context, image.Spec, io.Writer) error { return errors.New(long) }
		b := m.create(nil)
		if log := m.log(b.ID); !strings.HasSuffix(log, "\nERROR: build .: "+long+"\n") {
			t.Errorf("log ends in %q", log[max(0, len(log)-80):])
		}
		if r := m.build(b.ID).Reason; len(r) > 1100 || !strings.HasPrefix(r, "build .: üüü") || !strings.HasSuffix(r, "ü…") {
			t.Errorf("reason has %d bytes: %s", len(r), r)
		}
	})
}

// wantFailed waits for the end of a build and checks all that a failed one
// must leave behind. The reason is what it must begin with.
func (m *machine) wantFailed(id, reason, manifest string) {
	m.Helper()
	log := m.log(id)
	b := m.build(id)
	if b.Status != rack.BuildFailed || !strings.HasPrefix(b.Reason, reason) || b.Ended.Before(b.Started) || b.Release != "" {
		m.Errorf("build is %s because of %q, ended %v, release %q; want reason %q", b.Status, b.Reason, b.Ended, b.Release, reason)
	}
	if b.Manifest != manifest {
		m.Errorf("manifest is %.80q, want %.80q", b.Manifest, manifest)
	}
	last := log[strings.LastIndex(strings.TrimSuffix(log, "\n"), "\n")+1:]
	if last != "ERROR: "+b.Reason+"\n" {
		m.Errorf("log ends in %q, the reason is %q", last, b.Reason)
	}
	if b.Logs != "object://web/build/"+id+"/logs" {
		m.Errorf("log is at %q", b.Logs)
	}
	m.want("stored log", m.get("/apps/web/objects/build/"+id+"/logs"), 200, log)
	m.want("releases", m.get("/apps/web/releases"), 200, "[]\n")
}

func TestListOfBuilds(t *testing.T) {
	m := start(t)
	for i := range 12 {
		b := rack.Build{ID: fmt.Sprintf("BAAAAAAAAA%c", 'A'+i), App: "web", Status: rack.BuildComplete, Started: time.Unix(int64(i), 0).UTC()}
		m.must(m.stores.Builds.SwapBuild(t.Context(), rack.Build{}, b))
	}
	ids := func(target string) (ids string) {
		for _, b := range decode[[]rack.Build](m, m.get(target)) {
			ids += b.ID[10:]
		}
		return ids
	}
	for _, test := range []struct{ target, want string }{
		{"/apps/web/builds", "LKJIHGFEDC"},
		{"/apps/web/builds?", "LKJIHGFEDC"},
		{"/apps/web/builds?limit=1", "L"},
		{"/apps/web/builds?limit=100", "LKJIHGFEDCBA"},
	} {
		if got := ids(test.target); got != test.want {
			t.Errorf("%s: %s, want %s", test.target, got, test.want)
		}
	}
	m.want("bad limit", m.get("/apps/web/builds?limit=x"), 500, "strconv.Atoi: parsing \"x\": invalid syntax\n")
	m.want("limit 0", m.get("/apps/web/builds?limit=0"), 400, "limit must be at least 1\n")
	m.want("no such app", m.get("/apps/none/builds"), 404, "app not found: none\n")
	m.want("no such build", m.get("/apps/web/builds/BNONE"), 404, "build not found: BNONE\n")
	m.addApp("other")
	m.want("build of another app", m.get("/apps/other/builds/BAAAAAAAAAA"), 404, "build not found: BAAAAAAAAAA\n")
	m.want("build of no app", m.get("/apps/none/builds/BAAAAAAAAAA"), 404, "app not found: none\n")
}

// textBuilds is a store that minds what texts it is given.
type textBuilds struct {
	rackd.Builds
	t *testing.T
}

func (s textBuilds) SwapBuild(ctx context.Context, old, next rack.Build) error {
	for _, text := range []string{next.Description, next.Manifest, next.Reason} {
		if !utf8.ValidString(text) {
			s.t.Errorf("not UTF-8: %q", text)
		}
	}
	return s.Builds.SwapBuild(ctx, old, next)
}

// The subject of a commit, a manifest and an error may be anything; stores take
// UTF-8.
func TestRecordsAreUTF8(t *testing.T) {
	m := start(t, func(c *rackd.Config) { c.Stores.Builds = textBuilds{c.Stores.Builds, t} })
	m.engine.work = func(context.Context, image.Spec, io.Writer) error { return errors.New("caf\xe9") }
	f := files{"convox.yml": "# caf\xe9\n" + plain["convox.yml"], "Dockerfile": plain["Dockerfile"]}
	for range 2 { // the bytes are no YAML; the plain source comes to the builder
		b := m.create(url.Values{"description": {"caf\xe9"}, "url": {m.upload(f)}})
		m.log(b.ID)
		if got := m.build(b.ID); got.Description != "caf\uFFFD" || b.Description != got.Description || got.Status != rack.BuildFailed {
			t.Errorf("build is %+v, description was answered as %q", got, b.Description)
		}
		f = plain
	}
}

func TestFormsOfEitherKind(t *testing.T) {
	m := start(t)
	body := "--x\r\nContent-Disposition: form-data; name=\"env\"\r\n\r\nA=1\r\n--x--\r\n"
	a := m.do("POST", "/apps/web/releases?", http.Header{"Content-Type": {"multipart/form-data; boundary=x"}}, strings.NewReader(body))
	if r := decode[rack.Release](m, a); r.Env != "A=1" {
		t.Errorf("environment of a multipart form is %q", r.Env)
	}
	if r := decode[rack.Release](m, m.do("POST", "/apps/web/releases?env=B%3D2", nil, nil)); r.Env != "B=2" {
		t.Errorf("environment of a query is %q", r.Env)
	}
	big := url.Values{"env": {"A=" + strings.Repeat("x", 11<<20)}}
	if a := m.post("/apps/web/releases", big); a.status != 400 {
		t.Errorf("form of 11 MB: %d %s", a.status, a.body)
	}
	if a := m.do("POST", "/apps/web/releases", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, strings.NewReader("env=%zz")); a.status != 400 {
		t.Errorf("bad form: %d %s", a.status, a.body)
	}
	if n := len(m.releases()); n != 2 {
		t.Errorf("%d releases", n)
	}
}
