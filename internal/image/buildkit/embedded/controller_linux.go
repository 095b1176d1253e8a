package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/plugins/snapshots/native"
	"github.com/containerd/containerd/v2/plugins/snapshots/overlay"
	"github.com/containerd/containerd/v2/plugins/snapshots/overlay/overlayutils"
	"github.com/moby/buildkit/client"
	daemonconfig "github.com/moby/buildkit/cmd/buildkitd/config"
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
	"github.com/moby/buildkit/util/resolver/config"
	"github.com/moby/buildkit/worker"
	"github.com/moby/buildkit/worker/base"
	"github.com/moby/buildkit/worker/runc"
	bolt "go.etcd.io/bbolt"
	"go.opentelemetry.io/otel/metric/noop"
)

const (
	// maxCache is how much of the disk the daemon's caches may take before the
	// oldest are dropped, in bytes.
	maxCache = 20 << 30
	// maxSources is the same for the copies of build contexts, in bytes. A Rack
	// unpacks every source anew, so they are hardly ever used a second time.
	maxSources = 512 << 20
	// trimTimeout bounds the dropping of old caches when the daemon ends.
	trimTimeout = 10 * time.Second
)

// policy is what may be dropped, in the order of the attempts.
func policy() []client.PruneInfo {
	return []client.PruneInfo{
		{Filter: []string{"type==source.local", "type==source.git.checkout"}, MaxUsedSpace: maxSources},
		{MaxUsedSpace: maxCache},
		{All: true, MaxUsedSpace: maxCache}, // frontends and the like as well
	}
}

// supported tells what this machine lacks.
func supported(root string) error {
	if os.Geteuid() != 0 {
		return errors.New("it needs to run as root")
	}
	if _, err := exec.LookPath("runc"); err != nil {
		return errors.New("it needs runc on the PATH (Debian and Ubuntu: apt-get install runc)")
	}
	if err := os.MkdirAll(root, 0o700); err != nil {
		return err
	}
	// Root in a container may still lack the right, and every build step mounts.
	if err := syscall.Mount(root, root, "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("it needs the right to mount, which containers have if they are privileged: %w", err)
	}
	return syscall.Unmount(root, syscall.MNT_DETACH)
}

// service is a controller with what it needs to end well.
type service struct {
	*control.Controller
	worker *base.Worker
	layers io.Closer
	cache  solver.CacheManager
	groups *groups
	*limiter
}

// controller assembles a daemon as BuildKit's own program does, without the
// parts that builds on one machine have no use for.
func controller(ctx context.Context, o Options) (_ *service, err error) {
	var opened []io.Closer // nobody else could open them again
	defer func() {
		if err != nil {
			for _, c := range slices.Backward(opened) {
				err = errors.Join(err, c.Close())
			}
		}
	}()
	sessions, err := session.NewManager()
	if err != nil {
		return nil, err
	}
	w, layers, err := newWorker(ctx, o)
	if err != nil {
		return nil, err
	}
	opened = append(opened, layers, w)
	workers := &worker.Controller{}
	bounded := boundWorker{w, newGroups(kernelGroups, o.Root)}
	if err := workers.Add(bounded); err != nil {
		return nil, err
	}
	frontends, err := newFrontends(workers)
	if err != nil {
		return nil, err
	}
	store, err := bboltcachestorage.NewStore(filepath.Join(o.Root, "cache.db"))
	if err != nil {
		return nil, err
	}
	opened = append(opened, store)
	history, err := boltutil.SafeOpen(filepath.Join(o.Root, "history.db"), 0o600, &bolt.Options{
		FreelistType: bolt.FreelistMapType, NoFreelistSync: true,
	})
	if err != nil {
		return nil, err
	}
	opened = append(opened, history)
	cache := solver.NewCacheManager(ctx, "local", store, worker.NewCacheResultStorage(workers))
	c, err := control.NewController(control.Opt{
		SessionManager:   sessions,
		WorkerController: workers,
		Frontends:        frontends,
		CacheManager:     cache,
		CacheStore:       store,
		HistoryDB:        history,
		HistoryConfig:    &daemonconfig.HistoryConfig{MaxEntries: new(int64)}, // none: a Rack keeps the logs of builds itself
		MeterProvider:    noop.NewMeterProvider(),
		LeaseManager:     w.LeaseManager(),
		ContentStore:     w.ContentStore(),
		GarbageCollect:   w.GarbageCollect,
		GracefulStop:     ctx.Done(),

		ResolveCacheExporterFuncs: cacheExporters(sessions, o.Mirrors),
		ResolveCacheImporterFuncs: cacheImporters(sessions, w.ContentStore(), o.Mirrors),
	})
	return &service{c, w, layers, cache, bounded.groups, newLimiter(kernelGroups, o.Notice)}, err
}

