package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	ctdsnapshot "github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/plugins/snapshots/native"
	"github.com/containerd/containerd/v2/plugins/snapshots/overlay"
	"github.com/containerd/containerd/v2/plugins/snapshots/overlay/overlayutils"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/cmd/buildkitd/config"
	"github.com/moby/buildkit/control"
	"github.com/moby/buildkit/executor/oci"
	"github.com/moby/buildkit/frontend"
	dockerfile "github.com/moby/buildkit/frontend/dockerfile/builder"
	"github.com/moby/buildkit/frontend/gateway"
	"github.com/moby/buildkit/frontend/gateway/forwarder"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/solver"
	"github.com/moby/buildkit/solver/bboltcachestorage"
	"github.com/moby/buildkit/util/db/boltutil"
	"github.com/moby/buildkit/util/network/netproviders"
	"github.com/moby/buildkit/util/resolver"
	resolverconfig "github.com/moby/buildkit/util/resolver/config"
	"github.com/moby/buildkit/worker"
	"github.com/moby/buildkit/worker/base"
	"github.com/moby/buildkit/worker/runc"
	bolt "go.etcd.io/bbolt"
	"go.opentelemetry.io/otel/metric/noop"
)

// maxCache is how much of the disk the daemon's caches may take before the
// oldest are dropped, in bytes.
const maxCache = 20 << 30

// supported tells what this machine lacks.
func supported() error {
	if os.Geteuid() != 0 {
		return errors.New("it needs to run as root")
	}
	if _, err := exec.LookPath("runc"); err != nil {
		return errors.New("it needs runc on the PATH (Debian and Ubuntu: apt-get install runc)")
	}
	return nil
}

// controller assembles a daemon as BuildKit's own program does, without the
// parts that builds on one machine have no use for.
func controller(ctx context.Context, o Options) (*control.Controller, error) {
	if err := os.MkdirAll(o.Root, 0o700); err != nil {
		return nil, err
	}
	sessions, err := session.NewManager()
	if err != nil {
		return nil, err
	}
	w, err := newWorker(ctx, o)
	if err != nil {
		return nil, err
	}
	workers := &worker.Controller{}
	if err := workers.Add(w); err != nil {
		return nil, err
	}
	frontends, err := newFrontends(workers)
	if err != nil {
		return nil, err
	}
	cache, err := bboltcachestorage.NewStore(filepath.Join(o.Root, "cache.db"))
	if err != nil {
		return nil, err
	}
	history, err := boltutil.SafeOpen(filepath.Join(o.Root, "history.db"), 0o600, &bolt.Options{
		FreelistType: bolt.FreelistMapType, NoFreelistSync: true,
	})
	if err != nil {
		return nil, err
	}
	return control.NewController(control.Opt{
		SessionManager:   sessions,
		WorkerController: workers,
		Frontends:        frontends,
		CacheManager:     solver.NewCacheManager(ctx, "local", cache, worker.NewCacheResultStorage(workers)),
		CacheStore:       cache,
		HistoryDB:        history,
		HistoryConfig:    &config.HistoryConfig{},
		MeterProvider:    noop.NewMeterProvider(),
		LeaseManager:     w.LeaseManager(),
		ContentStore:     w.ContentStore(),
		GarbageCollect:   w.GarbageCollect,
		GracefulStop:     ctx.Done(),
	})
}

func newFrontends(workers *worker.Controller) (map[string]frontend.Frontend, error) {
	remote, err := gateway.NewGatewayFrontend(workers.Infos(), nil)
	if err != nil {
		return nil, err
	}
	return map[string]frontend.Frontend{
		"dockerfile.v0": forwarder.NewGatewayForwarder(workers.Infos(), dockerfile.Build),
		"gateway.v0":    remote, // for "# syntax=" lines
	}, nil
}

// newWorker runs build steps with runc on the machine's own network, as the
// builder of a Rack does.
func newWorker(ctx context.Context, o Options) (*base.Worker, error) {
	opt, err := runc.NewWorkerOpt(o.Root, snapshotter(o.Root), false, oci.ProcessSandbox, nil, nil,
		netproviders.Opt{Mode: "host"}, nil, "", "", false, nil, "", "", nil)
	if err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	opt.GCPolicy = []client.PruneInfo{{All: true, MaxUsedSpace: maxCache}}
	opt.RegistryHosts = resolver.NewRegistryConfig(registries(o.Mirrors))
	return base.NewWorker(ctx, opt)
}

// snapshotter shares files between layers with overlayfs where the file system
// below root allows it, and copies them elsewhere.
func snapshotter(root string) runc.SnapshotterFactory {
	if overlayutils.Supported(root) == nil {
		return runc.SnapshotterFactory{Name: "overlayfs", New: func(root string) (ctdsnapshot.Snapshotter, error) {
			return overlay.NewSnapshotter(root, overlay.AsynchronousRemove)
		}}
	}
	return runc.SnapshotterFactory{Name: "native", New: native.NewSnapshotter}
}

func registries(mirrors map[string]string) map[string]resolverconfig.RegistryConfig {
	plain := true
	m := map[string]resolverconfig.RegistryConfig{}
	for host, mirror := range mirrors {
		m[host] = resolverconfig.RegistryConfig{Mirrors: []string{mirror}, PlainHTTP: &plain}
		if host != mirror {
			m[mirror] = resolverconfig.RegistryConfig{PlainHTTP: &plain}
		}
	}
	return m
}
