package rackd_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"github.com/convox-ci/convox-ci/internal/bake"
	"github.com/convox-ci/convox-ci/internal/image"
	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
	"github.com/convox-ci/convox-ci/internal/rackd/disk"
	"github.com/convox-ci/convox-ci/internal/source"
)

// machine is a rack under test: a real server over real stores on the disk,
// with a builder and a registry that only pretend.
type machine struct {
	*testing.T
	dir      string // of everything that is on the disk
	server   *rackd.Server
	stores   rackd.Stores
	engine   *engine
	registry *registry
	url      string
	host     string
	password string // that requests are sent with
	mu       sync.Mutex
	said     []string // notices
}

// engine is an [image.Builder] whose work is a function of the test.
type engine struct {
	work  func(ctx context.Context, s image.Spec, log io.Writer) error // nil writes a few lines
	mu    sync.Mutex
	specs []image.Spec
}

func (e *engine) Build(ctx context.Context, s image.Spec, log io.Writer) error {
	e.mu.Lock()
	e.specs = append(e.specs, s)
	e.mu.Unlock()
	if e.work != nil {
		return e.work(ctx, s, log)
	}
	_, err := io.WriteString(log, "#1 from scratch\n#2 done\n")
	return err
}

// registry is a [bake.Registry] that remembers what it was asked for.
type registry struct {
	fault  error  // of every push
	pushed func() // called at every push; nil for nothing
	mu     sync.Mutex
	refs   []string // that were pushed
}

func (r *registry) Pull(context.Context, string, string) error { return nil }

func (r *registry) Push(_ context.Context, _, ref string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refs = append(r.refs, ref)
	if r.pushed != nil {
		r.pushed()
	}
	return digest(ref), r.fault
}

func digest(ref string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(ref))) }

// start makes a rack with an app "web" over new data.
func start(t *testing.T, change ...func(*rackd.Config)) *machine {
	t.Helper()
	m := resume(t, t.TempDir(), change...)
	m.addApp("web")
	return m
}

// resume makes a rack over the data in dir.
func resume(t *testing.T, dir string, change ...func(*rackd.Config)) *machine {
	t.Helper()
	m := unserved(t, dir, change...)
	h := httptest.NewServer(m.server.Handler())
	m.url, m.host = h.URL, strings.TrimPrefix(h.URL, "http://")
	t.Cleanup(func() {
		m.server.Close() // first, for the server waits for its streams
		h.Close()
	})
	return m
}

