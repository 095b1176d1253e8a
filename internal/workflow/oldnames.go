package workflow

import (
	"slices"

	"github.com/convox-ci/convox-ci/internal/options"
)

// OldNames are inputs of build by the names that Convox's own actions gave them:
// a workflow that was written for those goes on as it is.
type OldNames struct {
	Cached   options.Switch `env:"cached" legacy:"true" usage:"the older name of no-cache, the other way round"`
	OldBuild options.Pairs  `env:"buildargs" legacy:"true" usage:"the older name of build-args"`
}

// readOldNames moves what was given by an old name to where the new one has it.
// It refuses what the two say differently.
func (in *BuildInputs) readOldNames() error {
	found := &options.Error{}
	if in.Cached.IsSet() {
		if in.NoCache.IsSet() && in.NoCache.IsOn() == in.Cached.IsOn() {
			found.Problems = append(found.Problems, options.Problem{Input: "cached",
				Message: "contradicts no-cache, which is its other way round", Accepted: []string{"one of the two"}})
		}
		in.NoCache = options.On
		if in.Cached.IsOn() {
			in.NoCache = options.Off
		}
	}
	for _, old := range in.OldBuild {
		i := slices.IndexFunc(in.BuildArgs, func(p options.Pair) bool { return p.Key == old.Key })
		switch {
		case i < 0:
			in.BuildArgs = append(in.BuildArgs, old)
		case in.BuildArgs[i] != old:
			found.Problems = append(found.Problems, options.Problem{Input: "buildargs", Value: old.Key,
				Message: "contradicts build-args, which gives it another value", Accepted: []string{"one of the two"}})
		}
	}
	in.Cached, in.OldBuild = options.Unset, nil // so that a second reading finds nothing new
	if len(found.Problems) == 0 {
		return nil
	}
	return found
}
