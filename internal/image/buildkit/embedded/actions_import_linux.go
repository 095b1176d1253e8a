package embedded

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/pkg/labels"
	"github.com/moby/buildkit/cache"
	v1 "github.com/moby/buildkit/cache/remotecache/v1"
	cachetypes "github.com/moby/buildkit/cache/remotecache/v1/types"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/solver"
	"github.com/moby/buildkit/util/leaseutil"
	"github.com/moby/buildkit/util/progress"
	"github.com/moby/buildkit/worker"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// maxActionsIndex is the longest list of steps that is read, in bytes: thousands of
// them have less.
const maxActionsIndex = 16 << 20

// actionsImporter takes steps from the cache of GitHub Actions.
type actionsImporter struct {
	actions

	mu    sync.Mutex
	fault error // after which it is not asked again
}

// Resolve implements [remotecache.Importer].
func (a *actionsImporter) Resolve(ctx context.Context, _ ocispecs.Descriptor, id string, w worker.Worker) (solver.CacheManager, error) {
	within, done := a.bound(ctx)
	defer done()
	g, within := errgroup.WithContext(within)
	var lists []*v1.CacheChains
	for _, s := range a.Scopes() {
		if !s.Read {
			continue
		}
		list := v1.NewCacheChains()
		lists = append(lists, list)
		g.Go(func() error { return a.read(within, a.index(s.Name), list, w.ContentStore()) })
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var managers []solver.CacheManager
	for _, list := range lists {
		keys, results, err := v1.NewCacheKeyStorage(list, actionsWorker{w, a})
		if err != nil {
			return nil, err
		}
		managers = append(managers, solver.NewCacheManager(ctx, id, keys, results))
	}
	return solver.NewCombinedCacheManager(managers, nil), nil
}

// read takes the steps of a branch into a list; without any it is left empty.
func (a *actionsImporter) read(ctx context.Context, prefix string, into *v1.CacheChains, store content.Store) error {
	entry, err := a.Latest(ctx, prefix)
	if err != nil || entry == nil {
		return err
	}
	text, err := entry.All(ctx, maxActionsIndex)
	if err != nil {
		return err
	}
	return a.parse(text, into, store)
}

// parse reads a list of steps.
func (a *actionsImporter) parse(text []byte, into *v1.CacheChains, store content.Store) error {
	var list cachetypes.CacheConfig
	if err := json.Unmarshal(text, &list); err != nil {
		return fmt.Errorf("the list of steps is not one of BuildKit: %w", err)
	}
	layers := v1.DescriptorProvider{}
	for _, l := range list.Layers {
		if l.Annotations == nil || l.Blob.Validate() != nil || l.Annotations.DiffID.Validate() != nil || l.Annotations.Size < 0 {
			return fmt.Errorf("the list of steps has the layer %q without what is to be known of it", l.Blob)
		}
		d := ocispecs.Descriptor{MediaType: l.Annotations.MediaType, Digest: l.Blob, Size: l.Annotations.Size,
			Annotations: map[string]string{labels.LabelUncompressed: l.Annotations.DiffID.String()}}
		if !l.Annotations.CreatedAt.IsZero() {
			d.Annotations[createdLabel] = l.Annotations.CreatedAt.Format(time.RFC3339Nano)
		}
		p := actionsLayer{a, store, d}
		layers[l.Blob] = v1.DescriptorProviderPair{Descriptor: d, Provider: p, InfoProvider: p}
	}
	return v1.ParseConfig(list, layers, into)
}

// fetch brings layers into the store of the daemon. After one fault nothing more is
// tried: each might take as long.
func (a *actionsImporter) fetch(ctx context.Context, store content.Store, layers []ocispecs.Descriptor) error {
	a.mu.Lock()
	fault := a.fault
	a.mu.Unlock()
	if fault != nil {
		return fault
	}
	bound, done := a.bound(ctx)
	defer done()
	g, within := errgroup.WithContext(bound)
	g.SetLimit(actionsStreams)
	for _, d := range layers {
		if _, err := store.Info(within, d.Digest); err == nil {
			continue
		}
		g.Go(func() error {
			read := progress.OneOff(within, fmt.Sprintf("reading layer %s", d.Digest))
			blob, err := actionsLayer{a, store, d}.download(within)
			if err == nil {
				err = content.WriteBlob(within, store, "actions-"+d.Digest.String(), content.NewReader(blob), d)
			}
			return read(err)
		})
	}
	err := g.Wait()
	if err != nil && ctx.Err() == nil { // and not because nobody wants it any more
		a.mu.Lock()
		a.fault = err
		a.mu.Unlock()
		tellFault(ctx, err)
	}
	return err
}

// tellFault shows a fault as a step of its own: that of the step which needs the
// cache is passed over, since it is run instead.
func tellFault(ctx context.Context, err error) {
	const name = "importing cache manifest from GitHub Actions Cache"
	w, _, _ := progress.NewFromContext(ctx)
	defer w.Close()
	now := time.Now()
	w.Write(name, client.Vertex{Digest: digest.FromString(name), Name: name, Started: &now, Completed: &now, Error: err.Error()})
}

// actionsWorker has the layers of a step at hand before the step is taken as done.
// BuildKit would fetch each when it is needed, where a fault is the end of the build;
// here the step is run instead.
type actionsWorker struct {
	worker.Worker
	cache *actionsImporter
}

// FromRemote implements [worker.Worker].
func (w actionsWorker) FromRemote(ctx context.Context, r *solver.Remote) (cache.ImmutableRef, error) {
	ctx, release, err := leaseutil.WithLease(ctx, w.LeaseManager(), leaseutil.MakeTemporary)
	if err != nil {
		return nil, err
	}
	defer release(context.WithoutCancel(ctx))
	if err := w.cache.fetch(ctx, w.ContentStore(), r.Descriptors); err != nil {
		return nil, err
	}
	return w.Worker.FromRemote(ctx, r)
}

// actionsLayer is a layer of the cache, which may have come to the store since.
type actionsLayer struct {
	cache *actionsImporter
	store content.Store
	desc  ocispecs.Descriptor
}

// Info implements [content.InfoProvider]. Whether the service still has the layer is
// seen when it is read.
func (l actionsLayer) Info(_ context.Context, d digest.Digest) (content.Info, error) {
	if d != l.desc.Digest {
		return content.Info{}, fmt.Errorf("layer %s is not this one", d)
	}
	return content.Info{Digest: d, Size: l.desc.Size}, nil
}

// ReaderAt implements [content.Provider].
func (l actionsLayer) ReaderAt(ctx context.Context, d ocispecs.Descriptor) (content.ReaderAt, error) {
	if r, err := l.store.ReaderAt(ctx, d); err == nil {
		return r, nil
	}
	return l.download(ctx)
}

func (l actionsLayer) download(ctx context.Context) (content.ReaderAt, error) {
	entry, err := l.cache.Find(ctx, blobKey(l.desc.Digest))
	if err != nil {
		return nil, err
	}
	if entry == nil {
		return nil, fmt.Errorf("the layer %s is no longer there", l.desc.Digest)
	}
	return entry.Blob(ctx, l.desc.Size), nil
}
