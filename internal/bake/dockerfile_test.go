package bake_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/bake"
)

func TestBuildArgs(t *testing.T) {
	env := map[string]string{"FOO": "f", "BAR": "b=r", "BAZ": "", "QUX": "q"}
	for dockerfile, want := range map[string][]string{
		"":                               nil,
		"FROM scratch":                   nil,
		"ARG FOO":                        {"FOO=f"},
		"ARG FOO BAR":                    {"FOO=f"},
		"ARG BAZ=1 QUX=2":                {"BAZ="},
		"arg FOO=1":                      {"FOO=f"},
		"  \tArg\tBAR  ":                 {"BAR=b=r"},
		"ARG foo":                        nil,
		"#ARG FOO":                       nil,
		"# ARG FOO":                      nil,
		"ONBUILD ARG FOO":                nil,
		"ARG":                            nil,
		"ARG =FOO":                       nil,
		"ARG \"FOO\"":                    nil,
		"ARGFOO":                         nil,
		"ARG \\\n  FOO":                  nil,
		"RUN <<END\nARG FOO\nEND":        {"FOO=f"},
		"ARG OTHER\nARG QUX\r\nARG FOO":  {"QUX=q", "FOO=f"},
		"ARG FOO\r\nFROM a\r\nARG FOO=2": {"FOO=f"},
	} {
		if d := cmp.Diff(want, bake.BuildArgs(dockerfile, env)); d != "" {
			t.Errorf("%q: arguments (-want +got):\n%s", dockerfile, d)
		}
	}
}

// FuzzBuildArgs: every argument is a variable with its value, once, in whatever
// Dockerfile, and the file's own text is never in a name.
func FuzzBuildArgs(f *testing.F) {
	for _, seed := range []string{"ARG A", "arg A=1\r\nARG B", "ARG A\x00", "ARG A\nARG A", "\xffARG A", "ARG\u00a0A"} {
		f.Add(seed)
	}
	env := map[string]string{"A": "1", "B": "", "": "empty", "A\x00": "nul"}
	f.Fuzz(func(t *testing.T, dockerfile string) {
		args := bake.BuildArgs(dockerfile, env)
		for i, arg := range args {
			name, value, ok := strings.Cut(arg, "=")
			if want, known := env[name]; !ok || !known || value != want || name == "" {
				t.Errorf("%q is no variable", arg)
			}
			if slices.Contains(args[:i], arg) {
				t.Errorf("%q is there twice", arg)
			}
			if !strings.Contains(dockerfile, name) {
				t.Errorf("%q is not in the Dockerfile", name)
			}
		}
	})
}

func TestDevelopmentStage(t *testing.T) {
	for dockerfile, want := range map[string]string{
		"FROM a AS development":                             "development",
		"FROM a as DEVELOPMENT":                             "development",
		"  from\ta  As\tdevelopment  ":                      "development",
		"FROM --platform=x a AS development # c":            "development",
		"FROM a AS base\r\nFROM base AS development\r\nRUN": "development",
		"FROM a AS dev":                                     "",
		"FROM a AS development-base":                        "",
		"FROM a AS development.1":                           "",
		"FROM a AS my-development":                          "",
		"FROM development":                                  "",
		"FROM a \\\nAS development":                         "",
		"# FROM a AS development":                           "",
		"COPY --from=a AS development":                      "",
	} {
		r := &recorder{}
		o := order(t, "services:\n  a: {}", map[string]string{"Dockerfile": dockerfile})
		o.Development = true
		if _, _, err := run(t, r, o); err != nil {
			t.Fatal(err)
		}
		if got := r.specs[0].Target; got != want {
			t.Errorf("%q: target %q, want %q", dockerfile, got, want)
		}
	}
}

func TestBases(t *testing.T) {
	for dockerfile, want := range map[string][]string{
		"FROM a\n":     {"a"},
		"FROM scratch": nil,
		"  from --platform=x host:5000/a/b:1@sha256:0 as base \r\nRUN x\nFROM BASE\nFROM c AS d\nCOPY --from=e / /": {"host:5000/a/b:1@sha256:0", "c"},
		"ARG X=1\nFROM a:$X\nFROM ${Y}\nFROM a\nFROM a":                                                             {"a"},
		"# FROM a\nFROM": nil,
	} {
		if got := bake.Bases(dockerfile); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", dockerfile, got, want)
		}
	}
}
