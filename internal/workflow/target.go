package workflow

import (
	"regexp"

	"github.com/convox-ci/convox-ci/internal/options"
)

// LocalRack is the name of the rack that runs inside this process.
const LocalRack = "local"

// Target is which app on which rack, and the way there: the inputs that every
// verb has.
type Target struct {
	Rack       string         `env:"rack" usage:"name of the rack as the console shows it; local runs one in this process"`
	App        string         `env:"app" usage:"name of the app"`
	Password   options.Secret `env:"password" usage:"deploy key"`
	Host       string         `env:"host" usage:"host of the console (default: console.convox.com)"`
	RackURL    options.Secret `env:"rack-url" usage:"URL of a rack without a console, https://convox:PASSWORD@HOST"`
	CAFile     options.Path   `env:"ca-file" usage:"PEM file of certificate authorities to trust besides the system's"`
	SkipVerify bool           `env:"insecure-skip-verify" envDefault:"false" usage:"accept any certificate"`
	Data       options.Path   `env:"data" usage:"directory of the local rack (default: below the user's state directory)"`
	OutputFile options.Path   `env:"output-file" usage:"file that all outputs are also written to, as JSON"`
}

// appName is what racks take as the name of an app. A name goes into the paths
// of requests, where a slash would make it mean something else.
var appName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*$`)

// recordID is what the ids of builds and releases are made of.
var recordID = regexp.MustCompile(`^[A-Za-z0-9]+$`)

// checkID refuses what cannot be the id of a build or a release. An empty one
// has been found missing already.
func checkID(input, id string) error {
	if id == "" || recordID.MatchString(id) {
		return nil
	}
	return &options.Error{Problems: []options.Problem{{Input: input, Value: id, Message: "is not an id",
		Accepted: []string{"letters and digits, as in BABCDEFGHIJ or RABCDEFGHIJ"}}}}
}

// Check finds what the inputs lack together. A rack is either local, or asked
// directly, or behind a console.
func (t *Target) Check(func(string) (string, bool)) error {
	return wrongInputs(append(t.lacks(), t.wrong()...))
}

// wrongInputs is the error for problems, nil for none.
func wrongInputs(problems []options.Problem) error {
	if len(problems) == 0 {
		return nil
	}
	return &options.Error{Problems: problems}
}

// Complete tells whether the inputs name a rack and the way to be let in. Those
// that do not are of use to a check alone.
func (t *Target) Complete() bool {
	return t.Rack == LocalRack || t.RackURL != "" || t.Rack != "" && t.Password != ""
}

// lacks is what every verb but check needs and is missing.
func (t *Target) lacks() []options.Problem {
	var list []options.Problem
	if t.App == "" {
		list = append(list, options.Problem{Input: "app", Message: "is required"})
	}
	if t.Complete() {
		return list
	}
	if t.Rack == "" {
		list = append(list, options.Problem{Input: "rack", Message: "is required",
			Accepted: []string{`the name of a rack, or "local", or rack-url in its place`}})
	}
	if t.Password == "" {
		list = append(list, options.Problem{Input: "password", Message: "is required",
			Accepted: []string{"a deploy key, or rack-url in its place"}})
	}
	return list
}

// wrong is what is wrong with the inputs that are there.
func (t *Target) wrong() []options.Problem {
	var list []options.Problem
	if t.App != "" && !appName.MatchString(t.App) {
		list = append(list, options.Problem{Input: "app", Value: t.App, Message: "is not the name of an app",
			Accepted: []string{"lower-case letters, digits, - and _"}})
	}
	if t.Rack != LocalRack && t.RackURL != "" && t.Host != "" {
		list = append(list, options.Problem{Input: "host", Value: t.Host, Message: "contradicts rack-url, which names a host itself",
			Accepted: []string{"one of the two"}})
	}
	return list
}
