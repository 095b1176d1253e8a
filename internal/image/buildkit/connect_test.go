package buildkit_test

import (
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/convox-ci/convox-ci/internal/image/buildkit"
)

// TestRemoteDaemon reaches a daemon by an address, as one that BUILDKIT_HOST names.
func TestRemoteDaemon(t *testing.T) {
	socket := daemonAt(t, t.TempDir())
	c, err := buildkit.Dial(t.Context(), "unix://"+socket)
	if err != nil {
		t.Fatal(err)
	}
	b := buildkit.New(c)
	defer b.Close()
	img, _ := mustBuild(t, b, spec(t, source(t, map[string]string{"Dockerfile": "COPY text /text\n", "text": "over a socket"})))
	if got := contents(t, img)["text"]; got != "over a socket" {
		t.Errorf("file is %q", got)
	}
}

// daemonAt has the daemon listen at a socket in a directory.
func daemonAt(t *testing.T, dir string) (socket string) {
	t.Helper()
	d, err := shared.daemon()
	if err != nil {
		t.Fatal(err)
	}
	socket = filepath.Join(dir, "sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			outer, err := l.Accept()
			if err != nil {
				return
			}
			inner, err := d.Dial(context.Background())
			if err != nil {
				outer.Close()
				return
			}
			go func() { io.Copy(inner, outer); inner.Close() }()
			go func() { io.Copy(outer, inner); outer.Close() }()
		}
	}()
	return socket
}

func TestDialNothing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	l.Close()
	accepted := "is not the address of a BuildKit daemon; accepted: unix:///run/buildkit/buildkitd.sock, tcp://127.0.0.1:1234, docker-container://NAME"
	for address, want := range map[string]string{
		"unix://" + filepath.Join(t.TempDir(), "sock"): "dial unix ",
		"tcp://" + closed:    "dial tcp " + closed + ": connect: connection refused",
		"buildkitd":          `"buildkitd" ` + accepted,
		"ftp://example.test": `"ftp://example.test" ` + accepted,
		"unix://":            `"unix://" ` + accepted,
	} {
		c, err := buildkit.Dial(t.Context(), address)
		if err == nil {
			c.Close()
			t.Errorf("%s: no error", address)
			continue
		}
		if !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: error %q, want %q", address, err, want)
		}
	}
}

// TestDialSilence connects to what never says a word.
func TestDialSilence(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	enough := errors.New("waited enough")
	ctx, done := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, enough)
	defer done()
	if _, err := buildkit.Dial(ctx, "tcp://"+l.Addr().String()); !errors.Is(err, enough) {
		t.Errorf("error is %v, want the cause", err)
	}
}
