package rackd_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
)

func password(p string) func(*rackd.Config) { return func(c *rackd.Config) { c.Password = p } }

func basic(userPassword string) http.Header {
	return http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(userPassword))}}
}

func TestAuthentication(t *testing.T) {
	for _, test := range []struct {
		password string
		header   http.Header
		ok       bool
	}{
		{"secret", basic("convox:secret"), true},
		{"secret", basic("anybody:secret"), true},
		{"secret", basic(":secret"), true},
		{"secret", basic("convox:Secret"), false},
		{"secret", basic("convox:secret2"), false},
		{"secret", basic("convox:"), false},
		{"secret", basic("secret"), false},
		{"secret", http.Header{"Authorization": {"Bearer secret"}}, false},
		{"secret", http.Header{"Authorization": nil}, false},
		{"a/b@c#d %", basic("convox:a/b@c#d %"), true},
		{"a/b@c#d %", basic("convox:a%2Fb%40c%23d%20%25"), true},
		{"a%2Fb", basic("convox:a%2Fb"), true},
		{"a%2Fb", basic("convox:a%252Fb"), true},
		{"a%2Fb", basic("convox:a/b"), false},
		{"100%", basic("convox:100%"), true},
		{"a:b", basic("convox:a:b"), true},
		{"", basic("convox:whatever"), true},
		{"", http.Header{"Authorization": nil}, true},
	} {
		m := start(t, password(test.password))
		what := fmt.Sprintf("password %q, %v", test.password, test.header)
		auth, log := m.do("GET", "/auth", test.header, nil), m.rest(m.socket("/apps/web/builds/BNONE/logs", test.header))
		if test.ok {
			m.want(what, auth, 200, "ok\n")
		} else {
			m.want(what, auth, 401, "invalid authentication\n")
			m.want(what+", POST", m.do("POST", "/apps/web/objects/a", test.header, strings.NewReader("x")), 401, "invalid authentication\n")
			m.want("object", m.get("/apps/web/objects/a"), 404, "key not found: a\n")
		}
		wantLog := map[bool]string{true: "ERROR: build not found: BNONE\n", false: "ERROR: invalid authentication\n"}
		if log != wantLog[test.ok] {
			t.Errorf("%s: log is %q", what, log)
		}
	}
}

func TestUnknownPaths(t *testing.T) {
	m := start(t, password("secret"))
	for _, target := range []string{
		"GET /", "GET /nosuch", "GET /racks", "GET /machines", "GET /racks?", "POST /system", "PATCH /apps/web", "OPTIONS /apps", "DELETE /apps",
		"GET /apps/", "GET /apps/web/", "GET /apps//builds", "GET //apps", "HEAD /system", "HEAD /apps/web", "POST /apps/web/objects",
		"GET /apps/web/builds/BNONE/logs", "GET /apps/web/logs",
	} {
		method, path, _ := strings.Cut(target, " ")
		for _, header := range []http.Header{nil, {"Authorization": nil}} {
			a := m.do(method, path, header, nil)
			if a.status != 404 || a.body != "" || a.header.Get("Request-Id") != "" || a.header.Get("Content-Type") != "" {
				t.Errorf("%s: %d %q %v", target, a.status, a.body, a.header)
			}
		}
	}
	a := m.do("GET", "/check", http.Header{"Authorization": nil}, nil)
	m.want("/check", a, 200, "ok")
}

func TestEveryAnswerHasARequestID(t *testing.T) {
	m := start(t)
	ids := map[string]bool{}
	for _, target := range []string{"/auth", "/system?", "/apps", "/apps/none"} {
		id := m.get(target).header.Get("Request-Id")
		if !regexp.MustCompile(`^[0-9a-f]{12}$`).MatchString(id) || ids[id] {
			t.Errorf("%s: request id %q", target, id)
		}
		ids[id] = true
	}
}

func TestErrorsAreText(t *testing.T) {
	m := start(t)
	for _, accept := range []string{"*/*", "application/json"} {
		a := m.do("GET", "/apps/none", http.Header{"Accept": {accept}}, nil)
		m.want("Accept: "+accept, a, 404, "app not found: none\n")
		if a.header.Get("Content-Type") != "text/plain; charset=utf-8" || a.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("header is %v", a.header)
		}
	}
}

