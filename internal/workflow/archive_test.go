package workflow_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
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

	"github.com/convox-ci/convox-ci/internal/options"
	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

// archive is that of a build, of a v2 rack; cut leaves its end out.
func archive(t *testing.T, cut int) []byte {
	t.Helper()
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	w := tar.NewWriter(zip)
	for _, f := range [][2]string{{"build.json", `{"id":"B","app":"shop","manifest":"services:\n"}`}, {"shop.B.tar", strings.Repeat("image", 1000)}} {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f[0], Size: int64(len(f[1])), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, f[1])
	}
	if err := errors.Join(w.Close(), zip.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()[:b.Len()-cut]
}

// imports is a rack that archives are sent to.
type imports struct {
	version string
	answer  func(n int) (int, string) // to the nth that came whole
	mu      sync.Mutex
	whole   [][]byte
	broken  int
	record  string // of the build that came of it
	export  func(n int) (int, string)
	exports int
}

// RoundTrip is a rack that takes an archive, and tells one that does not come
// whole.
func (i *imports) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			i.broken++
			return nil, err
		}
		r.Body.Close()
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	status, text := 200, "{}"
	switch r.Method + " " + r.URL.Path {
	case "GET /system":
		text = `{"provider":"aws","version":"` + i.version + `"}`
	case "GET /apps/shop", "GET /apps/web":
		text = `{"name":"shop","generation":"2","status":"running"}`
	case "GET /apps/shop/builds", "GET /apps/web/builds":
		text = "[]"
	case "GET /apps/shop/builds/B.tgz":
		i.exports++
		status, text = i.export(i.exports)
	case "POST /apps/shop/builds/import", "POST /apps/web/builds/import":
		i.whole = append(i.whole, body)
		status, text = i.answer(len(i.whole))
	default:
		text = i.record
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text)), Request: r}, nil
}

const complete = `{"id":"BNEW","status":"complete","release":"RNEW","manifest":"services:\n"}`

func taken(int) (int, string) { return 200, complete }

// job is a job on such a rack.
func (i *imports) job(t *testing.T) (workflow.Job, *said) {
	t.Helper()
	endpoint, err := rack.Direct("http://convox:key@rack.invalid")
	if err != nil {
		t.Fatal(err)
	}
	j, s := heard(workflow.Job{})
	j.Rack = rack.New(endpoint, i, func(line string) { fmt.Fprintln(j.Log, line) })
	return j, s
}

func file(t *testing.T, data []byte) options.Path {
	t.Helper()
	path := filepath.Join(t.TempDir(), "build.tgz")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return options.Path(path)
}

// TestImport: only a whole archive, of a layout that the rack can read, becomes a
// build, and one without a release or with another manifest does not count.
func TestImport(t *testing.T) {
	var bad *workflow.BuildFailedError
	for _, test := range []struct {
		name, version string
		cut           int
		piped         bool
		record        string
		wrong         string
		sent          int
		kind          any
	}{
		{"a file", "20260101000000", 0, false, complete, "", 1, nil},
		{"a pipe", "20260101000000", 0, true, complete, "", 1, nil},
		{"a file that is cut", "20260101000000", 9, false, complete, "ends too early", 0, new(*options.Error)},
		{"a pipe that is cut", "20260101000000", 9, true, complete, "ends too early", 0, new(*rack.ArchiveError)},
		{"another generation", "3.19.2", 0, false, complete, "the archive is of a v2 rack, and a rack of version 3.19.2 cannot read it: nothing was imported", 0, new(*workflow.LayoutError)},
		{"another generation, piped", "3.19.2", 0, true, complete, "nothing was imported", 0, new(*workflow.LayoutError)},
		{"no release", "20260101000000", 0, false, `{"id":"BNEW","status":"complete","manifest":"services:\n"}`, "made no release", 1, &bad},
		{"another manifest", "20260101000000", 0, false, `{"id":"BNEW","status":"complete","release":"RNEW"}`, "its manifest is not that of the archive", 1, &bad},
		{"failed", "20260101000000", 0, false, `{"id":"BNEW","status":"failed","reason":"no room"}`, "no room", 1, &bad},
	} {
		i := &imports{version: test.version, record: test.record, answer: taken}
		j, s := i.job(t)
		in := workflow.ImportInputs{Target: target, Limits: minute, File: "-"}
		if data := archive(t, test.cut); test.piped {
			j.Input = bytes.NewReader(data)
		} else {
			in.File = file(t, data)
		}
		_, err := workflow.ImportBuild(t.Context(), j, in)
		if (err == nil) != (test.wrong == "") || err != nil && (!strings.Contains(err.Error(), test.wrong) || !errors.As(err, test.kind)) || len(i.whole) != test.sent {
			t.Errorf("%s: %d sent, %v", test.name, len(i.whole), err)
		}
		if test.sent == 1 && !bytes.Equal(i.whole[0], archive(t, 0)) {
			t.Errorf("%s: the rack got %d bytes", test.name, len(i.whole[0]))
		}
		if err == nil {
			s.has(t, map[string]string{"build": "BNEW", "release": "RNEW"})
		}
	}
}