// unserved is a rack that only [machine.direct] asks.
func unserved(t *testing.T, dir string, change ...func(*rackd.Config)) *machine {
	t.Helper()
	store, err := disk.Open(filepath.Join(dir, "data"), "the test")
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{T: t, dir: dir, engine: &engine{}, registry: &registry{}}
	m.stores = rackd.Stores{Apps: store, Builds: store, Releases: store, Objects: store, Parameters: store, Registries: store}
	c := rackd.Config{
		Name: "local", Stores: m.stores, Baker: &bake.Baker{Builder: m.engine, Registry: m.registry},
		Registry: "127.0.0.1:5000", Spool: filepath.Join(dir, "spool"),
		Notice: func(line string) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.said = append(m.said, line)
		},
	}
	for _, f := range change {
		f(&c)
	}
	m.password = c.Password
	if m.server, err = rackd.New(t.Context(), c); err != nil {
		t.Fatal(errors.Join(err, store.Close()))
	}
	t.Cleanup(func() {
		m.server.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// serve puts another server in the place of the machine's.
func (m *machine) serve(h *http.Server) {
	m.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	m.must(err)
	go h.Serve(l)
	m.Cleanup(func() { h.Close() })
	m.host = l.Addr().String()
	m.url = "http://" + m.host
}

// killed makes a rack over what is on the disk of another one at this moment,
// as if its process had been killed and started again.
func (m *machine) killed() *machine {
	m.Helper()
	dir := m.TempDir()
	m.copyTo(dir, ".")
	return resume(m.T, dir)
}

// copyTo copies what is below a part of the machine's directory to the same part
// of another, as it is on the disk at this moment.
func (m *machine) copyTo(dir, part string) {
	m.Helper()
	m.must(os.CopyFS(filepath.Join(dir, part), os.DirFS(filepath.Join(m.dir, part))))
	m.must(os.Chmod(filepath.Join(dir, "data", "key"), 0o600)) // a copy has the modes of any new file
}

func (m *machine) must(err error) {
	m.Helper()
	if err != nil {
		m.Fatal(err)
	}
}

func (m *machine) addApp(name string) {
	m.Helper()
	a := rack.App{Generation: "2", Name: name, Status: rack.AppRunning}
	m.must(m.stores.Apps.SwapApp(m.Context(), rack.App{}, a))
}

// answer is what the rack said to a request.
type answer struct {
	status int
	header http.Header
	body   string
}

// do sends a request. The target may have a query.
func (m *machine) do(method, target string, header http.Header, body io.Reader) answer {
	m.Helper()
	r, err := http.NewRequestWithContext(m.Context(), method, m.url, body)
	m.must(err)
	r.URL, err = url.Parse(m.url + target)
	m.must(err)
	r.SetBasicAuth("convox", m.password)
	maps.Copy(r.Header, header)
	resp, err := http.DefaultTransport.RoundTrip(r)
	m.must(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	m.must(err)
	return answer{resp.StatusCode, resp.Header, string(text)}
}

// direct sends a request without a network.
func (m *machine) direct(method, target string, header http.Header) answer {
	m.Helper()
	r := httptest.NewRequestWithContext(m.Context(), method, target, nil)
	maps.Copy(r.Header, header)
	w := httptest.NewRecorder()
	m.server.Handler().ServeHTTP(w, r)
	return answer{w.Code, w.Header(), w.Body.String()}
}

func (m *machine) get(target string) answer {
	m.Helper()
	return m.do("GET", target, nil, nil)
}

func (m *machine) post(target string, form url.Values) answer {
	m.Helper()
	h := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	return m.do("POST", target, h, strings.NewReader(form.Encode()))
}

// want fails the test unless the answer is a text of that status.
func (m *machine) want(what string, a answer, status int, body string) {
	m.Helper()
	if a.status != status || a.body != body {
		m.Errorf("%s: %d %q, want %d %q", what, a.status, a.body, status, body)
	}
}

// decode reads an answer that must be JSON.
func decode[T any](m *machine, a answer) (v T) {
	m.Helper()
	if a.status != http.StatusOK || a.header.Get("Content-Type") != "application/json" {
		m.Fatalf("answer is %d, %s: %s", a.status, a.header.Get("Content-Type"), a.body)
	}
	m.must(json.Unmarshal([]byte(a.body), &v))
	return v
}

// socket opens a stream.
func (m *machine) socket(target string, header http.Header) *websocket.Conn {
	m.Helper()
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth("convox", m.password)
	maps.Copy(r.Header, header)
	conn, _, err := websocket.Dial(m.Context(), m.url+target, &websocket.DialOptions{HTTPHeader: r.Header})
	m.must(err)
	m.Cleanup(func() { conn.CloseNow() })
	return conn
}

// read takes one message, which must be text.
func (m *machine) read(conn *websocket.Conn) string {
	m.Helper()
	kind, p, err := conn.Read(m.Context())
	m.must(err)
	if kind != websocket.MessageText {
		m.Fatalf("message is %v %q", kind, p)
	}
	return string(p)
}

// rest takes all messages up to the end, which is one empty binary one.
func (m *machine) rest(conn *websocket.Conn) string {
	m.Helper()
	var text strings.Builder
	for {
		kind, p, err := conn.Read(m.Context())
		if err != nil {
			m.Fatalf("stream broke off after %q: %v", text.String(), err)
		}
		if kind == websocket.MessageBinary {
			if len(p) != 0 {
				m.Errorf("the end marker holds %q", p)
			}
			return text.String()
		}
		text.Write(p)
	}
}

// log is the whole log of a build of web. The build has ended when it returns.
func (m *machine) log(id string) string {
	m.Helper()
	return m.rest(m.socket("/apps/web/builds/"+id+"/logs", nil))
}

// files is a source: contents by name.
type files map[string]string

// plain is a source that builds.
var plain = files{"convox.yml": "services:\n  one:\n    build: .\n", "Dockerfile": "FROM scratch\nARG NAME\n"}

// upload packs a source, stores it, and returns its URL.
func (m *machine) upload(f files) string {
	m.Helper()
	return decode[rack.Object](m, m.do("POST", "/apps/web/objects/tmp/source.tgz", nil, m.pack(f))).URL
}

func (m *machine) pack(f files) *bytes.Buffer {
	m.Helper()
	dir := m.TempDir()
	for name, text := range f {
		m.must(os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		m.must(os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	var packed bytes.Buffer
	_, err := source.Pack(m.Context(), &packed, dir, source.Options{})
	m.must(err)
	return &packed
}

// create starts a build of web. The form may lack the URL of plain.
func (m *machine) create(form url.Values) rack.Build {
	m.Helper()
	if form == nil {
		form = url.Values{}
	}
	if !form.Has("url") {
		form.Set("url", m.upload(plain))
	}
	return decode[rack.Build](m, m.post("/apps/web/builds", form))
}

// build asks for a build of web.
func (m *machine) build(id string) rack.Build {
	m.Helper()
	return decode[rack.Build](m, m.get("/apps/web/builds/"+id))
}

func (m *machine) app() rack.App {
	m.Helper()
	return decode[rack.App](m, m.get("/apps/web"))
}

func (m *machine) releases() []rack.Release {
	m.Helper()
	return decode[[]rack.Release](m, m.get("/apps/web/releases"))
}

// receive waits for a channel, but not longer than for the test.
func receive[T any](m *machine, c <-chan T) (v T) {
	m.Helper()
	select {
	case v = <-c:
	case <-m.Context().Done():
		m.Fatal("nothing came")
	}
	return v
}
