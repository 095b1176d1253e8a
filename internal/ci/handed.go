package ci

import (
	"crypto/rand"
	"errors"
	"fmt"
)

// ErrNoEnvironment says that a CI system cannot give later steps a variable.
var ErrNoEnvironment = errors.New("this CI system has no way to give later steps a variable")

// exporter is a system that gives later steps variables. It is ErrNoEnvironment
// where it has named no file for them.
type exporter interface {
	export(name, value string) error
}

// rememberer is a system whose steps have a last stage.
type rememberer interface {
	remember(name, value string) error
}

// Export gives the later steps of the job a variable of the environment, as it is: a
// secret among them, which is masked there as well. Names and values are as for
// Output. It is [ErrNoEnvironment] where the system has no way to do that.
func (c *Console) Export(name, value string) error {
	if err := checkOutput(name, value); err != nil {
		return err
	}
	if e, ok := c.system.(exporter); ok {
		return e.export(name, value)
	}
	return ErrNoEnvironment
}

// Remember keeps a value for the last stage of this step, which runs when the job
// ends whatever became of this process; see [State]. Of several under one name
// the last counts. Where the system has no such stage nothing is kept, which is no
// error.
func (c *Console) Remember(name, value string) error {
	if err := checkOutput(name, value); err != nil {
		return err
	}
	if r, ok := c.system.(rememberer); ok {
		return r.remember(name, value)
	}
	return nil
}

// State is what earlier stages of a step have kept under a name, "" for nothing;
// see [Console.Remember].
//
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#sending-values-to-the-pre-and-post-actions
func State(environ []string, name string) string { return parseEnviron(environ)["STATE_"+name] }

func (g github) export(name, value string) error {
	if g.variables == "" {
		return ErrNoEnvironment
	}
	return appendPair("GITHUB_ENV", g.variables, name, value)
}

func (g github) remember(name, value string) error {
	if g.state == "" { // nobody would read it
		return nil
	}
	return appendPair("GITHUB_STATE", g.state, name, value)
}

// appendPair appends to a file of GitHub, in the form for values of several lines:
// it carries every value as it is.
func appendPair(variable, file, name, value string) error {
	end := fence(value, rand.Text)
	return appendOutput(variable, file, name, name+"<<"+end+"\n"+value+"\n"+end+"\n")
}

func (c circleci) export(name, value string) error {
	if c.file == "" {
		return ErrNoEnvironment
	}
	return appendOutput("BASH_ENV", c.file, name, fmt.Sprintf("export %s=%s\n", name, shellQuote(value)))
}
