package rackd_test

import (
	"archive/tar"
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// tarOf packs one file.
func tarOf(m *machine, name, content string) io.Reader {
	m.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	m.must(w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(content)), Mode: 0o644}))
	m.must(second(io.WriteString(w, content)))
	m.must(w.Close())
	return &b
}

// TestCopyFiles is what convox cp asks for, on a container that runs.
func TestCopyFiles(t *testing.T) {
	m := startRunning(t)
	id := m.begin("one", "sleep 3600").ID
	at := "/apps/web/processes/" + id + "/files"
	octets := http.Header{"Content-Type": {"application/octet-stream"}}
	m.want("up", m.do("POST", at, octets, tarOf(m, "/app/file.txt", "hello\n")), 200, "ok\n")
	if out := m.exec(id, "cat /app/file.txt && echo more >> /app/file.txt"); out[0] != "hello\n" {
		t.Errorf("the container has %q", out)
	}
	down := m.get(at + "?file=%2Fapp%2Ffile.txt")
	h, err := tar.NewReader(strings.NewReader(down.body)).Next()
	m.must(err)
	if h.Name != "app/file.txt" || !strings.Contains(down.body, "hello\nmore\n") || down.header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("down came %+v, %v", h, down.header)
	}
	m.want("no such file", m.get(at+"?file=/none"), 404, "file not found: /none\n")
	m.want("no name", m.get(at), 400, "file is required\n")
	m.want("no archive", m.do("POST", at, octets, strings.NewReader(strings.Repeat("x", 600))), 500, "read the archive: archive/tar: invalid tar header\n")
	m.want("no names", m.do("DELETE", at, nil, nil), 400, "files is required\n")
	m.want("root", m.do("DELETE", at+"?files=/", nil, nil), 500, "the root of a container cannot be removed\n")
	m.want("delete", m.do("DELETE", at+"?files=/app/file.txt,/none", nil, nil), 200, "ok\n")
	m.want("deleted", m.get(at+"?file=/app/file.txt"), 404, "file not found: /app/file.txt\n")
	m.want("stop", m.do("DELETE", "/apps/web/processes/"+id, nil, nil), 200, "ok\n")
	for _, method := range []string{"GET", "POST", "DELETE"} {
		m.want(method+" of what is gone", m.do(method, at+"?file=/a&files=/a", octets, tarOf(m, "a", "")), 404, "process not found: "+id+"\n")
	}
}

// TestChangeBuild: the record of a build that has ended can be changed as builders
// outside of a rack do, within what is true of any.
func TestChangeBuild(t *testing.T) {
	m := start(t)
	put := func(target string, f url.Values) answer {
		t.Helper()
		h := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
		return m.do("PUT", target, h, strings.NewReader(f.Encode()))
	}
	done := m.create(nil)
	m.log(done.ID)
	was := m.build(done.ID)
	at := "/apps/web/builds/" + done.ID
	want := was
	want.Entrypoint, want.Manifest, want.Status, want.Logs = "bin/x 'y z'", "services: {}\n", rack.BuildFailed, "object://web/tmp/log"
	want.Ended = was.Ended.AddDate(1, 0, 0).Truncate(1)
	got := decode[rack.Build](m, put(at, url.Values{
		"entrypoint": {want.Entrypoint}, "manifest": {want.Manifest}, "status": {"failed"}, "logs": {want.Logs},
		"ended": {want.Ended.Format("20060102.150405.000000000")}, "description": {"fixed"}, "id": {"BOTHER"}, "reason": {"fixed"},
	}))
	if got != want || m.build(done.ID) != want {
		t.Errorf("changed to %+v, want %+v", got, want)
	}
	if same := decode[rack.Build](m, put(at, nil)); same != want {
		t.Errorf("nothing changed it to %+v", same)
	}
	for _, test := range []struct {
		name, value string
		status      int
		says        string
	}{
		{"status", "running", 400, "status must be complete or failed: this rack builds itself\n"},
		{"status", "", 400, "status must be complete or failed: this rack builds itself\n"},
		{"release", "RNONE", 404, "release not found: RNONE\n"},
		{"logs", "object://other/build/B/logs", 400, "logs must be the URL of an object of the app\n"},
		{"logs", "file:///etc/passwd", 400, "logs must be the URL of an object of the app\n"},
		{"started", "2026-01-02T03:04:05Z", 500, `parsing time "2026-01-02T03:04:05Z" as "20060102.150405.000000000": cannot parse "-01-02T03:04:05Z" as "."` + "\n"},
	} {
		a := put(at, url.Values{test.name: {test.value}, "manifest": {"not this"}})
		if a.status != test.status || test.name != "started" && a.body != test.says {
			t.Errorf("%s=%s: %d %q, want %d %q", test.name, test.value, a.status, a.body, test.status, test.says)
		}
	}
	m.want("no such build", put("/apps/web/builds/BNONE", nil), 404, "build not found: BNONE\n")
	if after := m.build(done.ID); after != want {
		t.Errorf("what was refused left %+v", after)
	}
	s := lead(m)
	running := m.create(nil)
	receive(m, s.in)
	m.want("one that runs", put("/apps/web/builds/"+running.ID, url.Values{"status": {"complete"}}), 409, "build is running: "+running.ID+"\n")
	s.done <- nil
	m.log(running.ID)
	if b := m.build(running.ID); b.Status != rack.BuildComplete || b.Release == "" {
		t.Errorf("in the end it is %+v", b)
	}
}

// TestWhatOneMachineLacks: a request that a real rack answers is answered with why
// this one does not, and only after the password.
func TestWhatOneMachineLacks(t *testing.T) {
	m := start(t, password("secret"))
	for target, why := range map[string]string{
		"POST /apps/web/services/web/restart": "this rack runs no services", "GET /apps/web/metrics": "this rack runs no services",
		"PUT /apps/web/ssl/web/443": "this rack runs no services", "GET /proxy/host/80": "this rack runs no services",
		"POST /apps/web/builds/B/image": "this rack takes archives of builds, and no images by name",
		"GET /system/capacity":          "this rack is one machine", "GET /system/metrics": "this rack is one machine",
		"DELETE /instances/i": "this rack is one machine", "POST /instances/keyroll": "this rack is one machine",
		"POST /certificates": "this rack has no AWS account", "POST /certificates/generate": "this rack has no AWS account",
		"DELETE /certificates/c": "this rack has no AWS account", "POST /resources": "this rack has no AWS account",
		"PUT /resources/r": "this rack has no AWS account", "DELETE /resources/r": "this rack has no AWS account",
		"PUT /system/jwt/rotate":   "another password of the rack takes all its tokens back",
		"PUT /system?count=3":      "this rack is one machine, of the version of its program: its count cannot be set",
		"PUT /system?type=t3.nano": "this rack is one machine, of the version of its program: its type cannot be set",
		"PUT /system?version=2":    "this rack is one machine, of the version of its program: its version cannot be set",
	} {
		method, path, _ := strings.Cut(target, " ")
		m.want(target, m.do(method, path, nil, nil), 501, why+"\n")
		m.want(target, m.do(method, path, http.Header{"Authorization": nil}, nil), 401, "invalid authentication\n")
	}
}