// TestImportOfAPipe: it is sent once, and a file again where the rack took
// nothing.
func TestImportOfAPipe(t *testing.T) {
	for _, piped := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			i := &imports{version: "20260101000000", record: complete, answer: func(n int) (int, string) {
				if n == 1 {
					return http.StatusTooManyRequests, ""
				}
				return 200, complete
			}}
			j, _ := i.job(t)
			in := workflow.ImportInputs{Target: target, Limits: minute, File: "-"}
			if j.Input = bytes.NewReader(archive(t, 0)); !piped {
				in.File = file(t, archive(t, 0))
			}
			_, err := workflow.ImportBuild(t.Context(), j, in)
			if piped != (err != nil) || piped && !strings.Contains(err.Error(), "cannot be sent a second time") || len(i.whole) != map[bool]int{true: 1, false: 2}[piped] {
				t.Errorf("piped %v: %d sent, %v", piped, len(i.whole), err)
			}
		})
	}
	j, _ := (&imports{}).job(t)
	if _, err := workflow.ImportBuild(t.Context(), j, workflow.ImportInputs{Target: target, File: "-"}); err == nil || !strings.Contains(err.Error(), "into which nothing is piped") {
		t.Error(err)
	}
}

// TestImportOfASilentPipe: it is waited for as long as the limit says.
func TestImportOfASilentPipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, _ := (&imports{version: "20260101000000"}).job(t)
		silent, end := io.Pipe()
		defer end.Close()
		j.Input = silent
		var late *workflow.TimeoutError
		if _, err := workflow.ImportBuild(t.Context(), j, workflow.ImportInputs{Target: target, Limits: minute, File: "-"}); !errors.As(err, &late) {
			t.Errorf("it ended in %v", err)
		}
	})
}

// TestCopyFromARackThatFails: its fault is told as it is, and not taken for a
// lost answer of the rack that the build goes to.
func TestCopyFromARackThatFails(t *testing.T) {
	for status, kind := range map[int]error{504: rack.ErrUnavailable, 404: rack.ErrNotFound, 403: rack.ErrForbidden} {
		synctest.Test(t, func(t *testing.T) {
			from := &imports{export: func(int) (int, string) { return status, "no such build" }}
			to := &imports{version: "20260101000000", record: complete, answer: taken}
			j, _ := from.job(t)
			other, s := to.job(t)
			in := workflow.CopyInputs{BuildInput: workflow.BuildInput{Target: target, Build: "B"}, ToApp: "web", Limits: workflow.Limits{Timeout: time.Hour}}
			_, err := workflow.CopyBuild(t.Context(), j, other, in)
			var lost *rack.LostError
			if !errors.Is(err, kind) || errors.As(err, &lost) || len(to.whole) > 0 || strings.Contains(s.String(), "lost") {
				t.Errorf("%d: %v\n%s", status, err, s)
			}
		})
	}
}

// TestCopy: the archive arrives as it was.
func TestCopy(t *testing.T) {
	from := &imports{export: func(int) (int, string) { return 200, string(archive(t, 0)) }}
	to := &imports{version: "20260101000000", record: complete, answer: taken}
	j, _ := from.job(t)
	other, s := to.job(t)
	in := workflow.CopyInputs{BuildInput: workflow.BuildInput{Target: target, Build: "B"}, ToApp: "web", Limits: minute}
	if _, err := workflow.CopyBuild(t.Context(), j, other, in); err != nil || len(to.whole) != 1 || !bytes.Equal(to.whole[0], archive(t, 0)) {
		t.Errorf("%d sent, %v", len(to.whole), err)
	}
	s.has(t, map[string]string{"build": "BNEW", "release": "RNEW"})
	from.export = func(int) (int, string) { return 200, string(archive(t, 20)) + "ERROR: no such image\n" }
	if _, err := workflow.CopyBuild(t.Context(), j, other, in); !errors.As(err, new(*rack.ArchiveError)) || len(to.whole) != 1 {
		t.Errorf("%d sent, %v", len(to.whole), err)
	}
}

