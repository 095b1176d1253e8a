package orb_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

// serveRack starts a rack with the key as its password and an app, and sets RACK_URL.
func serveRack(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: rack APP")
	}
	cmd := exec.Command(filepath.Join(ts.Getenv("BIN"), "convox-ci"), "rack", "serve", "--listen", "127.0.0.1:0", "--registry-listen", "127.0.0.1:0")
	for _, name := range []string{"PATH", "HOME", "DOCKER_HOST"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	cmd.Env = append(cmd.Env, "CONVOX_DATA="+ts.Getenv("DATA"), "CONVOX_PASSWORD="+key)
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	cmd.Stderr = cmd.Stdout
	ts.Check(cmd.Start())
	lines := bufio.NewScanner(out)
	said, address, isReady := "", "", false
	for !isReady && lines.Scan() {
		said += lines.Text() + "\n"
		if _, u, ok := strings.Cut(lines.Text(), "RACK_URL="); ok {
			address = u
		}
		isReady = lines.Text() == "Ready"
	}
	drained := make(chan struct{})
	go func() {
		io.Copy(io.Discard, out)
		close(drained)
	}()
	s := storyOf(ts)
	s.ended = append(s.ended, func() {
		cmd.Process.Signal(syscall.SIGTERM)
		<-drained
		cmd.Wait()
	})
	if !isReady {
		ts.Fatalf("the rack does not begin:\n%s", said)
	}
	u, err := url.Parse(strings.Replace(address, "PASSWORD", "x", 1))
	ts.Check(err)
	u.User = url.UserPassword("convox", key)
	ts.Setenv("RACK_HOST", u.Host)
	ts.Setenv("RACK_URL", u.String())
	res, err := http.PostForm(u.JoinPath("apps").String(), url.Values{"name": args})
	ts.Check(err)
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		ts.Fatalf("making the app: %s", res.Status)
	}
}

// console puts an HTTPS server before the rack, through which it is a rack behind a
// console. It sets CONSOLE, and CONVOX_CA_FILE.
func console(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: console")
	}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: ts.Getenv("RACK_HOST")})
	proxy.ErrorLog = log.New(io.Discard, "", 0) // clients leave, on purpose
	server := httptest.NewTLSServer(proxy)
	s := storyOf(ts)
	s.ended = append(s.ended, server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	ts.Check(os.WriteFile(ts.MkAbs("ca.pem"), ca, 0o644))
	ts.Setenv("CONVOX_CA_FILE", ts.MkAbs("ca.pem"))
	ts.Setenv("CONSOLE", server.Listener.Addr().String())
}

// release publishes a program as a release of a version, on a server of its own,
// and sets MIRROR to its URL and SHA256 to the program's.
func release(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: released VERSION PROGRAM")
	}
	dir := ts.MkAbs("releases/v" + args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	data := []byte(ts.ReadFile(args[1]))
	sum := fmt.Sprintf("%x", sha256.Sum256(data))
	checksums := ""
	for _, artefact := range []string{"linux_amd64", "linux_arm64", "darwin_amd64", "darwin_arm64"} {
		ts.Check(os.WriteFile(filepath.Join(dir, "convox-ci_"+artefact), data, 0o644))
		checksums += sum + "  convox-ci_" + artefact + "\n"
	}
	ts.Check(os.WriteFile(filepath.Join(dir, "checksums.txt"), []byte(checksums), 0o644))
	ts.Setenv("SHA256", sum)
	if ts.Getenv("MIRROR") == "" {
		server := httptest.NewServer(http.FileServer(http.Dir(filepath.Dir(dir))))
		s := storyOf(ts)
		s.ended = append(s.ended, server.Close)
		ts.Setenv("MIRROR", server.URL)
	}
}

// written makes the orb of a story that of a release, with the checksums of what was
// released before:
//
//	written VERSION
func written(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: written VERSION")
	}
	root, src := filepath.Join(ts.Getenv("SCRIPTS"), "..", "..", ".."), ts.MkAbs("repository/orb/src")
	ts.Check(os.CopyFS(src, os.DirFS(filepath.Join(root, "orb", "src"))))
	ts.Check(os.CopyFS(ts.MkAbs("repository/scripts"), os.DirFS(filepath.Join(root, "scripts"))))
	out, err := exec.Command(ts.MkAbs("repository/scripts/release-orb"), args[0], ts.MkAbs("releases/"+args[0])).CombinedOutput()
	if err != nil {
		ts.Fatalf("release-orb: %v\n%s", err, out)
	}
	orb, err := pack(os.DirFS(src))
	ts.Check(err)
	storyOf(ts).orb = orb
}
