package workflow

import (
	"context"
	"maps"
	"slices"

	"github.com/convox-ci/convox-ci/internal/options"
)

// RackParams returns the parameters of the rack by name. Some racks have none.
func RackParams(ctx context.Context, j Job, _ ConnectionInputs) (map[string]string, error) {
	s, err := j.Rack.System(ctx)
	return s.Parameters, err
}

// SetRackParamsInputs are the inputs of rack params set.
type SetRackParamsInputs struct {
	Connection
	Params options.Pairs `env:"set-params" usage:"NAME=VALUE a line, parameters of the rack"`
}

// Check finds everything that is wrong with the inputs before anything is done.
func (in *SetRackParamsInputs) Check(lookup func(string) (string, bool)) error {
	var wrong []options.Problem
	if len(in.Params) == 0 {
		wrong = append(wrong, options.Problem{Input: "set-params", Message: "is required", Accepted: []string{"NAME=VALUE"}})
	}
	for _, p := range in.Params {
		if p.FromEnv {
			wrong = append(wrong, options.Problem{Input: "set-params", Value: p.Key, Message: "has no value", Accepted: []string{"NAME=VALUE"}})
		}
	}
	return options.Join(in.Connection.Check(lookup), wrongInputs(wrong))
}

// stackTags is what a rack takes among parameters and is none: the tags of its stack.
const stackTags = "Tags"

// SetRackParams changes parameters of the rack, all of them or none. Names that
// the rack does not have are refused here: it would pass over them and say that
// all is well.
func SetRackParams(ctx context.Context, j Job, in SetRackParamsInputs) (map[string]string, error) {
	s, err := j.Rack.System(ctx)
	if err != nil {
		return nil, err
	}
	next := map[string]string{}
	var unknown []options.Problem
	for _, p := range in.Params {
		next[p.Key] = p.Value
		if _, ok := s.Parameters[p.Key]; ok || len(s.Parameters) == 0 || p.Key == stackTags {
			continue
		}
		problem := options.Problem{Input: "set-params", Value: p.Key, Message: "is not a parameter of this rack, of version " + s.Version}
		if near := options.Nearest(p.Key, slices.Sorted(maps.Keys(s.Parameters))); near != "" {
			problem.Accepted = []string{near}
		}
		unknown = append(unknown, problem)
	}
	if err := wrongInputs(unknown); err != nil {
		return nil, err
	}
	if err := j.Rack.SetParameters(ctx, next); err != nil {
		return nil, err
	}
	j.printf("Updating parameters... OK")
	return next, nil
}