// TestExport: a file is there when it is whole, and what was there before stays
// until then.
func TestExport(t *testing.T) {
	for cut, wrong := range map[int]bool{0: false, 7: true} {
		i := &imports{export: func(int) (int, string) { return 200, string(archive(t, cut)) }}
		j, s := i.job(t)
		path := file(t, []byte("before"))
		in := workflow.ExportInputs{BuildInput: workflow.BuildInput{Target: target, Build: "B"}, File: path, Limits: minute}
		err := workflow.ExportBuild(t.Context(), j, in, io.Discard)
		data, _ := os.ReadFile(string(path))
		around, _ := os.ReadDir(filepath.Dir(string(path)))
		if (err != nil) != wrong || len(around) != 1 || wrong != (string(data) == "before") || !wrong && !bytes.Equal(data, archive(t, 0)) {
			t.Errorf("cut by %d: %v, %d bytes, %d files", cut, err, len(data), len(around))
		}
		if wrong == strings.Contains(s.String(), "Exported") {
			t.Errorf("cut by %d: said\n%s", cut, s)
		}
		var out bytes.Buffer
		in.File = "-"
		if err := workflow.ExportBuild(t.Context(), j, in, &out); (err != nil) != wrong || !bytes.Equal(out.Bytes(), archive(t, cut)) {
			t.Errorf("cut by %d: %v, %d bytes", cut, err, out.Len())
		}
		in.File = options.Path(filepath.Join(t.TempDir(), "none", "build.tgz"))
		if err := workflow.ExportBuild(t.Context(), j, in, io.Discard); !errors.As(err, new(*options.Error)) {
			t.Error(err)
		}
	}
}

// TestCopyInputs: where to copy to, and what is refused.
func TestCopyInputs(t *testing.T) {
	prod := workflow.Connection{Rack: "prod", Password: "key-of-prod", Host: "console.example"}
	direct := workflow.Connection{RackURL: "https://convox:key@one.example"}
	local := workflow.Connection{Rack: "local"}
	other := options.Secret("https://convox:key@two.example")
	for _, test := range []struct {
		name  string
		from  workflow.Connection
		in    workflow.CopyInputs
		to    workflow.Connection
		same  bool
		wrong string
	}{
		{"nowhere", prod, workflow.CopyInputs{}, prod, true, "to-app"},
		{"an app", prod, workflow.CopyInputs{ToApp: "web"}, prod, true, ""},
		{"no app", prod, workflow.CopyInputs{ToApp: "a/b"}, prod, true, "to-app"},
		{"a rack", prod, workflow.CopyInputs{ToRack: "stage"}, workflow.Connection{Rack: "stage", Password: prod.Password, Host: prod.Host}, false, ""},
		{"the same rack", prod, workflow.CopyInputs{ToRack: "prod", ToApp: "web"}, prod, true, ""},
		{"the same name elsewhere", prod, workflow.CopyInputs{ToApp: "web", ToHost: "two.example", ToPassword: "k"}, workflow.Connection{Rack: "prod", Password: "k", Host: "two.example"}, false, ""},
		{"a URL", prod, workflow.CopyInputs{ToRackURL: other}, workflow.Connection{RackURL: other}, false, ""},
		{"a URL and a host", prod, workflow.CopyInputs{ToRackURL: other, ToHost: "x"}, workflow.Connection{RackURL: other}, false, "to-rack-url"},
		{"from a URL to a console", direct, workflow.CopyInputs{ToRack: "prod", ToPassword: "k"}, workflow.Connection{Rack: "prod", Password: "k"}, false, ""},
		{"without a key", direct, workflow.CopyInputs{ToRack: "prod"}, workflow.Connection{Rack: "prod"}, false, "to-password"},
		{"a host for nothing", direct, workflow.CopyInputs{ToApp: "web", ToHost: "x"}, workflow.Connection{RackURL: direct.RackURL, Host: "x"}, false, "to-rack"},
		{"local", local, workflow.CopyInputs{ToApp: "web"}, local, true, ""},
		{"local and a host", local, workflow.CopyInputs{ToApp: "web", ToHost: "x"}, workflow.Connection{Rack: "local", Host: "x"}, false, "to-rack"},
		{"to local", prod, workflow.CopyInputs{ToRack: "local"}, workflow.Connection{Rack: "local", Password: prod.Password, Host: prod.Host}, false, "to-rack"},
		{"local to a URL", local, workflow.CopyInputs{ToRackURL: other}, workflow.Connection{RackURL: other}, false, ""},
	} {
		in := test.in
		in.Target, in.Build = workflow.Target{Connection: test.from, App: "shop"}, "B"
		if got := in.To().Connection; got != test.to || in.SameRack() != test.same {
			t.Errorf("%s: to %+v, the same: %v", test.name, got, in.SameRack())
		}
		err := in.Check(nothing)
		if (err == nil) != (test.wrong == "") || err != nil && !strings.Contains(err.Error(), test.wrong) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}
