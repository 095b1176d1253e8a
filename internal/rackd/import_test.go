package rackd_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
)

const twoServices = "services:\n  one:\n    build: .\n  two-a:\n    build: .\n"

// built is a build of two services in the store, with its images and its log.
func built(m *machine, s *images, id string) rack.Build {
	m.Helper()
	ctx := m.Context()
	rel := rack.Release{ID: "R" + id[1:], App: "web", Build: id, Manifest: twoServices, Created: time.Now().UTC()}
	m.must(m.stores.Releases.AddRelease(ctx, rel))
	b := rack.Build{ID: id, App: "web", Description: "the <first> one", GitSHA: "0123", Manifest: twoServices, Release: rel.ID,
		Logs: "object://web/build/" + id + "/logs", Status: rack.BuildComplete, Started: time.Now().UTC(), Ended: time.Now().UTC()}
	m.must(m.stores.Builds.SwapBuild(ctx, rack.Build{}, b))
	m.must(m.stores.Objects.PutObject(ctx, "web", "build/"+id+"/logs", strings.NewReader("Building: .\nü\n")))
	s.push("web:one." + id)
	s.push("web:two-a." + id)
	return b
}

func (m *machine) bring(app string, archive []byte) answer {
	m.Helper()
	return m.do("POST", "/apps/"+app+"/builds/import", nil, bytes.NewReader(archive))
}

// TestExportIntoImport carries a build to another rack: nothing is lost that is
// not meant to be.
func TestExportIntoImport(t *testing.T) {
	from, to := store(t), store(t)
	a, b := start(t, from.use), start(t, to.use)
	b.addApp("other")
	was := built(a, from, "BAAAAAAAAAA")
	b.post("/apps/other/releases", map[string][]string{"env": {"FOO=bar"}})
	archive := a.get("/apps/web/builds/BAAAAAAAAAA.tgz")
	if kind := archive.header.Get("Content-Type"); archive.status != 200 || kind != "application/x-gzip" {
		t.Fatalf("archive: %d, %s", archive.status, kind)
	}
	checked := rack.CheckArchive(strings.NewReader(archive.body))
	if layout, err := checked.Layout(); layout != rack.ArchiveV2 || err != nil {
		t.Errorf("layout is %q, %v", layout, err)
	}
	if _, err := io.Copy(io.Discard, checked); err != nil {
		t.Error(err)
	}
	if again := a.get("/apps/web/builds/BAAAAAAAAAA.tgz"); again.body != archive.body {
		t.Error("a second archive has other bytes")
	}
	got := decode[rack.Build](b, b.bring("other", []byte(archive.body)))
	if got.ID == was.ID || got.App != "other" || got.Status != rack.BuildComplete || got.Description != was.Description ||
		got.Manifest != was.Manifest || got.Release == "" || got.GitSHA != "" || got.Started.IsZero() || got.Ended.Before(got.Started) {
		t.Errorf("build is %+v", got)
	}
	for _, service := range []string{"one", "two-a"} {
		if here, there := to.digest("other:"+service+"."+got.ID), from.digest("web:"+service+"."+was.ID); here != there || here == "" {
			t.Errorf("image of %s is %q, was %q", service, here, there)
		}
	}
	if log := b.rest(b.socket("/apps/other/builds/"+got.ID+"/logs", nil)); log != "Building: .\nü\n" {
		t.Errorf("log is %q", log)
	}
	rel := decode[rack.Release](b, b.get("/apps/other/releases/"+got.Release))
	if rel.Build != got.ID || rel.Env != "FOO=bar" || rel.Manifest != was.Manifest {
		t.Errorf("release is %+v", rel)
	}
	b.want("promote", b.post("/apps/other/releases/"+rel.ID+"/promote", nil), 200, "ok\n")
	second := decode[rack.Build](b, b.bring("other", []byte(b.get("/apps/other/builds/"+got.ID+".tgz").body)))
	if d := to.digest("other:one." + second.ID); d != from.digest("web:one."+was.ID) {
		t.Errorf("the image is another one after the second import: %s", d)
	}
	cleared(b)
}

