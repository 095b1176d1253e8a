package workflow

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"unicode"

	"github.com/convox-ci/convox-ci/internal/options"
	"github.com/convox-ci/convox-ci/internal/rack"
)

const (
	maxEnvLine = 64<<10 - 1 // bytes of one variable: a rack fails at a longer line
	maxEnv     = 8 << 20    // bytes of an environment in the coding of forms: a rack ignores one over 10 MB
)

// EnvInputs are variables for the environment of an app.
type EnvInputs struct {
	Env        options.Pairs `env:"set-env" usage:"NAME=VALUE a line, variables of the app's environment; a bare NAME takes its value from the environment"`
	EnvFile    options.Path  `env:"env-file" usage:"file of NAME=VALUE lines, variables of the app's environment"`
	ReplaceEnv bool          `env:"replace-env" envDefault:"false" usage:"make the given variables all there are, instead of changing those that are named"`
	AllowDrop  bool          `env:"allow-drop" envDefault:"false" usage:"let replace-env leave out variables that the app has"`
}

// given tells whether there are variables to be set.
func (in EnvInputs) given() bool { return len(in.Env) > 0 }

// variables are what is given, once it was checked. Of two with one name the
// later counts.
func (in EnvInputs) variables() map[string]string {
	env := map[string]string{}
	for _, pair := range in.Env {
		env[pair.Key] = pair.Value
	}
	return env
}

// check puts the variables of the file and those that are given together, and
// finds everything that is wrong with them. What is given on the spot comes later.
func (in *EnvInputs) check(lookup func(string) (string, bool)) error {
	given, missing := in.Env.Resolve("set-env", lookup)
	fromFile, wrong := readEnvFile(string(in.EnvFile))
	found := []error{missing, wrong}
	if missing == nil {
		in.Env = append(fromFile, given...)
	}
	if in.ReplaceEnv && len(in.Env) == 0 && wrong == nil {
		found = append(found, refuse("replace-env", "true", "would leave no variable at all", "variables with set-env or env-file"))
	}
	return options.Join(append(found, checkVariables(in.variables()))...)
}

// checkVariables refuses what a rack cannot keep. Values are not shown.
func checkVariables(env map[string]string) error {
	var found []error
	for _, name := range slices.Sorted(maps.Keys(env)) {
		value := env[name]
		switch {
		case strings.ContainsAny(value, "\r\n"):
			found = append(found, refuse("set-env", name, "has a value with a line break, which a Rack cannot keep", "a value of one line"))
		case len(name)+len(value) >= maxEnvLine:
			found = append(found, refuse("set-env", name, "is too long for a Rack", "less than 64 KB a variable"))
		}
	}
	return options.Join(append(found, checkSize(rack.FormatEnv(env)))...)
}

// checkSize refuses an environment that a rack would not see, and answer that
// all is well.
func checkSize(env string) error {
	if len(url.QueryEscape(env)) > maxEnv {
		return refuse("set-env", "", "is too long for a Rack", "8 MB together, in the coding of forms")
	}
	return nil
}

// readEnvFile reads NAME=VALUE lines, none without a path. A value is all that
// follows the first =, as a rack keeps it; blank lines and those that begin with #
// are passed over.
func readEnvFile(path string) (options.Pairs, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, refuse("env-file", path, reason(err), "a file of NAME=VALUE lines")
	}
	var pairs options.Pairs
	var found []error
	for i, line := range strings.Split(strings.TrimPrefix(string(text), "\uFEFF"), "\n") {
		if trimmed := strings.TrimSpace(line); trimmed == "" || trimmed[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(strings.TrimSuffix(line, "\r"), "=")
		if name = strings.TrimSpace(name); !ok || !isVariable(name) { // the line itself may be a secret
			found = append(found, refuse("env-file", fmt.Sprintf("%s:%d", path, i+1), "is not NAME=VALUE",
				"NAME=VALUE lines, blank lines, and comments that begin with #"))
			continue
		}
		pairs = append(pairs, options.Pair{Key: name, Value: value})
	}
	return pairs, options.Join(found...)
}

// isVariable tells whether a rack's containers can have a variable of that name:
// "export A" is a slip.
func isVariable(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == '"' || r == '\'' })
}

// DroppedError says that an environment would lose variables.
type DroppedError struct{ Names []string }

func (e *DroppedError) Error() string {
	return "replace-env would leave out variables that the app has: " + strings.Join(e.Names, ", ")
}

// setEnv makes a release with the variables, if that changes anything, and
// returns the newest release.
func (j Job) setEnv(ctx context.Context, app string, in EnvInputs) (rack.Release, error) {
	next := in.variables()
	newest, _, err := j.Rack.NewestRelease(ctx, app)
	unseen := errors.Is(err, rack.ErrForbidden) || errors.Is(err, rack.ErrUnauthorized)
	if err != nil && !(unseen && in.ReplaceEnv && in.AllowDrop) { // a deploy key may replace what it may not read
		return newest, err
	}
	if !unseen {
		have := newest.Variables()
		if !in.ReplaceEnv {
			next = maps.Clone(have)
			maps.Copy(next, in.variables())
		}
		change := rack.CompareEnv(have, next)
		if len(change.Removed) > 0 && !in.AllowDrop {
			return newest, &DroppedError{Names: change.Removed}
		}
		if change.Empty() {
			j.printf("Environment: nothing changes")
			return newest, nil
		}
		j.printf("Environment: %s", change)
	}
	text := rack.FormatEnv(next)
	if err := checkSize(text); err != nil {
		return newest, err
	}
	r, err := j.Rack.MakeRelease(ctx, app, rack.ReleaseOptions{Env: &text})
	if err == nil {
		j.printf("Release: %s", r.ID)
	}
	return r, err
}