func TestSystem(t *testing.T) {
	m := start(t)
	want := rack.System{
		Count: 1, Domain: m.host, Name: "local", Outputs: map[string]string{"Registry": "127.0.0.1:5000"}, Provider: "local",
		RackDomain: m.host, Region: "local", Status: "running", Type: "local", Version: rackd.Version,
		Parameters: map[string]string{
			"BuildCache": "No", "BuildCacheCleanup": "No", "BuildCacheRetentionDays": "30", "BuildCpu": "256", "BuildImage": "",
			"BuildInstance": "t3.small", "BuildInstancePolicy": "", "BuildInstanceSecurityGroup": "", "BuildMemory": "1000", "BuildMethod": "ec2",
			"BuildVolumeSize": "100", "FargateBuildCpu": "", "FargateBuildMemory": "", "HttpProxy": "", "LogRetention": "", "PrivateBuild": "No",
			"PruneOlderImagesCronRunFreq": "daily", "PruneOlderImagesInHour": "96",
		},
	}
	if d := cmp.Diff(want, decode[rack.System](m, m.get("/system"))); d != "" {
		t.Errorf("system (-want +got):\n%s", d)
	}
	if rackd.Version <= "20190111211123" || len(rackd.Version) != 14 {
		t.Errorf("clients would take version %s for one that cannot take objects", rackd.Version)
	}
}

// unset is an app without its parameters.
func unset(a rack.App) rack.App {
	a.Parameters = map[string]string{}
	return a
}

func TestApps(t *testing.T) {
	m := start(t)
	want := rack.App{Generation: "2", Name: "a_new-1", Status: rack.AppRunning, Parameters: map[string]string{}}
	if d := cmp.Diff(want, unset(decode[rack.App](m, m.post("/apps", url.Values{"name": {"a_new-1"}})))); d != "" {
		t.Errorf("answer (-want +got):\n%s", d)
	}
	if d := cmp.Diff(want, unset(decode[rack.App](m, m.get("/apps/a_new-1")))); d != "" {
		t.Errorf("app (-want +got):\n%s", d)
	}
	if d := cmp.Diff("a_new-1 web", names(m)); d != "" {
		t.Errorf("apps (-want +got):\n%s", d)
	}
	const only = "App name can only contain lowercase letters, numbers, hyphens and underscores\n"
	for _, test := range []struct {
		form   url.Values
		status int
		body   string
	}{
		{url.Values{"name": {"web"}}, 500, "app already exists: web\n"},
		{url.Values{"name": {"MyApp"}}, 500, "App name cannot contain Uppercase characters\n"},
		{url.Values{"name": {"local"}}, 500, "App name cannot be same as Rack name\n"},
		{url.Values{"name": {"a/b"}}, 500, only},
		{url.Values{"name": {".."}}, 500, only},
		{url.Values{"name": {"a b"}}, 500, only},
		{url.Values{"name": {"-a"}}, 500, only},
		{url.Values{"name": {"a\n"}}, 500, only},
		{url.Values{"name": {strings.Repeat("a", 101)}}, 500, only},
		{url.Values{}, 400, "name is required\n"},
		{url.Values{"name": {"old"}, "generation": {"1"}}, 400, "generation 1 is not supported: this rack builds apps of generation 2 (convox.yml)\n"},
	} {
		m.want(fmt.Sprint(test.form), m.post("/apps", test.form), test.status, test.body)
	}
	decode[rack.App](m, m.post("/apps", url.Values{"name": {"b"}, "generation": {"2"}}))
	if d := cmp.Diff("a_new-1 b web", names(m)); d != "" {
		t.Errorf("apps in the end (-want +got):\n%s", d)
	}
	empty := resume(t, t.TempDir())
	empty.want("apps of a new rack", empty.get("/apps"), 200, "[]\n")
}

func names(m *machine) string {
	var names []string
	for _, a := range decode[[]rack.App](m, m.get("/apps")) {
		names = append(names, a.Name)
	}
	return strings.Join(names, " ")
}

func TestProcesses(t *testing.T) {
	m := start(t)
	m.want("processes", m.get("/apps/web/processes?"), 200, "[]\n")
	m.want("processes of no app", m.get("/apps/none/processes"), 404, "app not found: none\n")
}

