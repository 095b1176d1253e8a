package app

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/convox-ci/convox-ci/internal/ci"
	"github.com/convox-ci/convox-ci/internal/options"
)

// flag holds the text of one flag; [options.Parse] reads it with those of the
// environment, so that both are judged alike.
type flag struct {
	field options.Field
	text  string
	given bool
}

func (f *flag) String() string { return f.text }
func (f *flag) Type() string   { return string(f.field.Kind) }

// Set adds a further line to a list, quoted as such a list wants it.
func (f *flag) Set(text string) error {
	if f.field.Kind == options.KindList {
		text = `"` + strings.ReplaceAll(text, `"`, `""`) + `"`
		if f.given {
			text = f.text + "\n" + text
		}
	}
	f.text, f.given = text, true
	return nil
}

// addFlags makes a flag for each input.
func addFlags(set *pflag.FlagSet, fields []options.Field) []*flag {
	var flags []*flag
	for _, field := range fields {
		f := &flag{field: field}
		usage := field.Usage
		if field.Default != "" && field.Kind != options.KindBool {
			usage += " (default: " + field.Default + ")"
		}
		made := set.VarPF(f, field.Name, "", usage)
		if field.Kind == options.KindBool {
			made.NoOptDefVal = "true"
		}
		flags = append(flags, f)
	}
	return flags
}

// flagError names the flag that may have been meant.
func flagError(cmd *cobra.Command, err error) error {
	p := options.Problem{Input: "flags", Message: err.Error()}
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		dashes := "--"
		if unknown.GetSpecifiedShortnames() != "" {
			dashes = "-"
		}
		p = options.Problem{Input: dashes + unknown.GetSpecifiedName(), Message: "is not a flag of " + cmd.CommandPath()}
		if near := options.Nearest(unknown.GetSpecifiedName(), names); near != "" {
			p.Accepted = []string{"--" + near}
		}
	}
	return &options.Error{Problems: []options.Problem{p}}
}

// refuseArguments is for commands without arguments. Where a command has others
// below it, an argument is one of those, mistyped.
func refuseArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	p := options.Problem{Input: "arguments", Value: args[0], Message: "is one too many: " + cmd.CommandPath() + " takes none"}
	if cmd.HasSubCommands() {
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() {
				p.Accepted = append(p.Accepted, c.Name())
			}
		}
		if near := options.Nearest(args[0], p.Accepted); near != "" {
			p.Accepted = []string{near}
		}
		p.Input, p.Message = "command", "is not one of "+cmd.CommandPath()
	}
	return &options.Error{Problems: []options.Problem{p}}
}

// oneArgument is for commands that take an input as an argument.
func oneArgument(cmd *cobra.Command, args []string) error {
	if len(args) <= 1 {
		return nil
	}
	return &options.Error{Problems: []options.Problem{{
		Input: "arguments", Value: args[1], Message: "is one too many", Accepted: []string{cmd.UseLine()},
	}}}
}

// argument is what usage texts call the positional form of an input.
func argument(input string) string {
	if input == "context" {
		return "DIR"
	}
	return strings.ToUpper(input)
}

// values collects the inputs: a flag or an argument counts before the
// environment, and empty is unset.
func (p *process) values(fields []options.Field, flags []*flag, positional string, args []string) (map[string]string, error) {
	var names []string
	for _, f := range fields {
		names = append(names, f.Name)
	}
	values := ci.Inputs(p.environ, names)
	for _, f := range flags {
		if !f.given || f.text == "" {
			continue
		}
		if len(args) == 1 && f.field.Name == positional && f.text != args[0] {
			return nil, &options.Error{Problems: []options.Problem{{Input: positional, Value: f.text,
				Message: fmt.Sprintf("contradicts the argument %q", args[0]), Accepted: []string{"one of the two"}}}}
		}
		values[f.field.Name] = f.text
	}
	if len(args) == 1 && args[0] != "" {
		values[positional] = args[0]
	}
	return values, nil
}

// maskSecrets hides secrets before anything else is said: they may stand in any
// value that a fault shows. Of a URL the password is hidden by itself as well.
func (p *process) maskSecrets(fields []options.Field, values map[string]string) {
	for _, f := range fields {
		value := values[f.Name]
		if !f.Secret || value == "" {
			continue
		}
		p.console.Mask(value)
		if u, err := url.Parse(value); err == nil && u.User != nil {
			password, _ := u.User.Password()
			p.console.Mask(password)
		}
	}
}
