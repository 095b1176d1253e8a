package rack_test

import (
	"errors"
	"io"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/sirupsen/logrus"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
	"github.com/convox-ci/convox-ci/internal/rackd/disk"
	"github.com/convox-ci/convox-ci/internal/registry"
)

func TestMain(m *testing.M) {
	logrus.SetOutput(io.Discard) // the registry's own log
	os.Exit(m.Run())
}

// machine is an embedded rack with a registry, over real connections.
type machine struct {
	client   *rack.Client
	store    *disk.Store
	registry string
}

func machineOf(t *testing.T) machine {
	t.Helper()
	dir := t.TempDir()
	store, err := disk.Open(filepath.Join(dir, "data"), "the test")
	if err != nil {
		t.Fatal(err)
	}
	images := httptest.NewServer(registry.Embedded(t.Context(), filepath.Join(dir, "registry"), ""))
	host := strings.TrimPrefix(images.URL, "http://")
	server, err := rackd.New(t.Context(), rackd.Config{
		Name: "local", Password: "secret-of-the-rack", Registry: host, Spool: filepath.Join(dir, "spool"),
		Stores: store.Stores(), Images: &registry.Client{},
	})
	if err != nil {
		t.Fatal(err)
	}
	api := httptest.NewServer(server.Handler())
	t.Cleanup(func() {
		api.Close()
		server.Close()
		images.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	at, err := url.Parse(api.URL)
	if err != nil {
		t.Fatal(err)
	}
	at.User = url.UserPassword("convox", "secret-of-the-rack")
	e, err := rack.Direct(at.String())
	if err != nil {
		t.Fatal(err)
	}
	way, err := rack.Transport(rack.TLS{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(way.CloseIdleConnections)
	c := rack.New(e, way, nil)
	if _, err := c.CreateApp(t.Context(), "web"); err != nil {
		t.Fatal(err)
	}
	return machine{c, store, host}
}

// digest is that of an image in the registry.
func (m machine) digest(t *testing.T, tag string) string {
	t.Helper()
	ref, err := name.ParseReference(m.registry + "/" + tag)
	if err != nil {
		t.Fatal(err)
	}
	d, err := remote.Head(ref)
	if err != nil {
		t.Fatal(err)
	}
	return d.Digest.String()
}

// TestCopyBetweenRacks streams a build from one rack to another, checked on the
// way, without a file in between.
func TestCopyBetweenRacks(t *testing.T) {
	ctx := t.Context()
	from, to := machineOf(t), machineOf(t)
	ref, err := name.ParseReference(from.registry + "/web:one.BAAAAAAAAAA")
	if err == nil {
		err = remote.Write(ref, empty.Image)
	}
	b := rack.Build{ID: "BAAAAAAAAAA", App: "web", Release: "RAAAAAAAAAA", Status: rack.BuildComplete, Manifest: "services:\n  one:\n    build: .\n"}
	err = errors.Join(err, from.store.SwapBuild(ctx, rack.Build{}, b),
		from.store.AddRelease(ctx, rack.Release{ID: b.Release, App: "web", Build: b.ID, Manifest: b.Manifest}))
	if err != nil {
		t.Fatal(err)
	}
	got, err := to.client.ImportBuild(ctx, "web", func() (io.ReadCloser, error) {
		body, err := from.client.ExportBuild(ctx, "web", b.ID)
		if err != nil {
			return nil, err
		}
		a := rack.CheckArchive(body)
		layout, err := a.Layout()
		if err == nil && layout != rack.ArchiveV2 {
			t.Errorf("layout is %q", layout)
		}
		return a, err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got.Status != rack.BuildComplete || got.Release == "" || got.Manifest != b.Manifest {
		t.Errorf("build is %+v", got)
	}
	if here, there := to.digest(t, "web:one."+got.ID), from.digest(t, "web:one."+b.ID); here != there {
		t.Errorf("image is %s, was %s", here, there)
	}
	_, err = to.client.ImportBuild(ctx, "web", func() (io.ReadCloser, error) { return from.client.ExportBuild(ctx, "web", "BNONE") })
	if !errors.Is(err, rack.ErrNotFound) || err.Error() != "build not found: BNONE" {
		t.Errorf("import of no build: %v", err)
	}
	if bs, err := to.client.Builds(ctx, "web", 0); err != nil || len(bs) != 1 {
		t.Errorf("builds are %v, %v", bs, err)
	}
}

func TestCancelBuild(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		c := rack.New(direct(t), embedded(t), nil)
		if _, err := c.CreateApp(ctx, "web"); err != nil {
			t.Fatal(err)
		}
		o, err := c.PutObject(ctx, "web", "tmp/source.tgz", pack(t))
		if err != nil {
			t.Fatal(err)
		}
		b, err := c.CreateBuild(ctx, "web", o.URL, rack.BuildOptions{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		if err := c.CancelBuild(ctx, "web", b.ID); err != nil {
			t.Error(err)
		}
		var out safeBuffer
		if b, err = c.Watch(ctx, "web", b.ID, &out); err != nil || b.Status != rack.BuildFailed || !strings.HasSuffix(out.String(), "ERROR: "+b.Reason+"\n") {
			t.Errorf("build is %+v, %v, log\n%s", b, err, &out)
		}
		if err := c.CancelBuild(ctx, "web", b.ID); !errors.Is(err, rack.ErrConflict) || errors.Is(err, rack.ErrUnsupported) {
			t.Errorf("a second cancel: %v", err)
		}
		if err := c.CancelBuild(ctx, "web", "BNONE"); !errors.Is(err, rack.ErrNotFound) || errors.Is(err, rack.ErrUnsupported) {
			t.Errorf("no such build: %v", err)
		}
		if err := c.CancelApp(ctx, "web"); !errors.Is(err, rack.ErrForbidden) {
			t.Errorf("cancel of an app: %v", err)
		}
	})
}