// Close drops what the caches have too much, for the controller itself does so
// only in a daemon that runs for minutes, and ends it.
func (s *service) Close() error {
	ctx, done := context.WithTimeout(context.Background(), trimTimeout)
	defer done()
	dropped := make(chan client.UsageInfo)
	count := make(chan int)
	go func() {
		n := 0
		for range dropped {
			n++
		}
		count <- n
	}()
	err := s.worker.Prune(ctx, dropped, policy()...)
	close(dropped)
	if <-count > 0 {
		err = errors.Join(err, s.cache.ReleaseUnreferenced(ctx))
	}
	return errors.Join(err, s.Controller.Close(), s.layers.Close(), s.groups.close(ctx))
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
// builder of a Rack does. The files of layers are handed over as well: a worker
// that is closed leaves them open, and their database locked.
func newWorker(ctx context.Context, o Options) (_ *base.Worker, layers io.Closer, err error) {
	kind := snapshotter(o.Root)
	factory := kind
	factory.New = func(dir string) (snapshots.Snapshotter, error) {
		s, err := openSnapshots(kind, dir)
		layers = s
		return s, err
	}
	defer func() {
		if err != nil && layers != nil {
			err = errors.Join(fmt.Errorf("worker: %w", err), layers.Close())
		}
	}()
	opt, err := runc.NewWorkerOpt(o.Root, factory, false, oci.ProcessSandbox, nil, nil,
		netproviders.Opt{Mode: "host"}, nil, "", "", false, nil, "", "", nil)
	if err != nil {
		return nil, layers, err
	}
	opt.GCPolicy = policy()
	opt.RegistryHosts = registries(o.Mirrors)
	w, err := base.NewWorker(ctx, opt)
	return w, layers, err
}

// snapshotter shares files between layers with overlayfs where the file system
// below root allows it, and copies them elsewhere.
func snapshotter(root string) runc.SnapshotterFactory {
	if overlayutils.Supported(root) == nil {
		return runc.SnapshotterFactory{Name: "overlayfs", New: func(dir string) (snapshots.Snapshotter, error) {
			return overlay.NewSnapshotter(dir, overlay.AsynchronousRemove)
		}}
	}
	return runc.SnapshotterFactory{Name: "native", New: native.NewSnapshotter}
}

// registries tells where the registry of a host is. Of the places that BuildKit
// names for a host with a mirror, the host itself is left out.
func registries(mirrors map[string]string) docker.RegistryHosts {
	plain := true
	return func(host string) ([]docker.RegistryHost, error) {
		mirror, ok := mirrors[host]
		if !ok {
			return resolver.NewRegistryConfig(nil)(host)
		}
		m := map[string]config.RegistryConfig{mirror: {PlainHTTP: &plain}}
		m[host] = config.RegistryConfig{Mirrors: []string{mirror}, PlainHTTP: m[host].PlainHTTP}
		hosts, err := resolver.NewRegistryConfig(m)(host)
		if err != nil {
			return nil, err
		}
		hosts[0].Capabilities |= docker.HostCapabilityPush // caches go there too
		return hosts[:1], nil
	}
}
