package workflow

import (
	"regexp"

	"github.com/convox-ci/convox-ci/internal/options"
)

// LocalRack is the name of the rack that runs inside this process.
const LocalRack = "local"

// Connection is which rack, and the way there: the inputs that every verb has.
type Connection struct {
	Rack       string         `env:"rack" usage:"name of the rack as the console shows it; local runs one in this process"`
	Password   options.Secret `env:"password" usage:"deploy key"`
	Host       string         `env:"host" usage:"host of the console (default: console.convox.com)"`
	RackURL    options.Secret `env:"rack-url" usage:"URL of a rack without a console, https://convox:PASSWORD@HOST"`
	CAFile     options.Path   `env:"ca-file" usage:"PEM file of certificate authorities to trust besides the system's"`
	SkipVerify bool           `env:"insecure-skip-verify" envDefault:"false" usage:"accept any certificate"`
	Data       options.Path   `env:"data" usage:"directory of the local rack (default: below the user's state directory)"`
	OutputFile options.Path   `env:"output-file" usage:"file that all outputs are also written to, as JSON"`
}

// Target is which app on which rack.
type Target struct {
	Connection
	App string `env:"app" usage:"name of the app"`
}

// Where says where something is done.
func (t Target) Where() Target { return t }

// Where says where something is done that is about no app.
func (c Connection) Where() Target { return Target{Connection: c} }

// appName is what racks take as the name of an app. A name goes into the paths
// of requests, where a slash would make it mean something else.
var appName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*$`)

// serviceName is what racks take as the name of a service.
var serviceName = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

// recordID is what the ids of builds and releases are made of.
var recordID = regexp.MustCompile(`^[A-Za-z0-9]+$`)

// checkID refuses what cannot be the id of a build or a release. An empty one
// has been found missing already.
func checkID(input, id string) error {
	if id == "" || recordID.MatchString(id) {
		return nil
	}
	return refuse(input, id, "is not an id", "letters and digits, as in BABCDEFGHIJ or RABCDEFGHIJ")
}

// Check finds what the inputs lack together. A rack is either local, or asked
// directly, or behind a console.
func (c *Connection) Check(func(string) (string, bool)) error {
	return wrongInputs(append(c.lacks(true), c.wrong()...))
}

// Complete tells whether the inputs name a rack and the way to be let in. Those
// that do not are of use to a check alone.
func (c *Connection) Complete() bool { return len(c.lacks(true)) == 0 }

// Reachable tells whether the inputs say whom to ask, be it a console that is not
// told which rack is meant.
func (c *Connection) Reachable() bool { return len(c.lacks(false)) == 0 }

// lacks is what is missing; named says that a console must be told which rack is
// meant.
func (c *Connection) lacks(named bool) []options.Problem {
	var list []options.Problem
	if c.Rack == LocalRack || c.RackURL != "" {
		return nil
	}
	if c.Rack == "" && named {
		list = append(list, options.Problem{Input: "rack", Message: "is required",
			Accepted: []string{`the name of a rack, or "local", or rack-url in its place`}})
	}
	if c.Password == "" {
		list = append(list, options.Problem{Input: "password", Message: "is required",
			Accepted: []string{"a deploy key, or rack-url in its place"}})
	}
	return list
}

// wrong is what is wrong with the inputs that are there.
func (c *Connection) wrong() []options.Problem {
	if c.Rack != LocalRack && c.RackURL != "" && c.Host != "" {
		return []options.Problem{{Input: "host", Value: c.Host, Message: "contradicts rack-url, which names a host itself", Accepted: []string{"one of the two"}}}
	}
	return nil
}

// Check finds everything that is wrong with the inputs before anything is done.
func (t *Target) Check(func(string) (string, bool)) error {
	return wrongInputs(append(t.lacks(), t.wrong()...))
}

// checkKeyless is Check for what asks no rack, and so needs no key to it.
func (t *Target) checkKeyless(func(string) (string, bool)) error {
	list := t.wrong()
	for _, i := range [][2]string{{"rack", t.Rack}, {"app", t.App}} {
		if i[1] == "" {
			list = append(list, options.Problem{Input: i[0], Message: "is required"})
		}
	}
	return wrongInputs(list)
}

// lacks is what every verb about an app but check needs and is missing.
func (t *Target) lacks() []options.Problem {
	list := t.Connection.lacks(true)
	if t.App == "" {
		list = append([]options.Problem{{Input: "app", Message: "is required"}}, list...)
	}
	return list
}

// wrong is what is wrong with the inputs that are there.
func (t *Target) wrong() []options.Problem {
	return append(wrongApp("app", t.App), t.Connection.wrong()...)
}

// wrongApp refuses what cannot be the name of an app.
func wrongApp(input, app string) []options.Problem {
	if app == "" || appName.MatchString(app) {
		return nil
	}
	return []options.Problem{{Input: input, Value: app, Message: "is not the name of an app", Accepted: []string{"lower-case letters, digits, - and _"}}}
}

// wrongInputs is the error for problems, nil for none.
func wrongInputs(problems []options.Problem) error {
	if len(problems) == 0 {
		return nil
	}
	return &options.Error{Problems: problems}
}

// refuse is the fault of one input.
func refuse(input, value, message string, accepted ...string) error {
	return wrongInputs([]options.Problem{{Input: input, Value: value, Message: message, Accepted: accepted}})
}
