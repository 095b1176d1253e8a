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
	"flag"
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

// killSeed repeats a run of [TestKilledRackLosesNothing].
var killSeed = flag.Uint64("kill-seed", 0, "seed of the points at which racks are killed (default: another one each time)")

// TestKilledRackLosesNothing kills a rack again and again while clients change
// things on it and builds run. What it has answered must be there afterwards, and
// nothing may still be under way. It is spoken to over TLS, with its own
// certificate.
func TestKilledRackLosesNothing(t *testing.T) {
	const rounds = 20
	data := t.TempDir()
	t.Cleanup(func() {
		if err := removeLeftovers(data); err != nil {
			t.Error(err)
		}
	})
	seedRelease(t, data)
	seed := *killSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("repeat this with -kill-seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	known := newAcknowledged(countingSource(t, 30))
	printed := ""
	for range rounds {
		r := serveKillable(t, data, "--tls-self-signed")
		if printed != "" && r.fingerprint != printed {
			t.Errorf("the certificate was not kept: %s, then %s", printed, r.fingerprint)
		}
		printed = r.fingerprint
		known.check(t, r)
		if t.Failed() {
			t.FailNow()
		}
		known.round(t, r, chance)
	}
	r := serveKillable(t, data, "--tls-self-signed")
	known.check(t, r)
	if left, err := leftovers(data); err != nil || len(left) > 0 {
		t.Errorf("containers of builds are left: %q, %v", left, err)
	}
	known.enough = func(bool) {}
	if err := known.build(t, r, "last"); err != nil {
		t.Errorf("it does not build any more: %v", err)
	}
	r.kill()
	<-r.gone
	if known.cut == 0 || len(known.releases) < rounds/2 || len(known.apps) < rounds/2 || known.set < rounds/2 {
		t.Errorf("too little was done: %d builds complete and %d cut off, %d releases, %d apps, %d times parameters",
			known.complete, known.cut, len(known.releases), len(known.apps), known.set)
	}
	t.Logf("%d builds complete and %d cut off, %d releases, %d apps, %d times parameters", known.complete, known.cut, len(known.releases), len(known.apps), known.set)
}

// round lets clients change things until the rack is killed, at a point of one of
// two kinds: so many answers, or so much of the logs of builds. The second are in
// the middle of what takes longest.
func (a *acknowledged) round(t *testing.T, r *killable, chance *rand.Rand) {
	// A build tells its log in a dozen pieces; of all else, each client does a few
	// things, or there would be so much of it that nothing else gets done.
	const each, answers, logs = 6, 20, 16
	left := map[bool]int{false: 1 + chance.IntN(answers), true: 1 + chance.IntN(logs)}
	kind := chance.IntN(3) > 0
	a.enough = func(log bool) {
		if left[log]--; log == kind && left[log] == 0 {
			r.kill()
		}
	}
	n := a.rounds
	a.rounds++
	var all sync.WaitGroup
	for i, change := range []func(*testing.T, *killable, string) error{a.build, a.release, a.app, a.parameters} {
		all.Go(func() {
			for k := 0; i == 0 || k < each; k++ {
				if change(t, r, fmt.Sprintf("c%d-%d-%d", n, i, k)) != nil {
					return // it was killed
				}
			}
		})
	}
	all.Wait()
	<-r.gone
}

// seededBuild is a build that was complete before the first rack ran.
const seededBuild = "BAAAAAAAAAA"

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
		s.SwapBuild(ctx, rack.Build{}, rack.Build{ID: seededBuild, App: "web", Status: rack.BuildComplete, Manifest: text, Release: "RAAAAAAAAAA", Started: at, Ended: at}),
		s.AddRelease(ctx, rack.Release{ID: "RAAAAAAAAAA", App: "web", Build: seededBuild, Manifest: text, Created: at}),
		s.Close(),
	)
	if err != nil {
		t.Fatal(err)
	}
}

// killable is a rack in a process of its own.
type killable struct {
	url, fingerprint string
	registry         string // its host
	process          int    // its id
	http             *http.Client
	kill             func()
	gone             chan struct{} // closed when the process has ended
}

var readyAt = regexp.MustCompile(`(?s)(?:TLS: +SHA-256 (\S+)\n.*)?RACK_URL=(https?://)convox:PASSWORD@(\S+)\nReady\n$`)

var registryAt = regexp.MustCompile(`(?m)^Registry: +(\S+)$`)

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
	if registry := registryAt.FindStringSubmatch(said); registry != nil {
		r.registry = registry[1]
	}
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
