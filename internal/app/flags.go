package app

import (
	"errors"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

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
		text = listLine(text)
		if f.given {
			text = f.text + "\n" + text
		}
	}
	f.text, f.given = text, true
	return nil
}

// listLine is a text as one line of a list, quoted as such a list wants it.
func listLine(text string) string { return `"` + strings.ReplaceAll(text, `"`, `""`) + `"` }

// addFlags makes a flag for each input but those by older names.
func addFlags(set *pflag.FlagSet, fields []options.Field) []*flag {
	var flags []*flag
	for _, field := range fields {
		if field.Legacy { // workflows have them, and nobody types them
			continue
		}
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
