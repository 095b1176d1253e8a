package app

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/convox-ci/convox-ci/internal/ci"
	"github.com/convox-ci/convox-ci/internal/options"
	"github.com/convox-ci/convox-ci/internal/rack"
)

// positionals are the inputs that may be given as arguments, in their order.
type positionals []string

// rest is the input that takes all arguments that are left, "" for none.
func (p positionals) rest() string {
	if len(p) == 0 {
		return ""
	}
	name, ok := strings.CutSuffix(p[len(p)-1], "...")
	if !ok {
		return ""
	}
	return name
}

// check refuses arguments that nothing takes.
func (p positionals) check(cmd *cobra.Command, args []string) error {
	switch {
	case len(p) == 0:
		return refuseArguments(cmd, args)
	case p.rest() != "" || len(args) <= len(p):
		return nil
	}
	return &options.Error{Problems: []options.Problem{{
		Input: "arguments", Value: args[len(p)], Message: "is one too many", Accepted: []string{cmd.UseLine()},
	}}}
}

// values are the inputs that arguments give. Several words of a command become
// one text that means the same words again; those of a list are its lines.
func (p positionals) values(fields []options.Field, args []string) map[string]string {
	values := map[string]string{}
	for i, name := range p {
		if i >= len(args) {
			break
		}
		values[name] = args[i]
	}
	rest := p.rest()
	if rest == "" || len(args) < len(p) {
		return values
	}
	words := args[len(p)-1:]
	delete(values, rest+"...")
	isList := slices.ContainsFunc(fields, func(f options.Field) bool { return f.Name == rest && f.Kind == options.KindList })
	switch {
	case isList:
		for i, w := range words {
			words[i] = listLine(w)
		}
		values[rest] = strings.Join(words, "\n")
	case len(words) == 1:
		values[rest] = words[0]
	default:
		values[rest] = rack.CommandLine(words)
	}
	return values
}

// argument is what usage texts call the positional form of an input.
func argument(input string) string {
	switch input {
	case "context":
		return "DIR"
	case "set-env...", "set-params...":
		return "NAME=VALUE..."
	case "to":
		return "RELEASE"
	}
	return strings.ToUpper(input)
}

// values collects the inputs: a flag or an argument counts before the
// environment, and empty is unset.
func (p *process) values(fields []options.Field, flags []*flag, takes positionals, args []string) (map[string]string, error) {
	var names []string
	for _, f := range fields {
		names = append(names, f.Name)
	}
	values := ci.Inputs(p.environ, names)
	given := takes.values(fields, args)
	for _, f := range flags {
		if !f.given || f.text == "" {
			continue
		}
		if other, ok := given[f.field.Name]; ok && other != f.text {
			problem := options.Problem{Input: f.field.Name, Value: f.text,
				Message: fmt.Sprintf("contradicts the argument %q", other), Accepted: []string{"one of the two"}}
			if f.field.Kind == options.KindList { // whose values may be secrets
				problem.Value, problem.Message = "", "is given both as a flag and as an argument"
			}
			return nil, &options.Error{Problems: []options.Problem{problem}}
		}
		values[f.field.Name] = f.text
	}
	for name, text := range given {
		if text != "" {
			values[name] = text
		}
	}
	return values, nil
}
