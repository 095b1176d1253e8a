// Package options turns inputs, which are text, into typed values. It checks all
// of them and reports every fault at once, because a second try costs a CI run.
package options

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/caarlos0/env/v10"
)

// Parse fills dst, a pointer to a struct, from values by input name. Fields say
// what they are by tags:
//
//	env:"timeout"           the input's name; env:"app,notEmpty" when it is needed
//	envDefault:"60m"        the text used when the input is absent or empty
//	accept:"build,deploy"   the only values taken, of a string
//	usage:"How long …"      what a person reads, see [Fields]
//	legacy:"true"           a name that older actions have for another input
//
// Their types are string, bool, int, [time.Duration], [Switch], [Pairs], [Secret] and
// [Path]; exported structs may be embedded. Values with other names are left
// alone.
//
// The error is an [*Error] when values are at fault. Any other error is a fault
// of the struct, and no input can mend it. On error dst is filled in part.
func Parse(dst any, values map[string]string) error {
	declared, err := declarations(dst)
	if err != nil {
		return err
	}
	// Nothing may come from elsewhere: without a map the library takes the
	// process environment.
	if values == nil {
		values = map[string]string{}
	}
	err = env.ParseWithOptions(dst, env.Options{Environment: values, FuncMap: parsers()})
	var many env.AggregateError
	if err != nil && !errors.As(err, &many) {
		return fmt.Errorf("parse inputs: %w", err)
	}
	found, err := problems(many.Errors, declared, values)
	if err != nil {
		return err
	}
	return report(slices.Concat(found, refused(declared, values)), declared)
}

// parsers returns how each type is read. Types built on string are copied by the
// library itself.
func parsers() map[reflect.Type]env.ParserFunc {
	return map[reflect.Type]env.ParserFunc{
		reflect.TypeFor[bool]():          func(v string) (any, error) { return parseBool(v) },
		reflect.TypeFor[Switch]():        func(v string) (any, error) { return parseSwitch(v) },
		reflect.TypeFor[int]():           func(v string) (any, error) { return parseNumber(v) },
		reflect.TypeFor[time.Duration](): func(v string) (any, error) { return parseDuration(v) },
		reflect.TypeFor[Pairs]():         func(v string) (any, error) { return ParsePairs(v) },
		reflect.TypeFor[Path]():          func(v string) (any, error) { return parsePath(v) },
	}
}

// problems translates what the library found. It names Go's field where its
// parser failed; inputs are what people know.
func problems(found []error, declared []declaration, values map[string]string) ([]Problem, error) {
	var list []Problem
	for _, err := range found {
		var (
			empty env.EmptyEnvVarError
			parse env.ParseError
			fault faults
		)
		switch {
		case errors.As(err, &empty):
			list = append(list, Problem{Input: empty.Key, Message: "is required"})
		case errors.As(err, &parse) && errors.As(parse.Err, &fault):
			i := slices.IndexFunc(declared, func(d declaration) bool { return d.goName == parse.Name })
			for _, f := range fault {
				list = append(list, declared[i].problem(f, values))
			}
		default:
			return nil, fmt.Errorf("parse inputs: %w", err)
		}
	}
	return list, nil
}

// refused checks the inputs that accept some values only.
func refused(declared []declaration, values map[string]string) []Problem {
	var list []Problem
	for _, d := range declared {
		value := values[d.Name]
		if len(d.Accept) == 0 || value == "" || slices.Contains(d.Accept, value) {
			continue
		}
		message := "is not accepted"
		if near := Nearest(value, d.Accept); near != "" {
			message += ", did you mean " + near + "?"
		}
		list = append(list, d.problem(fault{message: message, accepted: d.Accept}, values))
	}
	return list
}

// report orders problems as the struct orders its fields; nil when there are none.
func report(list []Problem, declared []declaration) error {
	if len(list) == 0 {
		return nil
	}
	place := make(map[string]int, len(declared))
	for i, d := range declared {
		place[d.Name] = i
	}
	slices.SortStableFunc(list, func(a, b Problem) int { return place[a.Input] - place[b.Input] })
	return &Error{Problems: list}
}
