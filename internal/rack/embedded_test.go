package rack_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/convox-ci/convox-ci/internal/bake"
	"github.com/convox-ci/convox-ci/internal/image"
	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
	"github.com/convox-ci/convox-ci/internal/rackd/disk"
	"github.com/convox-ci/convox-ci/internal/source"
)

// chatty is a builder that builds nothing and talks about it for a while.
type chatty struct{}

func (chatty) Build(ctx context.Context, _ image.Spec, log io.Writer) error {
	for i := range 40 {
		fmt.Fprintf(log, "#%d ünïcödé\n", i)
		time.Sleep(500 * time.Millisecond)
	}
	return nil
}

// nowhere is a registry that takes everything.
type nowhere struct{}

func (nowhere) Pull(context.Context, string, string) error { return nil }
func (nowhere) Push(context.Context, string, string) (string, error) {
	return "sha256:" + strings.Repeat("0", 64), nil
}

// embedded starts an embedded rack in memory.
func embedded(t *testing.T) http.RoundTripper {
	t.Helper()
	dir := t.TempDir()
	store, err := disk.Open(filepath.Join(dir, "data"), "the test")
	if err != nil {
		t.Fatal(err)
	}
	server, err := rackd.New(t.Context(), rackd.Config{
		Name: "local", Password: "secret-of-the-rack", Registry: "127.0.0.1:5000", Spool: filepath.Join(dir, "spool"),
		Stores: store.Stores(),
		Baker:  &bake.Baker{Builder: chatty{}, Registry: nowhere{}}, Containers: hollow{},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return serve(t, server.Handler())
}

// pack is a source that can be opened again and again.
func pack(t *testing.T) func() (io.ReadCloser, error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"convox.yml": "services:\n  one:\n    build: .\n", "Dockerfile": "FROM scratch\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return func() (io.ReadCloser, error) {
		from, to := io.Pipe()
		go func() {
			_, err := source.Pack(t.Context(), to, dir, source.Options{})
			to.CloseWithError(err)
		}()
		return from, nil
	}
}

// weather loses things between a client and a rack: every third request before
// it takes effect, every third answer to a request that may be repeated, and
// every stream after a few more bytes than the one before.
type weather struct {
	to       http.RoundTripper
	requests atomic.Int64
	streams  atomic.Int64
}

func (w *weather) RoundTrip(r *http.Request) (*http.Response, error) {
	lose := func() (*http.Response, error) {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, errReset
	}
	if r.Header.Get("Upgrade") != "" {
		res, err := w.to.RoundTrip(r)
		if err == nil {
			res.Body = &short{ReadWriteCloser: res.Body.(io.ReadWriteCloser), left: 70 * w.streams.Add(1)}
		}
		return res, err
	}
	if r.Method == "POST" && !strings.Contains(r.URL.Path, "/objects/") {
		return w.to.RoundTrip(r) // its loss is an error, and another test
	}
	switch w.requests.Add(1) % 3 {
	case 1:
		return lose()
	case 2:
		res, err := w.to.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		res.Body.Close()
		return nil, errReset
	}
	return w.to.RoundTrip(r)
}

// short is a connection that breaks after so many bytes.
type short struct {
	io.ReadWriteCloser
	left int64
}

func (s *short) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, errReset
	}
	n, err := s.ReadWriteCloser.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	return n, err
}

func TestDeployThroughBadWeather(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		way := embedded(t)
		c := rack.New(direct(t), &weather{to: way}, nil)
		if _, err := c.CreateApp(ctx, "web"); err != nil {
			t.Fatal(err)
		}
		o, err := c.PutObject(ctx, "web", "tmp/source.tgz", pack(t))
		if err != nil {
			t.Fatal(err)
		}
		b, err := c.CreateBuild(ctx, "web", o.URL, rack.BuildOptions{Description: "in the rain"})
		if err != nil {
			t.Fatal(err)
		}
		var out safeBuffer
		if b, err = c.Watch(ctx, "web", b.ID, &out); err != nil || b.Status != rack.BuildComplete || b.Release == "" {
			t.Fatalf("got %v, %v, log\n%s", b, err, &out)
		}
		var want safeBuffer
		if err := rack.New(direct(t), way, nil).Log(ctx, "web", b.ID, &want); err != nil {
			t.Fatal(err)
		}
		if out.String() != want.String() || strings.Count(out.String(), "ünïcödé") != 40 {
			t.Errorf("log is\n%s, want\n%s", &out, &want)
		}
		if err := c.Promote(ctx, "web", b.Release, false); err != nil {
			t.Fatal(err)
		}
		if o := c.Await(ctx, "web", b.Release, ""); o.Verdict != rack.Live || o.Active != b.Release {
			t.Errorf("got %+v", o)
		}
		if bs, err := c.Builds(ctx, "web", 0); err != nil || len(bs) != 1 || bs[0].Description != "in the rain" {
			t.Errorf("builds %v, %v", bs, err)
		}
	})
}

// What may have been done is not done again: the caller learns that it is not
// known, and can ask the rack.
func TestLostAnswerOfACreate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		way := embedded(t)
		calm := rack.New(direct(t), way, nil)
		if _, err := calm.CreateApp(ctx, "web"); err != nil {
			t.Fatal(err)
		}
		o, err := calm.PutObject(ctx, "web", "tmp/source.tgz", pack(t))
		if err != nil {
			t.Fatal(err)
		}
		lost := rack.New(direct(t), &flaky{to: way, faults: []fault{{after: errReset}}}, nil)
		_, err = lost.CreateBuild(ctx, "web", o.URL, rack.BuildOptions{})
		if !errors.Is(err, rack.ErrUnavailable) || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %v", err)
		}
		bs, err := calm.Builds(ctx, "web", 0)
		if err != nil || len(bs) != 1 {
			t.Fatalf("builds %v, %v", bs, err)
		}
		if _, err := calm.Watch(ctx, "web", bs[0].ID, io.Discard); err != nil {
			t.Error(err)
		}
	})
}
