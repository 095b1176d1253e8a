package embedded

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/moby/buildkit/cache/remotecache"
	"github.com/moby/buildkit/session"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/convox-ci/convox-ci/internal/image/buildkit/actionscache"
)

// BuildKit's own client of this cache brings fifty modules, most for signatures that
// nobody here makes, and waits without end for bytes that do not come.

// actionsTimeout bounds the writing of a cache, and the reading of what one step
// needs, unless the attribute timeout says otherwise.
// https://docs.docker.com/build/cache/backends/gha/
const actionsTimeout = 10 * time.Minute

// actions is a cache in that of GitHub Actions, under the keys that BuildKit's own
// client has.
type actions struct {
	*actionscache.Service
	scope   string // of the builds that share it, and not of a branch
	timeout time.Duration
}

// openActions reads the attributes of a cache.
func openActions(attrs map[string]string) (a actions, err error) {
	a.scope, a.timeout = "buildkit", actionsTimeout
	if s := attrs["scope"]; s != "" {
		a.scope = s
	}
	if t := attrs["timeout"]; t != "" {
		if a.timeout, err = time.ParseDuration(t); err != nil {
			return a, errors.New("the attribute timeout is not a time, for example 5m")
		}
	}
	a.Service, err = actionscache.Open(attrs["url_v2"], attrs["token"], nil)
	return a, err
}

// bound is a context for a share of the work.
func (a actions) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, a.timeout, fmt.Errorf("the cache of GitHub Actions took longer than %s", a.timeout))
}

// index is what the keys of the lists of all steps of a branch begin with; a number
// follows, for entries cannot be replaced.
func (a actions) index(branch string) string {
	return "index-" + a.scope + "-1-" + digest.FromString(branch).Encoded()[:8] + "#"
}

// blobKey is the key of a layer, which all scopes share.
func blobKey(d digest.Digest) string { return "buildkit-blob-1-" + d.String() }

// exportActions never fails: that would be the end of the build.
func exportActions(_ context.Context, _ session.Group, attrs map[string]string) (remotecache.Exporter, error) {
	a, err := openActions(attrs)
	return newActionsExporter(a, err), nil
}

func importActions(_ context.Context, _ session.Group, attrs map[string]string) (remotecache.Importer, ocispecs.Descriptor, error) {
	a, err := openActions(attrs)
	return &actionsImporter{actions: a}, ocispecs.Descriptor{}, err
}
