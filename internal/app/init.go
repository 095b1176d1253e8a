package app

import (
	"context"
	"fmt"

	"github.com/convox-ci/convox-ci/internal/options"
)

// InitInputs are the inputs of rack init: those of rack serve that name what has to
// be there before.
type InitInputs struct{ StoreInputs }

// Check refuses to make nothing.
func (in *InitInputs) Check(func(string) (string, bool)) error {
	found := &options.Error{Problems: in.wrongStores()}
	if in.Records == "" && in.Objects == "" {
		found.Problems = append(found.Problems, options.Problem{Input: "records", Message: "and objects are both missing: what is kept in the data needs no preparation",
			Accepted: []string{"dynamodb://REGION/PREFIX", "s3://BUCKET/PREFIX for objects"}})
	}
	if len(found.Problems) == 0 {
		return nil
	}
	return found
}

// initRack makes what a rack on AWS needs, and says what is there now.
func (p *process) initRack(ctx context.Context, in InitInputs) error {
	made, err := p.makeStores(ctx, in.StoreInputs)
	for _, what := range made {
		fmt.Fprintln(p.console, what)
	}
	return err
}
