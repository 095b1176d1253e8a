package embedded

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/pkg/labels"
	"github.com/moby/buildkit/cache/remotecache"
	v1 "github.com/moby/buildkit/cache/remotecache/v1"
	cachetypes "github.com/moby/buildkit/cache/remotecache/v1/types"
	"github.com/moby/buildkit/solver"
	"github.com/moby/buildkit/util/compression"
	"github.com/moby/buildkit/util/progress"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/convox-ci/convox-ci/internal/image/buildkit/actionscache"
)

const (
	// actionsStreams is how many layers are looked for and sent at once.
	actionsStreams = 4
	// maxIndexes is how many numbers of lists are tried that other jobs have taken
	// since the last was looked for, or have taken and never filled.
	maxIndexes = 16
	// createdLabel is the annotation of layers with the time they were made.
	createdLabel = "buildkit/createdat"
)

// actionsExporter leaves steps in the cache of GitHub Actions.
type actionsExporter struct {
	solver.CacheExporterTarget
	chains *v1.CacheChains
	cache  actions
	fault  error // of the cache, to be told when it is written
}

func newActionsExporter(a actions, fault error) *actionsExporter {
	chains := v1.NewCacheChains()
	return &actionsExporter{chains, chains, a, fault}
}

// Name implements [remotecache.Exporter]. It is that of BuildKit's own.
func (*actionsExporter) Name() string { return "exporting to GitHub Actions Cache" }

// Config implements [remotecache.Exporter].
func (*actionsExporter) Config() remotecache.Config {
	return remotecache.Config{Compression: compression.New(compression.Default)}
}

// Finalize implements [remotecache.Exporter]: the layers first, and then the list of
// the steps that they are of.
func (e *actionsExporter) Finalize(ctx context.Context) (map[string]string, error) {
	if e.fault != nil {
		return nil, e.fault
	}
	branch, err := e.branch()
	if err != nil {
		return nil, err
	}
	ctx, done := e.cache.bound(ctx)
	defer done()
	list, layers, err := e.chains.Marshal(ctx)
	if err != nil {
		return nil, err
	}
	g, within := errgroup.WithContext(ctx)
	g.SetLimit(actionsStreams)
	for i := range list.Layers {
		l := &list.Layers[i]
		g.Go(func() (err error) {
			l.Annotations, err = e.layer(within, l.Blob, layers[l.Blob])
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	text, err := json.Marshal(list)
	if err != nil {
		return nil, err
	}
	return nil, e.list(ctx, e.cache.index(branch), text)
}

// branch is the one that the job may write for.
func (e *actionsExporter) branch() (string, error) {
	for _, s := range e.cache.Scopes() {
		if s.Write {
			return s.Name, nil
		}
	}
	return "", errors.New("the token of this job may only read the cache of GitHub Actions")
}

// layer sends a layer if it is not there, and tells what else is to be known of it.
func (e *actionsExporter) layer(ctx context.Context, d digest.Digest, l v1.DescriptorProviderPair) (*cachetypes.LayerAnnotations, error) {
	known := &cachetypes.LayerAnnotations{Size: l.Descriptor.Size, MediaType: l.Descriptor.MediaType,
		DiffID: digest.Digest(l.Descriptor.Annotations[labels.LabelUncompressed])}
	if err := known.DiffID.Validate(); err != nil {
		return nil, fmt.Errorf("layer %s: what it is uncompressed: %w", d, err)
	}
	if made, err := time.Parse(time.RFC3339Nano, l.Descriptor.Annotations[createdLabel]); err == nil {
		known.CreatedAt = made.UTC()
	}
	if there, err := e.cache.Find(ctx, blobKey(d)); err != nil || there != nil {
		return known, err
	}
	sent := progress.OneOff(ctx, fmt.Sprintf("writing layer %s", d))
	r, err := l.Provider.ReaderAt(ctx, l.Descriptor)
	if err != nil {
		return nil, sent(err)
	}
	defer r.Close()
	err = e.cache.Save(ctx, blobKey(d), r, l.Descriptor.Size)
	if errors.Is(err, actionscache.ErrExists) { // by another job
		err = nil
	}
	return known, sent(err)
}

// list leaves the list of steps under the next number.
func (e *actionsExporter) list(ctx context.Context, prefix string, text []byte) error {
	last, err := e.cache.Latest(ctx, prefix)
	if err != nil {
		return err
	}
	number := 0
	if last != nil {
		if number, err = strconv.Atoi(strings.TrimPrefix(last.Key, prefix)); err != nil {
			return fmt.Errorf("the last list of steps has the key %q, where a number is due after %q", last.Key, prefix)
		}
	}
	for range maxIndexes {
		number++
		err = e.cache.Save(ctx, prefix+strconv.Itoa(number), bytes.NewReader(text), int64(len(text)))
		if !errors.Is(err, actionscache.ErrExists) {
			break
		}
	}
	return err
}
