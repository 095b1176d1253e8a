package disk

import (
	"context"
	"errors"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
)

var _ rackd.Parameters = (*Store)(nil)

// The parameters of the rack are one record of a bucket of their own.
const (
	rackBucket    = "rack"
	parametersKey = "parameters"
)

// Parameters implements [rackd.Parameters].
func (s *Store) Parameters(context.Context) (map[string]string, error) {
	p, err := get[map[string]string](s, parametersKey, rackBucket)
	if errors.Is(err, rack.ErrNotFound) {
		return nil, nil
	}
	return p, err
}

// SwapParameters implements [rackd.Parameters].
func (s *Store) SwapParameters(_ context.Context, old, next map[string]string) error {
	return swap(s, change[map[string]string]{old, next, len(old) == 0, parametersKey}, rackBucket)
}
