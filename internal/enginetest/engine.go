// Package enginetest starts Docker's engine for tests, and has what their images are made
// of. Both are the machine's own. Nothing but tests imports it.
package enginetest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long the engine may take to start, on a busy machine.
const patience = time.Minute

// Engine is Docker's, running: one of a test's own, away from one that the machine may
// have, with nothing in it. Its containers have the machine's network or none.
type Engine struct {
	// Address is where it listens: unix:// and the path of a socket.
	Address string

	dir string
	cmd *exec.Cmd
}

// Start starts an engine and waits until it is ready. The caller must close it. The
// error names the programs that are missing, and the Debian package that has them.
func Start() (*Engine, error) {
	for _, program := range []string{"dockerd", "docker"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, fmt.Errorf("%s is missing; on Debian and Ubuntu: apt-get install --no-install-recommends docker.io", program)
		}
	}
	dir, err := os.MkdirTemp("", "engine") // that of a test is too long for the names of sockets
	if err != nil {
		return nil, err
	}
	e := &Engine{Address: "unix://" + filepath.Join(dir, "sock"), dir: dir}
	if err := e.start(); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// For starts an engine for a test, which ends with it. If the test has failed, what the
// engine said is told.
func For(t testing.TB) *Engine {
	t.Helper()
	e, err := Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(e.Log())
		}
		e.Close()
	})
	return e
}

// start runs dockerd until its word to the service manager that it is ready.
func (e *Engine) start() error {
	notify := filepath.Join(e.dir, "notify")
	ready, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: notify, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer ready.Close()
	log, err := os.Create(filepath.Join(e.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command("dockerd", "-H", e.Address, "--data-root", filepath.Join(e.dir, "data"), "--exec-root", filepath.Join(e.dir, "exec"),
		"--pidfile", filepath.Join(e.dir, "pid"), "--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false")
	cmd.Env = append(cmd.Environ(), "NOTIFY_SOCKET="+notify)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	e.cmd = cmd
	ready.SetReadDeadline(time.Now().Add(patience))
	for word := make([]byte, 1<<10); ; {
		n, err := ready.Read(word)
		if err != nil {
			return fmt.Errorf("dockerd is not ready: %w\n%s", err, e.Log())
		}
		if strings.Contains(string(word[:n]), "READY=1") {
			return nil
		}
	}
}

// Close ends the engine with all that runs in it, and removes its data.
func (e *Engine) Close() error {
	if e.cmd != nil {
		e.cmd.Process.Signal(syscall.SIGTERM)
		e.cmd.Wait()
	}
	exec.Command("umount", filepath.Join(e.dir, "exec/netns/default")).Run() // there if a container had the machine's network; dockerd leaves it mounted
	return os.RemoveAll(e.dir)
}

// Log is what the engine has said so far, empty once it is closed.
func (e *Engine) Log() string {
	said, _ := os.ReadFile(filepath.Join(e.dir, "log"))
	return string(said)
}

// Env are the variables with which the docker command works on this engine: builds
// are those of the builder in it, and nobody is logged in anywhere.
func (e *Engine) Env() []string {
	return []string{"DOCKER_HOST=" + e.Address, "DOCKER_BUILDKIT=0", "DOCKER_CONFIG=" + filepath.Join(e.dir, "config")}
}

// Command is a call of the docker command on this engine.
func (e *Engine) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Env = append(cmd.Environ(), e.Env()...)
	return cmd
}

// Client is one for the engine's API, as the docker command asks it: whatever host a
// request names, it goes to the socket. The caller closes its idle connections.
func (e *Engine) Client() *http.Client {
	socket := strings.TrimPrefix(e.Address, "unix://")
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
}

// Images are the names of the images in the engine, and the digests of those that
// have none.
func (e *Engine) Images() (names []string, err error) {
	var images []struct {
		ID       string `json:"Id"`
		RepoTags []string
	}
	if err := e.ask("/images/json?all=1", &images); err != nil {
		return nil, err
	}
	for _, i := range images {
		names = append(names, cmp.Or(strings.Join(i.RepoTags, " "), i.ID))
	}
	return names, nil
}

// OnContainerd tells whether the engine keeps images in containerd's store, as those of
// Docker 29 do; older ones have one of their own.
func (e *Engine) OnContainerd() (bool, error) {
	var info struct{ DriverStatus [][]string }
	err := e.ask("/info", &info)
	return strings.Contains(fmt.Sprint(info.DriverStatus), "[driver-type io.containerd.snapshotter.v1]"), err
}

// ask reads what the engine's API has at a path.
func (e *Engine) ask(path string, answer any) error {
	c := e.Client()
	defer c.CloseIdleConnections()
	res, err := c.Get("http://docker" + path)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return json.NewDecoder(res.Body).Decode(answer)
}
