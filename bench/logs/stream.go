//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/convox-ci/convox-ci/internal/bake"
	"github.com/convox-ci/convox-ci/internal/ci"
	"github.com/convox-ci/convox-ci/internal/image"
	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
	"github.com/convox-ci/convox-ci/internal/rackd/disk"
	"github.com/convox-ci/convox-ci/internal/source"
)

const app = "talker"

// talker is a builder that builds nothing and talks about it.
type talker struct{ mb int }

func (t talker) Build(_ context.Context, _ image.Spec, log io.Writer) error {
	return repeat(log, sampleLog([]string{token()}), t.mb)
}

// nowhere is a registry that takes everything.
type nowhere struct{}

func (nowhere) Pull(context.Context, string, string) error { return nil }
func (nowhere) Push(context.Context, string, string) (string, error) {
	return "sha256:" + strings.Repeat("0", 64), nil
}

// serveLog is a rack whose builds talk a lot, and has a process of its own follow one.
func serveLog(ctx context.Context, s settings) (err error) {
	dir, err := os.MkdirTemp("", "bench-logs-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	store, err := disk.Open(filepath.Join(dir, "data"), "the benchmark")
	if err != nil {
		return err
	}
	defer store.Close()
	server, err := rackd.New(ctx, rackd.Config{
		Name: "bench", Registry: "127.0.0.1:5000", Spool: filepath.Join(dir, "spool"),
		Stores: store.Stores(),
		Baker:  &bake.Baker{Builder: talker{s.stream}, Registry: nowhere{}},
	})
	if err != nil {
		return err
	}
	defer server.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	h := &http.Server{Handler: server.Handler()}
	go h.Serve(l) // ends with Close
	defer h.Close()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	client := exec.CommandContext(ctx, self, "-url", "http://"+l.Addr().String(), "-stream", fmt.Sprint(s.stream))
	client.Stdout, client.Stderr = os.Stdout, os.Stderr
	if err := client.Run(); err != nil {
		return err
	}
	kib, err := peak()
	fmt.Printf("%-10s peak %5.1f MB\n", "the rack", float64(kib)/1e3)
	return err
}

// follow builds, and prints the log into nothing as foreign text on GitHub.
func follow(ctx context.Context, s settings) error {
	e, err := rack.Direct(s.url)
	if err != nil {
		return err
	}
	transport, err := rack.Transport(rack.TLS{})
	if err != nil {
		return err
	}
	c := rack.New(e, transport, func(line string) { fmt.Fprintln(os.Stderr, line) })
	id, err := begin(ctx, c)
	if err != nil {
		return err
	}
	console := ci.Open(ci.Run{System: ci.GitHub}, nil, io.Discard)
	for range manySecrets {
		console.Mask(token())
	}
	start, n := time.Now(), counter(0)
	err = console.Foreign(func(w io.Writer) error {
		b, err := c.Watch(ctx, app, id, io.MultiWriter(w, &n))
		if err == nil && b.Status != rack.BuildComplete {
			err = fmt.Errorf("the build is %s", b.Status)
		}
		return err
	})
	if err != nil {
		return err
	}
	if int(n) < s.stream*1e6 {
		return fmt.Errorf("%d bytes of log came", n)
	}
	kib, err := peak()
	fmt.Printf("%-10s peak %5.1f MB, %d MB of log in %.1f s\n", "the client", float64(kib)/1e3, n/1e6, time.Since(start).Seconds())
	return err
}

// begin starts a build of a small app.
func begin(ctx context.Context, c *rack.Client) (id string, err error) {
	dir, err := os.MkdirTemp("", "bench-logs-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	manifest := os.WriteFile(filepath.Join(dir, "convox.yml"), []byte("services:\n  one:\n    build: .\n"), 0o600)
	dockerfile := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM scratch\n"), 0o600)
	if err := errors.Join(manifest, dockerfile); err != nil {
		return "", err
	}
	if _, err := c.CreateApp(ctx, app); err != nil {
		return "", err
	}
	object, err := c.PutObject(ctx, app, "tmp/source.tgz", func() (io.ReadCloser, error) {
		r, w := io.Pipe()
		go func() {
			_, err := source.Pack(ctx, w, dir, source.Options{})
			w.CloseWithError(err)
		}()
		return r, nil
	})
	if err != nil {
		return "", err
	}
	b, err := c.CreateBuild(ctx, app, object.URL, rack.BuildOptions{})
	return b.ID, err
}

// counter counts what is written to it.
type counter int

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// peak is the most memory, in KiB, that was resident in this process.
func peak() (kib int64, err error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	_, err = fmt.Sscan(rest, &kib)
	return kib, err
}
