package rackd_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/wire"
)

// runs tells whether a recording is about processes.
func runs(r wire.Recording) bool {
	_, what, _ := strings.Cut(r.Name, "-")
	what, _, _ = strings.Cut(what, "-")
	return slices.Contains([]string{"run", "ps", "exec", "cp"}, what)
}

// seedProcesses makes what ran on the recorded racks: two processes of web and
// one of worker, here containers that wait.
func (s *session) seedProcesses() {
	s.Helper()
	for _, ref := range []string{"web.BSEEDBUILDA", "worker.BSEEDBUILDA", "web.BOLDBUILDAA"} {
		s.pushShell("myapp:"+ref, v1.Config{Env: []string{"PATH=/bin"}})
	}
	names := []string{"0123456789ab", "123456789abc", "23456789abcd"}
	if s.Server == "v3" {
		names = []string{"web-6c9f7d5b8c-aaaaa", "web-6c9f7d5b8c-bbbbb", "worker-5d4c7b9f6d-ccccc"}
	}
	if strings.HasPrefix(s.Argv[1], "run") {
		return // they are not looked at
	}
	for i, name := range slices.Backward(names) { // a list has the latest first
		service := "web"
		if i == 2 {
			service = "worker"
		}
		h := map[string][]string{"Command": {"sleep 3600"}}
		s.ids[name] = decode[rack.Process](s.machine, s.do("POST", "/apps/myapp/services/"+service+"/processes", h, nil)).ID
	}
}

// seedFile puts the file of a recording that copies one from a process into ours.
func (s *session) seedFile(e wire.Exchange) {
	s.Helper()
	to := s.mapped(strings.TrimSuffix(e.Path, "?"))
	s.want("file to copy", s.do("POST", to, nil, bytes.NewReader(plainArchive(s.T, e.Tar))), 200, "ok\n")
}

// compareFiles wants an answer to have the recorded files.
func (s *session) compareFiles(what string, e wire.Exchange, got answer) {
	s.Helper()
	if kind := got.header.Get("Content-Type"); got.status != e.Status || kind != e.ResponseHeaders["Content-Type"] {
		s.Fatalf("%s: %d, %s: %s", what, got.status, kind, got.body)
	}
	h, err := tar.NewReader(strings.NewReader(got.body)).Next()
	s.must(err)
	if want := e.Tar[0]; h.Name != want.Name || h.Typeflag != want.Type[0] || h.Size != want.Size || fmt.Sprintf("%o", h.Mode) != want.Mode {
		s.Errorf("%s: got %+v, recorded was %+v", what, h, want)
	}
}

// plainArchive is a tar with entries like the recorded ones.
func plainArchive(t *testing.T, entries []wire.Entry) []byte {
	t.Helper()
	f, err := gzip.NewReader(bytes.NewReader(archive(t, entries)))
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// command sends what a client sent to a command in a process, and compares what
// comes: all output in one, and each message after it.
func (s *session) command(what string, e wire.Exchange) {
	s.Helper()
	conn := s.socket(s.mapped(e.Target()), s.header(e))
	said := []string{""}
	for _, f := range e.Frames {
		switch {
		case f.Dir == "client" && f.Type == "text":
			s.must(conn.Write(s.Context(), websocket.MessageText, []byte(f.Payload)))
		case f.Dir == "client" && f.Type == "binary":
			s.must(conn.Write(s.Context(), websocket.MessageBinary, []byte(f.Payload)))
		case f.Dir == "server" && f.Type == "text" && (strings.HasPrefix(f.Payload, rack.ExitPrefix) || strings.HasPrefix(f.Payload, "ERROR: ")):
			said = append(said, f.Payload)
		case f.Dir == "server" && f.Type == "text":
			said[0] += f.Payload
		}
	}
	got := s.ending(conn)
	if last := said[len(said)-1]; strings.HasPrefix(last, "ERROR: ") {
		// A v2 rack tells no status, a v3 rack 0: clients take both for success.
		said = []string{"", rack.ExitPrefix + "126\n", last}
		if s.Server == "v3" && len(got) == 3 && strings.HasPrefix(got[2], "ERROR: ") {
			said[2] = got[2] // in other words
		}
	}
	if strings.HasPrefix(e.Headers["Command"], "exit ") {
		said[0] = "" // the recorded rack spoke where a shell is silent
	}
	s.wantMessages(what, got, said)
}