// cleared fails unless nothing is left of what was spooled.
func cleared(m *machine) {
	m.Helper()
	left, err := filepath.Glob(filepath.Join(m.dir, "spool", "work", "*"))
	logs, failed := filepath.Glob(filepath.Join(m.dir, "spool", "log[0-9]*"))
	if err != nil || failed != nil || len(left)+len(logs) != 0 {
		m.Errorf("left behind: %v %v, %v %v", left, logs, err, failed)
	}
}

func TestExportFaults(t *testing.T) {
	s := store(t)
	m := start(t, s.use)
	ctx := t.Context()
	m.want("no such build", m.get("/apps/web/builds/BNONE.tgz"), 404, "build not found: BNONE\n")
	m.want("no such app", m.get("/apps/none/builds/BNONE.tgz"), 404, "app not found: none\n")
	m.must(m.stores.Builds.SwapBuild(ctx, rack.Build{}, rack.Build{ID: "BFAILED", App: "web", Status: rack.BuildFailed}))
	m.want("failed build", m.get("/apps/web/builds/BFAILED.tgz"), 500, "release id must not be empty\n")
	m.must(m.stores.Releases.AddRelease(ctx, rack.Release{ID: "REMPTY", App: "web", Build: "BEMPTY", Manifest: "services: {}\n"}))
	m.must(m.stores.Builds.SwapBuild(ctx, rack.Build{}, rack.Build{ID: "BEMPTY", App: "web", Release: "REMPTY", Status: rack.BuildComplete}))
	m.want("no services", m.get("/apps/web/builds/BEMPTY.tgz"), 500, "no services found to export\n")
	b := built(m, s, "BAAAAAAAAAA")
	m.must(os.RemoveAll(filepath.Join(s.dir, "docker/registry/v2/repositories/web/_manifests/tags/two-a."+b.ID)))
	if a := m.get("/apps/web/builds/" + b.ID + ".tgz"); a.status != 500 || !strings.Contains(a.body, "image convox/web:two-a.BAAAAAAAAAA: not found") {
		t.Errorf("missing image: %d %q", a.status, a.body)
	}
	if len(m.notices()) != 0 {
		t.Errorf("said %q", m.notices())
	}
}

// notices is what the rack says to who runs it.
func (m *machine) notices() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.said)
}

// TestExportBreaksOff: what goes wrong after the first byte is not to be taken
// for the end.
func TestExportBreaksOff(t *testing.T) {
	s := store(t)
	m := start(t, s.use)
	b := built(m, s, "BAAAAAAAAAA")
	blobs, err := filepath.Glob(filepath.Join(s.dir, "docker/registry/v2/blobs/sha256/*/*/data"))
	m.must(err)
	for _, blob := range blobs { // those that are not JSON are layers
		data, err := os.ReadFile(blob)
		m.must(err)
		if !json.Valid(data) {
			data[len(data)-1] ^= 1
			m.must(os.WriteFile(blob, data, 0o600))
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), "GET", m.url+"/apps/web/builds/"+b.ID+".tgz", nil)
	m.must(err)
	res, err := http.DefaultTransport.RoundTrip(r)
	if err == nil {
		_, err = io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		t.Errorf("the client sees %v", err)
	}
	if said := strings.Join(m.notices(), "\n"); !strings.Contains(said, "export of build BAAAAAAAAAA: ") {
		t.Errorf("said %q", said)
	}
}

