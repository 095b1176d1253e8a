package app

import (
	"bufio"
	"bytes"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/convox-ci/convox-ci/internal/options"
	"github.com/convox-ci/convox-ci/internal/rackd"
)

// once is a listener of one connection.
type once struct {
	conn chan net.Conn
	end  chan struct{}
}

func (o *once) Accept() (net.Conn, error) {
	select {
	case c := <-o.conn:
		return c, nil
	case <-o.end:
		return nil, net.ErrClosed
	}
}

func (o *once) Close() error   { close(o.end); return nil }
func (o *once) Addr() net.Addr { return &net.TCPAddr{} }

// dialHardened is a connection to a server as racks have it.
func dialHardened(t *testing.T) net.Conn {
	ours, theirs := net.Pipe()
	l := &once{make(chan net.Conn, 1), make(chan struct{})}
	l.conn <- theirs
	s := hardened(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "here") }))
	go s.Serve(l)
	t.Cleanup(func() { s.Close(); ours.Close() })
	return ours
}

// A client that sends the head of its request byte by byte, or nothing after a
// request, is let go of. The clock is that of the test.
func TestSlowHeadsAreCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dialHardened(t)
		go io.Copy(io.Discard, c) // the answer; a pipe keeps nothing
		begun := time.Now()
		head := "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: " + strings.Repeat("x", 1000)
		for i := range head {
			if _, err := io.WriteString(c, head[i:i+1]); err != nil {
				break
			}
			time.Sleep(time.Second)
		}
		if took := time.Since(begun); took < headerTimeout || took > headerTimeout+2*time.Second {
			t.Errorf("cut off after %v", took)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c := dialHardened(t)
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(c)
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		begun := time.Now()
		if _, err := r.ReadByte(); err == nil || time.Since(begun) != idleTimeout {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
	})
}

func TestHugeHeadsAreRefused(t *testing.T) {
	c := dialHardened(t)
	go io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nX-Huge: "+strings.Repeat("x", 1<<20)+"\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("%v, %v", res, err)
	}
}

// TestKeptCertificate: a certificate stays the same as long as it can.
func TestKeptCertificate(t *testing.T) {
	dir, at := t.TempDir(), time.Now()
	last := ""
	for _, step := range []struct {
		what  string
		names []string
		at    time.Time
		same  bool
	}{
		{"first", []string{"127.0.0.1", "localhost"}, at, false},
		{"again", []string{"127.0.0.1", "localhost"}, at.Add(time.Hour), true},
		{"fewer names", []string{"localhost"}, at, true},
		{"another name", []string{"localhost", "ci.example.org"}, at, false},
		{"near its end", []string{"localhost"}, at.Add(certificateLife - certificateRest), false},
	} {
		c, err := keptCertificate(dir, step.names, step.at)
		if err != nil {
			t.Fatal(err)
		}
		if same := fingerprint(c) == last; same != step.same {
			t.Errorf("%s: same certificate: %v", step.what, same)
		}
		last = fingerprint(c)
		leaf, err := x509.ParseCertificate(c.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		pool.AddCert(leaf)
		for _, name := range step.names {
			if _, err := leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: pool, CurrentTime: step.at}); err != nil {
				t.Errorf("%s: %v", step.what, err)
			}
		}
	}
	info, err := os.Stat(filepath.Join(dir, privateKeyFile))
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("key: %v, %v", info.Mode(), err)
	}
	if err := os.Remove(filepath.Join(dir, certificateFile)); err != nil { // as left by a process that was killed
		t.Fatal(err)
	}
	if c, err := keptCertificate(dir, []string{"localhost"}, at); err != nil || fingerprint(c) == last {
		t.Errorf("after its loss: %v", err)
	}
}

func TestNamesOf(t *testing.T) {
	for address, want := range map[string]string{"10.1.2.3:80": "10.1.2.3", "ci.example.org:80": "ci.example.org", "127.0.0.1:0": "127.0.0.1"} {
		if names := namesOf(address); !slices.Contains(names, want) || !slices.Contains(names, "localhost") {
			t.Errorf("%s: %v", address, names)
		}
	}
	host, err := os.Hostname()
	if names := namesOf(":5080"); err != nil || !slices.Contains(names, host) {
		t.Errorf("every address: %v, without %q", names, host)
	}
}

// TestAuditLog: a line for each change, over restarts, and never more than two
// files of a size.
func TestAuditLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	notice := func(line string) { t.Error(line) }
	for i := range 10 {
		a, err := openAudit(path, notice)
		if err != nil {
			t.Fatal(err)
		}
		a.max = 500
		a.note(rackd.Change{User: "password", Role: "rw", Path: "/apps\n" + strings.Repeat("x", i), Status: 200})
		if err := a.close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{path, path + ".1"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines := bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
		for _, line := range lines {
			var c rackd.Change
			if err := json.Unmarshal(line, &c); err != nil || c.User != "password" {
				t.Errorf("%s: %s: %v", file, line, err)
			}
		}
		if len(text) > 700 || len(lines) < 2 {
			t.Errorf("%s: %d bytes in %d lines", file, len(text), len(lines))
		}
	}
}

func TestServeInputs(t *testing.T) {
	for _, test := range []struct {
		in   ServeInputs
		want string // inputs that are at fault
	}{
		{ServeInputs{Listen: "127.0.0.1:5080"}, ""},
		{ServeInputs{Listen: "[::1]:5080"}, ""},
		{ServeInputs{Listen: "0.0.0.0:5080"}, "password"},
		{ServeInputs{Listen: ":5080", Registry: ":1"}, "password password"},
		{ServeInputs{Listen: "0.0.0.0:5080", Password: "x"}, ""},
		{ServeInputs{Listen: "127.0.0.1:1", Cert: "c"}, "tls-key"},
		{ServeInputs{Listen: "127.0.0.1:1", Key: "k"}, "tls-cert"},
		{ServeInputs{Listen: "127.0.0.1:1", Cert: "c", Key: "k"}, ""},
		{ServeInputs{Listen: "127.0.0.1:1", Cert: "c", Key: "k", TLS: true}, "tls-self-signed"},
	} {
		var got []string
		if err, ok := test.in.Check(nil).(*options.Error); ok {
			for _, p := range err.Problems {
				got = append(got, p.Input)
			}
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%+v: %v, want %s", test.in, got, test.want)
		}
	}
}
