package workflow

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// TestUnaskedLookEnds: AWS that never answers is not waited for where nobody has asked
// for it, and is where somebody has.
func TestUnaskedLookEnds(t *testing.T) {
	for _, asked := range []string{"", deliverByAWS} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			job := Job{Estate: func(ctx context.Context, _ EstateOrder) (Estate, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}}
			in := BuildInputs{}
			in.Rack, in.App = "office", "web"
			in.Delivery = asked
			begun := time.Now()
			d, err := job.delivery(ctx, in, rack.App{Generation: "2"})
			switch took := time.Since(begun); {
			case asked == "" && (err != nil || took != unaskedLimit || d.way != deliverByImport || d.why != "not by aws: AWS could not be looked at within 15s"):
				t.Errorf("%+v, %v after %s", d, err, took)
			case asked != "" && (err == nil || took != time.Hour):
				t.Errorf("asked: %v after %s", err, took)
			}
		})
	}
}
