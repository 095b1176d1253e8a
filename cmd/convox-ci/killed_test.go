package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd/disk"
)

// TestKilledRackLosesNothing kills a rack again and again while clients change
// things on it. What it has answered must be there afterwards, and nothing may
// still be under way. It is spoken to over TLS, with its own certificate.
func TestKilledRackLosesNothing(t *testing.T) {
	const rounds, longest = 4, 40
	data := t.TempDir()
	seedRelease(t, data)
	seed := uint64(time.Now().UnixNano())
	chance := rand.New(rand.NewPCG(seed, 0))
	known := &acknowledged{releases: map[string]string{}, apps: map[string]bool{"web": true}, builds: map[string]bool{}}
	printed := ""
	for round := range rounds {
		r := serveKillable(t, data, "--tls-self-signed")
		if printed != "" && r.fingerprint != printed {
			t.Errorf("the certificate was not kept: %s, then %s", printed, r.fingerprint)
		}
		printed = r.fingerprint
		known.check(t, r)
		if t.Failed() {
			t.Fatalf("round %d with seed %d", round, seed)
		}
		known.left = 3 + chance.IntN(longest)
		known.enough = r.kill
		var all sync.WaitGroup
		for i, change := range []func(*killable, string) error{known.release, known.app, known.build} {
			all.Go(func() {
				for n := 0; ; n++ {
					if change(r, fmt.Sprintf("c%d-%d-%d", round, i, n)) != nil {
						return // it was killed
					}
				}
			})
		}
		all.Wait()
		<-r.gone
	}
	r := serveKillable(t, data, "--tls-self-signed")
	known.check(t, r)
	r.kill()
	<-r.gone
	if len(known.releases) < rounds || len(known.apps) < rounds || len(known.builds) < rounds {
		t.Errorf("too little was done: %d releases, %d apps, %d builds", len(known.releases), len(known.apps), len(known.builds))
	}
}

// seedRelease makes an app with a release that can be promoted.
func seedRelease(t *testing.T, data string) {
	t.Helper()
	s, err := disk.Open(data, "the test")
	if err != nil {
		t.Fatal(err)
	}
	const text = "services:\n  web:\n    build: .\n"
	ctx, at := t.Context(), time.Now().UTC().Round(0)
	err = errors.Join(
		s.SwapApp(ctx, rack.App{}, rack.App{Generation: "2", Name: "web", Status: rack.AppRunning, Parameters: map[string]string{}}),
		s.SwapBuild(ctx, rack.Build{}, rack.Build{ID: "BAAAAAAAAAA", App: "web", Status: rack.BuildComplete, Manifest: text, Release: "RAAAAAAAAAA", Started: at, Ended: at}),
		s.AddRelease(ctx, rack.Release{ID: "RAAAAAAAAAA", App: "web", Build: "BAAAAAAAAAA", Manifest: text, Created: at}),
		s.Close(),
	)
	if err != nil {
		t.Fatal(err)
	}
}

// acknowledged is what a rack has said that it did.
type acknowledged struct {
	mu       sync.Mutex
	left     int // answers until it is killed
	enough   func()
	releases map[string]string // environments by id
	apps     map[string]bool
	builds   map[string]bool
	asked    string // to be promoted
	promoted string
}

// note takes note of an answer.
func (a *acknowledged) note(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
	if a.left--; a.left == 0 {
		a.enough()
	}
}

func (a *acknowledged) release(r *killable, name string) error {
	var got rack.Release
	if err := r.ask("POST", "/apps/web/releases", url.Values{"env": {"SECRET=" + name}}, &got); err != nil {
		return err
	}
	a.note(func() { a.releases[got.ID], a.asked = "SECRET="+name, got.ID })
	if err := r.ask("POST", "/apps/web/releases/"+got.ID+"/promote", nil, nil); err != nil {
		return err
	}
	a.note(func() { a.promoted = got.ID })
	return nil
}

func (a *acknowledged) app(r *killable, name string) error {
	err := r.ask("POST", "/apps", url.Values{"name": {name}}, nil)
	if err == nil {
		a.note(func() { a.apps[name] = true })
	}
	return err
}

