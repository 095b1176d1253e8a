package options_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/convox-ci/convox-ci/internal/options"
	"github.com/google/go-cmp/cmp"
)

type Connection struct {
	App      string         `env:"app,notEmpty" usage:"Name of the app"`
	Password options.Secret `env:"password,notEmpty"`
}

type inputs struct {
	Connection
	Action   string         `env:"action" envDefault:"build" accept:"build,deploy,promote" usage:"What to do"`
	NoCache  bool           `env:"no-cache"`
	Wait     bool           `env:"wait" envDefault:"true"`
	Wildcard options.Switch `env:"wildcard-domain"`
	Timeout  time.Duration  `env:"timeout" envDefault:"60m"`
	Args     options.Pairs  `env:"build-args"`
	Context  options.Path   `env:"context" envDefault:"."`
}

func TestParse(t *testing.T) {
	got := inputs{}
	err := options.Parse(&got, map[string]string{
		"app": "web", "password": "correct horse", "action": "", "no-cache": "1", "wait": "False", "wildcard-domain": "false",
		"timeout": "1h30m", "build-args": "A=1,2\nB", "context": "a//b/../c", "unknown": "x",
	})
	want := inputs{
		Connection: Connection{App: "web", Password: "correct horse"},
		Action:     "build", NoCache: true, Wildcard: options.Off, Timeout: 90 * time.Minute,
		Args: options.Pairs{{Key: "A", Value: "1,2"}, {Key: "B", FromEnv: true}}, Context: "a/c",
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestParseDefaults(t *testing.T) {
	t.Setenv("app", "from the environment")
	t.Setenv("password", "from the environment")
	got := inputs{}
	err := options.Parse(&got, map[string]string{"app": "web", "password": "correct horse"})
	want := inputs{
		Connection: Connection{App: "web", Password: "correct horse"},
		Action:     "build", Wait: true, Timeout: time.Hour, Context: ".",
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	if err := options.Parse(&got, nil); err == nil {
		t.Error("a missing input came from somewhere")
	}
}

func TestParseReportsEveryFault(t *testing.T) {
	err := options.Parse(&inputs{}, map[string]string{
		"password": "", "action": "depoly", "no-cache": "yes", "wildcard-domain": "on", "timeout": "abc",
		"build-args": "A=1\n\n=hunter22\nB C=hunter22", "context": "a\x00b",
	})
	want := `app: is required
password: is required
action: "depoly" is not accepted, did you mean deploy?; accepted: build, deploy, promote
no-cache: "yes" is not a boolean; accepted: true, True, TRUE, 1, false, False, FALSE, 0
wildcard-domain: "on" is not a boolean; accepted: true, True, TRUE, 1, false, False, FALSE, 0
timeout: "abc" is not a duration; accepted: 90s, 30m, 1h
build-args: line 3 is not a pair; accepted: KEY=VALUE, KEY
build-args: line 4 is not a pair; accepted: KEY=VALUE, KEY
context: "a\x00b" holds a NUL byte`
	if err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Error(diff)
	}
	if e, ok := errors.AsType[*options.Error](err); !ok || e.Problems[2].Input != "action" || e.Problems[2].Value != "depoly" {
		t.Errorf("%#v", err)
	}
}

func TestParseDuration(t *testing.T) {
	type one struct {
		Timeout time.Duration `env:"timeout"`
	}
	for text, want := range map[string]string{
		"90":  `timeout: "90" has no unit; accepted: 90s, 30m, 1h`,
		"1.5": `timeout: "1.5" has no unit; accepted: 90s, 30m, 1h`,
		"0":   `timeout: "0" has no unit; accepted: 90s, 30m, 1h`,
		"0s":  `timeout: "0s" is not longer than zero; accepted: 90s, 30m, 1h`,
		"-1m": `timeout: "-1m" is not longer than zero; accepted: 90s, 30m, 1h`,
		"1 h": `timeout: "1 h" is not a duration; accepted: 90s, 30m, 1h`,
	} {
		if err := options.Parse(&one{}, map[string]string{"timeout": text}); err == nil || err.Error() != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestSwitch(t *testing.T) {
	type one struct {
		Wildcard options.Switch `env:"wildcard-domain"`
	}
	for text, want := range map[string]struct{ set, on bool }{"": {}, "0": {true, false}, "TRUE": {true, true}} {
		var got one
		err := options.Parse(&got, map[string]string{"wildcard-domain": text})
		if err != nil || got.Wildcard.IsSet() != want.set || got.Wildcard.IsOn() != want.on {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

func TestLongValueIsCut(t *testing.T) {
	err := options.Parse(&inputs{}, map[string]string{"app": "a", "password": "correct horse", "timeout": strings.Repeat("é", 1000)})
	if err == nil || !strings.Contains(err.Error(), `"`+strings.Repeat("é", 40)+`…"`) {
		t.Errorf("got %v", err)
	}
}

type hidden struct {
	Name string `env:"name"`
}

// What the library would misread or pass over without a word is refused.
func TestMisdeclared(t *testing.T) {
	tests := map[string]struct {
		dst  any
		want string
	}{
		"not a pointer":    {inputs{}, "inputs: options_test.inputs is not a pointer to a struct"},
		"nothing":          {nil, "inputs: <nil> is not a pointer to a struct"},
		"not exported":     {&struct{ a string }{}, "field a: is not exported"},
		"embedded, hidden": {&struct{ hidden }{}, "field hidden: is not exported"},
		"no tag":           {&struct{ A string }{}, "field A: has no env tag"},
		"required": {&struct {
			A string `env:"a,required"`
		}{}, `field A: env option "required" is not supported`},
		"slice": {&struct {
			A []string `env:"a"`
		}{}, "field A: type []string is not supported"},
		"accept of another type": {&struct {
			A options.Secret `env:"a" accept:"b"`
		}{}, "field A: accept is for strings, not for options.Secret"},
		"default not accepted": {&struct {
			A string `env:"a" envDefault:"c" accept:"a,b"`
		}{}, `field A: default "c" is not accepted`},
		"same input": {&struct {
			A string `env:"a"`
			B string `env:"a"`
		}{}, "a (B) is declared twice"},
		"same field": {&struct {
			Connection
			App string `env:"other"`
		}{}, "other (App) is declared twice"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := options.Parse(test.dst, nil)
			if err == nil || !strings.HasSuffix(err.Error(), test.want) {
				t.Errorf("got %v, want …%s", err, test.want)
			}
			defer func() {
				if recover() == nil {
					t.Error("Fields did not panic")
				}
			}()
			options.Fields(test.dst)
		})
	}
}

func TestFields(t *testing.T) {
	want := []options.Field{
		{Name: "app", Usage: "Name of the app", Required: true, Kind: options.KindString},
		{Name: "password", Required: true, Kind: options.KindSecret, Secret: true},
		{Name: "action", Usage: "What to do", Default: "build", Kind: options.KindString, Accept: []string{"build", "deploy", "promote"}},
		{Name: "no-cache", Kind: options.KindBool},
		{Name: "wait", Default: "true", Kind: options.KindBool},
		{Name: "wildcard-domain", Kind: options.KindBool},
		{Name: "timeout", Default: "60m", Kind: options.KindDuration},
		{Name: "build-args", Kind: options.KindList},
		{Name: "context", Default: ".", Kind: options.KindPath},
	}
	if diff := cmp.Diff(want, options.Fields(&inputs{})); diff != "" {
		t.Error(diff)
	}
}

func TestNearest(t *testing.T) {
	names := []string{"deploy", "deplore", "rack", "rack-url", "release", "build-args", "no-cache", "b"}
	for name, want := range map[string]string{
		"deploys": "deploy", "rakc": "", "rack_url": "rack-url", "relaese": "release", "buildargs": "build-args", "NO-CACHE": "no-cache", "racks": "rack", "x": "", "": "", "timeout": "",
	} {
		if got := options.Nearest(name, names); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

func TestJoin(t *testing.T) {
	one := &options.Error{Problems: []options.Problem{{Input: "a", Message: "is required"}}}
	two := &options.Error{Problems: []options.Problem{{Input: "b", Message: "is required"}}}
	other := errors.New("no network")
	if err := options.Join(nil, nil); err != nil {
		t.Errorf("of nothing: %v", err)
	}
	err := options.Join(one, nil, other, two)
	if want := "a: is required\nb: is required\nno network"; err == nil || err.Error() != want || !errors.Is(err, other) {
		t.Errorf("got %v", err)
	}
	if e, ok := errors.AsType[*options.Error](err); !ok || len(e.Problems) != 2 {
		t.Errorf("got %#v", err)
	}
}
