package workflow

import (
	"github.com/convox-ci/convox-ci/internal/options"
)

// Telling says how a run tells of itself beside its log.
type Telling struct {
	Summary     bool `env:"summary" envDefault:"true" usage:"write a summary: on GitHub to the page of the run, elsewhere to the end of the log"`
	Annotations bool `env:"annotations" envDefault:"true" usage:"annotate the run with errors and warnings, at their file and line; else they are lines of the log"`
}

// Tells says how a run tells of itself.
func (t Telling) Tells() Telling { return t }

// Recorded says whether a deployment is recorded on GitHub.
type Recorded struct {
	Deployment  bool           `env:"deployment" envDefault:"false" usage:"record a deployment of the commit on GitHub, and how it ended"`
	GitHubToken options.Secret `env:"github-token" usage:"token with the permission deployments: write, for the input deployment alone"`
	Environment string         `env:"environment" usage:"environment that a deployment is recorded for (default: the name of the rack)"`
}

// Recording says what is recorded of a run.
func (r Recorded) Recording() Recorded { return r }

// check finds what a record lacks. The rack has a name, unless it is asked by its
// URL alone.
func (r Recorded) check(rack string) error {
	var list []options.Problem
	if r.Deployment && r.GitHubToken == "" {
		list = append(list, options.Problem{Input: "github-token", Message: "is required by deployment",
			Accepted: []string{"${{ github.token }}, in a job with the permission deployments: write"}})
	}
	if r.Deployment && r.Environment == "" && rack == "" {
		list = append(list, options.Problem{Input: "environment", Message: "is required by deployment where no rack is named",
			Accepted: []string{"the name of an environment"}})
	}
	return wrongInputs(list)
}