// build starts a build of something that is no archive: it fails, or is killed.
func (a *acknowledged) build(r *killable, name string) error {
	if err := r.ask("POST", "/apps/web/objects/tmp/"+name, url.Values{"no": {"archive"}}, nil); err != nil {
		return err
	}
	var got rack.Build
	err := r.ask("POST", "/apps/web/builds", url.Values{"url": {"object://web/tmp/" + name}}, &got)
	if err == nil {
		a.note(func() { a.builds[got.ID] = true })
	}
	return err
}

// check compares what a rack has with what it said before it was killed.
func (a *acknowledged) check(t *testing.T, r *killable) {
	t.Helper()
	for id, env := range a.releases {
		var got rack.Release
		if err := r.ask("GET", "/apps/web/releases/"+id, nil, &got); err != nil || got.Env != env {
			t.Errorf("release %s: env %q, want %q (%v)", id, got.Env, env, err)
		}
	}
	for id := range a.builds {
		var got rack.Build
		if err := r.ask("GET", "/apps/web/builds/"+id, nil, &got); err != nil {
			t.Errorf("build %s is lost: %v", id, err)
		}
	}
	for name := range a.apps {
		var got rack.App
		if err := r.ask("GET", "/apps/"+name, nil, &got); err != nil || got.Status != rack.AppRunning {
			t.Errorf("app %s is %q (%v)", name, got.Status, err)
		}
		if name == "web" && got.Release != a.promoted && got.Release != a.asked {
			t.Errorf("the active release is %q, promoted was %q, and perhaps %q", got.Release, a.promoted, a.asked)
		}
	}
	var builds []rack.Build
	if err := r.ask("GET", "/apps/web/builds?limit=100000", nil, &builds); err != nil {
		t.Error(err)
	}
	for _, b := range builds { // also of those that were never answered
		if !b.Final() {
			t.Errorf("build %s is %s for ever", b.ID, b.Status)
		}
	}
}

// killable is a rack in a process of its own.
type killable struct {
	url, fingerprint string
	process          int // its id
	http             *http.Client
	kill             func()
	gone             chan struct{} // closed when the process has ended
}

var readyAt = regexp.MustCompile(`(?s)(?:TLS: +SHA-256 (\S+)\n.*)?RACK_URL=(https?://)convox:PASSWORD@(\S+)\nReady\n$`)

// serveKillable starts a rack that builds with the embedded BuildKit.
func serveKillable(t *testing.T, data string, flags ...string) *killable {
	t.Helper()
	ctx, kill := context.WithCancel(context.Background())
	args := []string{"rack", "serve", "--data", data, "--listen", "127.0.0.1:0", "--registry-listen", "127.0.0.1:0"}
	cmd := exec.CommandContext(ctx, "convox-ci", append(args, flags...)...)
	home := t.TempDir()
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "CONVOX_PASSWORD=" + key, "DOCKER_HOST=unix://" + filepath.Join(home, "no-docker.sock")}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := &killable{process: cmd.Process.Pid, kill: kill, gone: make(chan struct{}), http: &http.Client{}}
	said, lines := "", bufio.NewReader(out)
	for !strings.HasSuffix(said, "\nReady\n") {
		line, err := lines.ReadString('\n')
		said += line
		if err != nil {
			kill()
			t.Fatalf("the rack did not start: %v\n%s", errors.Join(err, cmd.Wait()), said)
		}
	}
	go func() {
		defer close(r.gone)
		io.Copy(io.Discard, lines)
		cmd.Wait() // it was killed
	}()
	t.Cleanup(func() { kill(); <-r.gone })
	m := readyAt.FindStringSubmatch(said)
	if m == nil {
		t.Fatalf("the rack said %q", said)
	}
	r.url, r.fingerprint = m[2]+url.UserPassword("convox", key).String()+"@"+m[3], m[1]
	if m[1] != "" {
		r.http = trusting(t, filepath.Join(data, "certificate.pem"), m[1])
	}
	return r
}

// trusting is a client that trusts the certificate in a file, and nothing else.
func trusting(t *testing.T, file, fingerprint string) *http.Client {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatalf("%s holds no certificate", file)
	}
	if sum := fmt.Sprintf("%X", sha256.Sum256(block.Bytes)); sum != strings.ReplaceAll(fingerprint, ":", "") {
		t.Errorf("the fingerprint of the certificate is %s, printed was %s", sum, fingerprint)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// ask sends a request; into may be nil.
func (r *killable) ask(method, path string, form url.Values, into any) error {
	req, err := http.NewRequest(method, r.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := r.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s %s", method, path, res.Status, text)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}
