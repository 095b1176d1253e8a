package registry_test

import (
	"testing"

	"github.com/convox-ci/convox-ci/internal/rackd/storetest"
)

func TestPromises(t *testing.T) {
	storetest.Images(t, func(t *testing.T) storetest.Registry {
		s := newStock(t)
		return storetest.Registry{Stock: s.storage, Cache: s.Repository, Client: &s.client, Pass: s.age,
			App: func(app, tag string) string { return s.host + "/" + app + ":" + tag }, Cached: s.cache}
	})
}