// TestImportFaults: an archive that is not sound leaves nothing.
func TestImportFaults(t *testing.T) {
	s := store(t)
	m := start(t, s.use)
	record := piece{name: "build.json", data: []byte(`{"id":"BAAAAAAAAAA","app":"web"}`)}
	docker := func(names ...string) piece {
		return piece{name: "web.BAAAAAAAAAA.tar", data: dockerArchive(t, names...)}
	}
	good := zip(t, packed(t, record, docker("x:one.B", "x:two.B")))
	flipped := bytes.Clone(good)
	flipped[len(flipped)-6] ^= 1 // of the checksum
	for _, test := range []struct {
		name    string
		archive []byte
		want    string
	}{
		{"nothing", nil, "unexpected EOF"},
		{"no gzip", []byte("not a gzip\n"), "gzip: invalid header"},
		{"no tar", zip(t, bytes.Repeat([]byte("x"), 600)), "archive/tar: invalid tar header"},
		{"cut", good[:len(good)/2], "unexpected EOF"},
		{"cut in the checksum", good[:len(good)-1], "unexpected EOF"},
		{"another checksum", flipped, "gzip: invalid checksum"},
		{"no record", zip(t, packed(t, docker("x:one.B"))), "unable to locate build.json"},
		{"a record that is none", zip(t, packed(t, piece{name: "build.json", data: []byte("[]")}, docker("x:one.B"))), "build.json: json: cannot unmarshal"},
		{"a large record", zip(t, packed(t, piece{name: "build.json", data: make([]byte, 5<<20)})), "build.json is over the limit of 4194304 bytes"},
		{"no images", zip(t, packed(t, record)), "unable to locate manifest"},
		{"no manifest of images", zip(t, packed(t, record, piece{name: "a.tar", data: packed(t, record)})), "unable to locate manifest"},
		{"an empty manifest of images", zip(t, packed(t, record, docker())), "invalid image manifest: no data"},
		{"a port in a name", zip(t, packed(t, record, docker("localhost:5000/x:one.B"))), `image "localhost:5000/x:one.B" is of no service`},
		{"no service in a name", zip(t, packed(t, record, docker("x:one"))), `image "x:one" is of no service`},
		{"many entries", zip(t, packed(t, slices.Repeat([]piece{{name: "x"}}, 1001)...)), "archive is over the limit of 1000 entries"},
	} {
		if a := m.bring("web", test.archive); a.status != 500 || !strings.HasPrefix(a.body, test.want) {
			t.Errorf("%s: %d %q, want %q", test.name, a.status, a.body, test.want)
		}
	}
	m.want("no such app", m.bring("none", good), 404, "app not found: none\n")
	body := io.MultiReader(bytes.NewReader(good[:len(good)/2]), iotest.ErrReader(errors.New("the client is gone")))
	ended := make(chan struct{}, 100)
	handler := m.server.Handler()
	m.serve(&http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(w, r)
		ended <- struct{}{}
	})})
	r, err := http.NewRequestWithContext(t.Context(), "POST", m.url+"/apps/web/builds/import", body)
	m.must(err)
	if res, err := http.DefaultTransport.RoundTrip(r); err == nil {
		res.Body.Close()
		t.Errorf("a client that is gone got %s", res.Status)
	}
	receive(m, ended)
	if bs, rs := decode[[]rack.Build](m, m.get("/apps/web/builds")), m.releases(); len(bs)+len(rs)+len(s.tags("web")) != 0 {
		t.Errorf("left behind: %v %v %v", bs, rs, s.tags("web"))
	}
	decode[rack.Build](m, m.bring("web", good)) // it was not the archive
	cleared(m)
}

// TestImportWithoutPush: what cannot be pushed is no build.
func TestImportWithoutPush(t *testing.T) {
	s := store(t)
	m := start(t, s.use, func(c *rackd.Config) { c.Registry = "127.0.0.1:1" })
	good := zip(t, packed(t, piece{name: "build.json", data: []byte("{}")}, piece{name: "a.tar", data: dockerArchive(t, "x:one.B")}))
	if a := m.bring("web", good); a.status != 500 || !strings.Contains(a.body, "127.0.0.1:1 does not answer") {
		t.Errorf("%d %q", a.status, a.body)
	}
	if bs := decode[[]rack.Build](m, m.get("/apps/web/builds")); len(bs) != 0 {
		t.Errorf("left behind: %v", bs)
	}
}

// TestImportOfAnotherRacksLog: without a log in the archive the record keeps
// where it was, unless that is in another app.
func TestImportOfAnotherRacksLog(t *testing.T) {
	s := store(t)
	m := start(t, s.use)
	for logs, want := range map[string]string{"object://web/build/B/logs": "object://web/build/B/logs", "object://other/secret": "", "https://x.test/": ""} {
		record, err := json.Marshal(rack.Build{Logs: logs})
		m.must(err)
		b := decode[rack.Build](m, m.bring("web", zip(t, packed(t, piece{name: "a.tar", data: dockerArchive(t, "x:one.B")}, piece{name: "build.json", data: record}))))
		if b.Logs != want {
			t.Errorf("%s became %q, want %q", logs, b.Logs, want)
		}
	}
}
