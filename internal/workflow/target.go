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
	App        string         `env:"app,notEmpty" usage:"name of the app"`
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
	found := &options.Error{}
	add := func(input, value, message, accepted string) {
		found.Problems = append(found.Problems, options.Problem{Input: input, Value: value, Message: message, Accepted: []string{accepted}})
	}
	if t.App != "" && !appName.MatchString(t.App) {
		add("app", t.App, "is not the name of an app", "lower-case letters, digits, - and _")
	}
	switch {
	case t.Rack == LocalRack:
	case t.RackURL != "":
		if t.Host != "" {
			add("host", t.Host, "contradicts rack-url, which names a host itself", "one of the two")
		}
	default:
		if t.Rack == "" {
			add("rack", "", "is required", `the name of a rack, or "local", or rack-url in its place`)
		}
		if t.Password == "" {
			add("password", "", "is required", "a deploy key, or rack-url in its place")
		}
	}
	if len(found.Problems) == 0 {
		return nil
	}
	return found
}
