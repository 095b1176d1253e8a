package dynamodb_test

import (
	"testing"

	"github.com/convox-ci/convox-ci/internal/rackd"
	"github.com/convox-ci/convox-ci/internal/rackd/storetest"
)

func TestPromises(t *testing.T) {
	storetest.Records(t, func(t *testing.T) func() rackd.Stores {
		l := newLab(t).init(t)
		return func() rackd.Stores { return l.open(t).Stores() }
	})
}
