package workflow

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/convox-ci/convox-ci/internal/options"
	"github.com/convox-ci/convox-ci/internal/rack"
)

// RollbackInputs are the inputs of rollback. One of the first four says where to.
type RollbackInputs struct {
	Target
	To          string `env:"to" usage:"id of the release to go back to"`
	LastGood    bool   `env:"last-good" envDefault:"false" usage:"go back to the newest earlier release that differs from the active one"`
	Description string `env:"description" usage:"go back to the newest earlier release that has this in its description"`
	GitSHA      string `env:"git-sha" usage:"go back to the newest earlier release that is built from this commit, of which the beginning will do"`
	PromoteOptions
	Limits
	Telling
	Recorded
}

// Check finds everything that is wrong with the inputs before anything is done.
func (in *RollbackInputs) Check(lookup func(string) (string, bool)) error {
	found := []error{in.Target.Check(lookup), checkID("to", in.To), in.Recorded.check(in.Rack)}
	given := 0
	for _, is := range []bool{in.To != "", in.LastGood, in.Description != "", in.GitSHA != ""} {
		if is {
			given++
		}
	}
	if given == 0 {
		found = append(found, refuse("to", "", "exactly one must say where to go back to", "to", "last-good", "description", "git-sha"))
	}
	if given > 1 {
		found = append(found, refuse("to", in.To, "is not the only one that says where to go back to", "one of to, last-good, description, git-sha"))
	}
	return options.Join(found...)
}

// searched is how many releases are looked through for the one to go back to.
const searched = 200

// Rollback promotes a copy of an earlier release and says truthfully whether it
// is live. Racks promote no release that is older than the active one, so a new
// release is made of its build and its environment.
func Rollback(ctx context.Context, j Job, in RollbackInputs) (rack.Outcome, error) {
	ctx, done := limited(ctx, "timeout", in.Timeout)
	defer done()
	o, err := j.rollback(ctx, in)
	j.conclude(ctx, o, err)
	return o, err
}

func (j Job) rollback(ctx context.Context, in RollbackInputs) (rack.Outcome, error) {
	to, err := j.target(ctx, in)
	if err != nil {
		return rack.Outcome{}, err
	}
	if to.Build == "" { // a copy of it would get the newest build
		return rack.Outcome{}, &NoReleaseError{Wanted: "release " + to.ID + " has no build"}
	}
	j.printf("Going back to %s: build %s, %s", to.ID, to.Build, to.Description)
	copied, err := j.Rack.MakeRelease(ctx, in.App, rack.ReleaseOptions{Build: to.Build, Env: &to.Env, Description: to.Description})
	if copied.ID != "" {
		j.Output("release", copied.ID)
	}
	if err != nil {
		return rack.Outcome{}, err
	}
	j.printf("Release: %s", copied.ID)
	return j.promote(ctx, promotion{app: in.App, release: copied.ID, PromoteOptions: in.PromoteOptions})
}

// NoReleaseError says that there is no release like the one that was wanted.
type NoReleaseError struct{ Wanted string }

func (e *NoReleaseError) Error() string { return "there is no release to go back to: " + e.Wanted }

// target finds the release to go back to, with its environment.
func (j Job) target(ctx context.Context, in RollbackInputs) (rack.Release, error) {
	if in.To != "" {
		return j.Rack.Release(ctx, in.App, in.To)
	}
	app, err := j.Rack.App(ctx, in.App)
	if err != nil {
		return rack.Release{}, err
	}
	list, err := j.Rack.Releases(ctx, in.App, searched)
	if err != nil {
		return rack.Release{}, err
	}
	older, active := before(list, app.Release)
	switch {
	case app.Release != "" && active.ID == "":
		return rack.Release{}, &NoReleaseError{Wanted: fmt.Sprintf("the active release %s is not among the last %d, so that none is known to be older", app.Release, len(list))}
	case in.Description != "":
		return j.described(ctx, older, in.Description)
	case in.GitSHA != "":
		return j.built(ctx, older, in.GitSHA)
	}
	return j.different(ctx, older, active)
}

// before are the releases that are older than the active one, the newest first;
// all if there is none.
func before(list []rack.Release, active string) (older []rack.Release, at rack.Release) {
	for i, r := range list {
		if r.ID == active {
			return list[i+1:], r
		}
	}
	return list, rack.Release{}
}

// described finds the newest release with that description.
func (j Job) described(ctx context.Context, list []rack.Release, description string) (rack.Release, error) {
	for _, r := range list {
		if r.Build != "" && strings.Contains(r.Description, description) {
			return j.Rack.Release(ctx, r.App, r.ID)
		}
	}
	return rack.Release{}, &NoReleaseError{Wanted: fmt.Sprintf("none of the last %d before the active one has %q in its description", len(list), description)}
}

// built finds the newest release whose build is of a commit.
func (j Job) built(ctx context.Context, list []rack.Release, sha string) (rack.Release, error) {
	seen := map[string]bool{}
	for _, r := range list {
		if r.Build == "" || seen[r.Build] {
			continue
		}
		seen[r.Build] = true
		b, err := j.Rack.Build(ctx, r.App, r.Build)
		if errors.Is(err, rack.ErrNotFound) { // deleted since
			continue
		}
		if err != nil {
			return rack.Release{}, err
		}
		if strings.HasPrefix(b.GitSHA, sha) {
			return j.Rack.Release(ctx, r.App, r.ID)
		}
	}
	return rack.Release{}, &NoReleaseError{Wanted: fmt.Sprintf("none of the last %d before the active one is built from commit %s", len(list), sha)}
}

// different finds the newest release that is not the active one over again.
// Whether it was ever live no rack remembers.
func (j Job) different(ctx context.Context, list []rack.Release, active rack.Release) (rack.Release, error) {
	if active.ID == "" {
		return rack.Release{}, &NoReleaseError{Wanted: "the app has no active release to go back from"}
	}
	active, err := j.Rack.Release(ctx, active.App, active.ID)
	if err != nil {
		return rack.Release{}, err
	}
	for _, r := range list {
		if r.Build == "" {
			continue
		}
		if r, err = j.Rack.Release(ctx, r.App, r.ID); err != nil {
			return rack.Release{}, err
		}
		if r.Build != active.Build || !rack.CompareEnv(active.Variables(), r.Variables()).Empty() {
			return r, nil
		}
	}
	return rack.Release{}, &NoReleaseError{Wanted: "none before the active one differs from it"}
}