func TestObjects(t *testing.T) {
	m := start(t)
	put := func(target, body string, header http.Header) string {
		t.Helper()
		return decode[rack.Object](m, m.do("POST", target, header, strings.NewReader(body))).URL
	}
	if a := m.do("POST", "/apps/web/objects/tmp/a.tgz?", nil, strings.NewReader("hello")); a.body != "{\n  \"Url\": \"object://web/tmp/a.tgz\"\n}\n" {
		t.Errorf("answer is %s", a.body)
	}
	for _, path := range []string{"tmp/a.tgz", "/tmp/a.tgz", "//tmp/a.tgz", "tmp%2Fa.tgz"} {
		a := m.get("/apps/web/objects/" + path)
		m.want(path, a, 200, "hello")
		if a.header.Get("Content-Type") != "text/plain; charset=utf-8" || a.header.Get("Content-Length") != "5" {
			t.Errorf("%s: header is %v", path, a.header)
		}
	}
	if u := put("/apps/web/objects/", "chosen", nil); !regexp.MustCompile(`^object://web/tmp/[0-9a-f]{30}$`).MatchString(u) {
		t.Errorf("key of the rack's choice: %s", u)
	} else {
		m.want(u, m.get("/apps/web/objects/"+strings.TrimPrefix(u, "object://web/")), 200, "chosen")
	}
	if u := put("/apps/web/objects//a%20b/%2e%2e/c?x=y", "odd", nil); u != "object://web/a b/../c" {
		t.Errorf("odd key: %s", u)
	}
	m.want("odd key", m.get("/apps/web/objects/a%20b/../c"), 200, "odd")
	put("/apps/web/objects/form", "a=b", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}})
	m.want("sent as a form", m.get("/apps/web/objects/form"), 200, "a=b")
	put("/apps/web/objects/empty", "", nil)
	m.want("empty", m.get("/apps/web/objects/empty"), 200, "")

	for target, body := range map[string]string{"none": "none", "../x": "../x", "a%2Fb": "a/b", "a/../b": "a/../b"} {
		m.want(target, m.get("/apps/web/objects/"+target), 404, "key not found: "+body+"\n")
	}
	const invalid = "invalid object key: at most 900 bytes of UTF-8 are allowed\n"
	for _, key := range []string{strings.Repeat("k", rackd.MaxKey+1), "%ff"} {
		m.want(key, m.do("POST", "/apps/web/objects/"+key, nil, strings.NewReader("x")), 400, invalid)
		m.want(key, m.get("/apps/web/objects/"+key), 400, invalid)
	}
	put("/apps/web/objects/"+strings.Repeat("k", rackd.MaxKey), "long", nil)
	m.want("no such app", m.get("/apps/none/objects/a"), 404, "app not found: none\n")
	m.want("put to no app", m.do("POST", "/apps/none/objects/a", nil, strings.NewReader("x")), 404, "app not found: none\n")
}

func TestHeadOfObjects(t *testing.T) {
	m := start(t)
	m.do("POST", "/apps/web/objects/tmp/a", nil, strings.NewReader("hello, world"))
	for _, test := range []struct {
		target string
		status int
		length string
	}{
		{"/apps/web/objects/tmp/a", 200, "5"},
		{"/apps/web/objects//tmp/a", 200, "5"},
		{"/apps/web/objects/none", 200, "6"},
		{"/apps/none/objects/none", 404, "20"},
	} {
		a := m.do("HEAD", test.target, nil, nil)
		if a.status != test.status || a.header.Get("Content-Length") != test.length || a.body != "" {
			t.Errorf("%s: %d %v", test.target, a.status, a.header)
		}
	}
	if a := m.do("HEAD", "/apps/web/objects/tmp/a", nil, nil); a.header.Get("Content-Type") != "application/json" {
		t.Errorf("header is %v", a.header)
	}
}

// An upload that breaks off leaves nothing behind, and what was there as it was.
func TestBrokenUpload(t *testing.T) {
	m := start(t)
	m.do("POST", "/apps/web/objects/a", nil, strings.NewReader("whole"))
	for _, key := range []string{"a", "b"} {
		conn, err := net.Dial("tcp", m.host)
		m.must(err)
		_, err = fmt.Fprintf(conn, "POST /apps/web/objects/%s HTTP/1.1\r\nHost: %s\r\nContent-Length: 100\r\n\r\nhalf", key, m.host)
		m.must(err)
		m.must(conn.(*net.TCPConn).CloseWrite())
		answer, err := io.ReadAll(conn) // the rack is done with it when this ends
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 500 ") {
			t.Errorf("answer to half an upload: %q, %v", answer, err)
		}
		conn.Close()
	}
	m.want("object that was there", m.get("/apps/web/objects/a"), 200, "whole")
	m.want("new object", m.get("/apps/web/objects/b"), 404, "key not found: b\n")
}

// badDisk is a store whose objects break off while they are read.
type badDisk struct{ rackd.Objects }

var errDisk = errors.New("input/output error")

func (badDisk) OpenObject(context.Context, string, string) (io.ReadCloser, error) {
	long := strings.NewReader(strings.Repeat("x", 100_000))
	return io.NopCloser(io.MultiReader(long, iotest.ErrReader(errDisk))), nil
}

// A download that breaks off must not look like a whole one, and its error not
// like a part of it.
func TestBrokenDownload(t *testing.T) {
	m := start(t, func(c *rackd.Config) { c.Stores.Objects = badDisk{c.Stores.Objects} })
	resp, err := http.Get(m.url + "/apps/web/objects/a")
	m.must(err)
	defer resp.Body.Close()
	if got, err := io.ReadAll(resp.Body); err == nil || strings.Contains(string(got), errDisk.Error()) {
		t.Errorf("%d bytes, ending in %q, without an error", len(got), got[max(0, len(got)-30):])
	}
}
