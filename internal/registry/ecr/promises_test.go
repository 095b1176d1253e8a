package ecr_test

import (
	"testing"
	"time"

	"github.com/convox-ci/convox-ci/internal/rackd/storetest"
)

func TestPromises(t *testing.T) {
	storetest.Images(t, func(t *testing.T) storetest.Registry {
		l := start(t)
		l.fake.PageSize = 2
		r := l.open(t)
		return storetest.Registry{Stock: r, Cache: l.cache(t), Client: l.client(),
			App:    func(app, tag string) string { return r.Name() + "/" + app + ":" + tag },
			Cached: func(tag string) string { return l.host + "/office-build-cache:" + tag },
			Pass:   func(d time.Duration) { l.pass(d); l.fake.Sweep() }}
	})
}
