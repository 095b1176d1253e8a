package manifest_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/manifest"
)

// form is a way to write a key of a service, and what it stands for.
type form struct {
	written string // key and value
	want    any
}

// checkForms compares what pick takes out of a service, or the fault, with what is
// wanted; a fault is wanted as its message.
func checkForms(t *testing.T, pick func(manifest.Service) any, forms []form) {
	t.Helper()
	for _, f := range forms {
		m, err := manifest.Load([]byte("services: {web: {"+f.written+"}}"), map[string]string{"N": "7", "TEXT": "hunter22"})
		var got any
		if err != nil {
			got = err.Error()
		} else {
			got = pick(m.Services[0])
		}
		if diff := cmp.Diff(f.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", f.written, diff)
		}
	}
}

// into is the message for one value of a wrong type in the only line.
func into(what string) string { return "yaml: unmarshal errors:\n  line 1: cannot unmarshal " + what }

func TestHealth(t *testing.T) {
	const wrong = "unknown type for service health: "
	checkForms(t, func(s manifest.Service) any { return s.Health }, []form{
		{"", manifest.Health{"/", 5, 5, 4}},
		{"health: ~", manifest.Health{"/", 5, 5, 4}},
		{"health: ''", manifest.Health{"/", 5, 5, 4}},
		{"health: /up", manifest.Health{"/up", 5, 5, 4}},
		{"health: {path: /up}", manifest.Health{"/up", 5, 5, 4}},
		{"health: {interval: 10}", manifest.Health{"/", 10, 10, 9}},
		{"health: {grace: 2, timeout: 9}", manifest.Health{"/", 5, 2, 9}},
		{"health: {interval: 6.0, grace: 0, timeout: 0}", manifest.Health{"/", 6, 6, 5}},
		{"health: {interval: '10', grace: [1], path: 5, timeout: 2.5, other: 1}", manifest.Health{"/", 5, 5, 4}},
		{"health: 5", wrong + "int"},
		{"health: yes", wrong + "bool"},
		{"health: [/up]", wrong + "[]interface {}"},
	})
}

func TestPort(t *testing.T) {
	const number = "strconv.Atoi: parsing "
	checkForms(t, func(s manifest.Service) any { return s.Port }, []form{
		{"", manifest.Port{}},
		{"port: ~", manifest.Port{}},
		{"port: 3000", manifest.Port{3000, "http"}},
		{"port: '3000'", manifest.Port{3000, "http"}},
		{"port: 0", manifest.Port{}},
		{"port: 70000", manifest.Port{70000, "http"}},
		{"port: -1", manifest.Port{-1, ""}},
		{"port: ${N}", manifest.Port{7, "http"}},
		{"port: https:3000", manifest.Port{3000, "https"}},
		{"port: secure-grpc:3000:tcp", manifest.Port{3000, "secure-grpc"}},
		{"port: ':3000'", manifest.Port{3000, "http"}},
		{"port: {port: 3000}", manifest.Port{3000, "http"}},
		{"port: {port: 3000, scheme: https}", manifest.Port{3000, "https"}},
		{"port: {port: 'https:3000', scheme: ~}", manifest.Port{3000, "https"}},
		{"port: {scheme: grpc, port: 'https:3000'}", manifest.Port{3000, "grpc"}},
		{"port: 3000/http", number + `"3000/http": invalid syntax`},
		{"port: https:x", number + `"x": invalid syntax`},
		{"port: ''", number + `"": invalid syntax`},
		{"port: '99999999999999999999'", number + `"99999999999999999999": value out of range`},
		{"port: https:${TEXT}", number + `"...": invalid syntax`},
		{"port: {}", "could not parse port: map[]"},
		{"port: {port: 0, scheme: x}", "could not parse port: map[port:0 scheme:x]"},
		{"port: {port: yes}", "could not parse port: map[port:true]"},
		{"port: {port: 1, scheme: 2}", "could not parse port: map[port:1 scheme:2]"},
		{"port: {port: [~, {b: 1.0, a: ${TEXT}}]}", "could not parse port: map[port:[<nil> map[a:... b:1]]]"},
		{"port: yes", "invalid port: true"},
		{"port: [3000]", "invalid port: [3000]"},
	})
}

func TestScale(t *testing.T) {
	whole := func(count manifest.Range) manifest.Scale {
		return manifest.Scale{Count: count, CPU: 256, Memory: 512, Cooldown: manifest.Cooldown{Up: 60, Down: 60}}
	}
	one := manifest.Range{Min: 1, Max: 1}
	with := func(count manifest.Range, change func(*manifest.Scale)) manifest.Scale {
		s := whole(count)
		change(&s)
		return s
	}
	cool := func(up, down int) func(*manifest.Scale) {
		return func(s *manifest.Scale) { s.Cooldown = manifest.Cooldown{Up: up, Down: down} }
	}
	const number = "strconv.Atoi: parsing "
	checkForms(t, func(s manifest.Service) any { return s.Scale }, []form{
		{"", whole(one)},
		{"scale: ~", whole(manifest.Range{})},
		{"scale: {}", whole(manifest.Range{})},
		{"scale: 3", whole(manifest.Range{Min: 3, Max: 3})},
		{"scale: 2.0", whole(manifest.Range{Min: 2, Max: 2})},
		{"scale: '3'", whole(manifest.Range{Min: 3, Max: 3})},
		{"scale: 1-3", whole(manifest.Range{Min: 1, Max: 3})},
		{"scale: 3-1", whole(manifest.Range{Min: 3, Max: 1})},
		{"scale: {count: 1-3}", whole(manifest.Range{Min: 1, Max: 3})},
		{"scale: {count: 0}", whole(manifest.Range{})},
		{"scale: {count: ~}", whole(manifest.Range{})},
		{"scale: {count: {min: 1, max: '3'}}", whole(manifest.Range{Min: 1, Max: 3})},
		{"scale: {count: {min: 2}}", whole(manifest.Range{Min: 2})},
		{"scale: {unknown: ~}", whole(one)},
		{"scale: {cpu: 128, memory: 64}", with(one, func(s *manifest.Scale) { s.CPU, s.Memory = 128, 64 })},
		{"scale: {cpu: '128', memory: 0}", whole(one)},
		{"scale: {cooldown: 7}", with(one, cool(7, 7))},
		{"scale: {cooldown: '7'}", with(one, cool(7, 7))},
		{"scale: {cooldown: {up: 7}}", with(one, cool(7, 0))},
		{"scale: {cooldown: {up: '7', down: 8}}", with(one, cool(7, 8))},
		{"scale: {cooldown: ~}", with(one, cool(0, 0))},
		{"scale: {targets: {cpu: 50, memory: 60.9, requests: 70}}", with(one, func(s *manifest.Scale) {
			s.Targets = manifest.Targets{CPU: 50, Memory: 60, Requests: 70}
		})},
		{"scale: {targets: {custom: {B/C/d: {aggregate: avg, value: 1.5, dimensions: {z: 6.0, x: yes}}, a: {value: 2}, /: }}}", with(one, func(s *manifest.Scale) {
			s.Targets.Custom = []manifest.Metric{
				{Namespace: "B/C", Name: "d", Aggregate: "avg", Value: 1.5, Dimensions: []manifest.Setting{{"z", "6"}, {"x", "true"}}},
				{Name: "a", Value: 2}, {},
			}
		})},
		{"scale: 3+", number + `"3+": invalid syntax`},
		{"scale: '-1'", number + `"": invalid syntax`},
		{"scale: 1-b", number + `"b": invalid syntax`},
		{"scale: 1-2-3", "invalid scale: 1-2-3"},
		{"scale: {count: yes}", "invalid scale: true"},
		{"scale: {count: {min: 1, max: 2.5}}", "invalid scale: map[max:2.5 min:1]"},
		{"scale: {cooldown: yes}", "invalid cooldown: true"},
		{"scale: {cooldown: {up: [], down: 1}}", "invalid cooldown: map[down:1 up:[]]"},
		{"scale: {cooldown: soon}", number + `"soon": invalid syntax`},
		{"scale: yes", "unknown type for service scale: bool"},
		{"scale: 2.5", "unknown type for service scale: float64"},
		{"scale: [1]", "unknown type for service scale: []interface {}"},
		{"scale: {targets: 5}", into("!!int `5` into manifest.ServiceScaleTargets")},
		{"scale: {targets: {cpu: '5'}}", into("!!str `5` into int")},
		{"scale: {targets: {custom: []}}", into("!!seq into map[string]manifest.ServiceScaleMetric")},
		{"scale: {targets: {custom: {a: 1}}}", into("!!int `1` into manifest.ServiceScaleMetric")},
		{"scale: {targets: {custom: {a: {value: x}}}}", into("!!str `x` into float64")},
	})
}

func TestOperation(t *testing.T) {
	type operation struct {
		Agent      manifest.Agent
		Deployment manifest.Deployment
		Drain      int
		Grace      int
		Singleton  bool
	}
	plain := operation{Deployment: manifest.Deployment{Minimum: 50, Maximum: 200}, Drain: 30, Grace: 30}
	with := func(change func(*operation)) operation {
		o := plain
		change(&o)
		return o
	}
	agent := func(ports ...manifest.AgentPort) operation {
		return operation{Agent: manifest.Agent{Enabled: true, Ports: ports}, Deployment: manifest.Deployment{Minimum: 0, Maximum: 100}, Drain: 30, Grace: 30}
	}
	checkForms(t, func(s manifest.Service) any {
		return operation{s.Agent, s.Deployment, s.Drain, s.Grace, s.Singleton}
	}, []form{
		{"", plain},
		{"agent: ~, deployment: , drain: , termination: , singleton: ", plain},
		{"agent: no", plain},
		{"agent: true", agent()},
		{"agent: {}", agent()},
		{"agent: {enabled: false}", agent()},
		{"agent: {ports: 5}", agent()},
		{"agent: {ports: [8125, 8126/udp, '8127', 8128/udp/x, ~]}", agent(manifest.AgentPort{8125, "tcp"}, manifest.AgentPort{8126, "udp"},
			manifest.AgentPort{8127, ""}, manifest.AgentPort{8128, "udp"}, manifest.AgentPort{})},
		{"singleton: yes", with(func(o *operation) { o.Singleton, o.Deployment = true, manifest.Deployment{Minimum: 0, Maximum: 100} })},
		{"singleton: yes, deployment: {minimum: 20}", with(func(o *operation) { o.Singleton, o.Deployment = true, manifest.Deployment{Minimum: 20, Maximum: 100} })},
		{"deployment: {minimum: 0, maximum: 150}", with(func(o *operation) { o.Deployment = manifest.Deployment{Minimum: 0, Maximum: 150} })},
		{"deployment: {minimum: ~}", with(func(o *operation) { o.Deployment = manifest.Deployment{Minimum: 0, Maximum: 200} })},
		{"drain: 0", plain},
		{"drain: 5.7", with(func(o *operation) { o.Drain = 5 })},
		{"termination: {}", plain},
		{"termination: {grace: 0}", with(func(o *operation) { o.Grace = 0 })},
		{"termination: {grace: ~}", with(func(o *operation) { o.Grace = 0 })},
		{"termination: {grace: 45}", with(func(o *operation) { o.Grace = 45 })},
		{"agent: 5", "could not parse agent: 5"},
		{"agent: 'true'", "could not parse agent: true"},
		{"agent: [1]", "could not parse agent: [1]"},
		{"agent: {ports: [yes]}", "invalid port: true"},
		{"agent: {ports: [x/udp]}", `strconv.Atoi: parsing "x": invalid syntax`},
		{"deployment: 50", into("!!int `50` into manifest.ServiceDeployment")},
		{"termination: 30", into("!!int `30` into manifest.ServiceTermination")},
		{"drain: '30'", into("!!str `30` into int")},
		{"drain: yes", into("!!bool `true` into int")},
		{"drain: 1e+30", into("!!float `1e+30` into int")},
		{"drain: 18446744073709551615", into("!!int `1844674...` into int")},
		{"singleton: 'false'", into("!!str `false` into bool")},
		{"singleton: maybe", into("!!str `maybe` into bool")},
		{"singleton: 1", into("!!int `1` into bool")},
	})
}

func TestTraffic(t *testing.T) {
	const wrong = "unknown type for service domain: "
	checkForms(t, func(s manifest.Service) any { return s.Domains }, []form{
		{"", []string(nil)},
		{"domain: a.example.org", []string{"a.example.org"}},
		{"domain: 'a.example.org, b.example.org,, '", []string{"a.example.org", "b.example.org"}},
		{"domain: [a.example.org, ' b.example.org ', '', 'c,d']", []string{"a.example.org", "b.example.org", "c,d"}},
		{"domain: ${NONE}", []string(nil)},
		{"domain: [${NONE}]", []string(nil)},
		{"domain: ['${NONE}']", []string(nil)},
		{"domain: 5", wrong + "int"},
		{"domain: {a: b}", wrong + "map[interface {}]interface {}"},
		{"domain: [a, ~]", wrong + "<nil>"},
		{"domain: [6.0]", wrong + "int"},
	})
	type flags struct{ Internal, Both, Sticky bool }
	checkForms(t, func(s manifest.Service) any { return flags{s.Internal, s.InternalAndExternal, s.Sticky} }, []form{
		{"", flags{Sticky: true}},
		{"internal: yes", flags{Internal: true, Sticky: true}},
		{"internalAndExternal: on, internal: off", flags{Internal: true, Both: true, Sticky: true}},
		{"sticky: no", flags{}},
		{"sticky: ~", flags{}},
		{"sticky: true", flags{Sticky: true}},
		{"internal: 'no'", into("!!str `no` into bool")},
	})
}

func TestContainer(t *testing.T) {
	const wrong = "unknown type for service command: "
	checkForms(t, func(s manifest.Service) any { return s.Container }, []form{
		{"", manifest.Container{}},
		{"command: bin/web -p 3000, test: make test", manifest.Container{Command: []string{"sh", "-c", "bin/web -p 3000"}, Test: "make test"}},
		{"command: ''", manifest.Container{Command: []string{"sh", "-c", ""}}},
		{"command: ${NONE}", manifest.Container{}},
		{"command: [a, ${NONE}]", manifest.Container{Command: []string{"a"}}},
		{"command: [a, 'b c', '']", manifest.Container{Command: []string{"a", "b c", ""}}},
		{"command: [a, ~]", wrong + "<nil>"},
		{"command: [1.0]", wrong + "int"},
		{"command: 5", wrong + "int"},
		{"command: {a: b}", wrong + "map[interface {}]interface {}"},
		{"init: y, privileged: on, test: 6.0", manifest.Container{Init: true, Privileged: true, Test: "6"}},
		{"links: [a, 6.0, ~], resources: [db], volumes: [/a, b:/c], policies: ['arn:x']", manifest.Container{
			Links: []string{"a", "6", ""}, Resources: []string{"db"}, Volumes: []string{"/a", "b:/c"}, Policies: []string{"arn:x"},
		}},
		{"tags: {b: 6.0, yes: no, a: ~, b: 2}", manifest.Container{Tags: []manifest.Setting{{"b", "2"}, {"true", "false"}, {"a", ""}}}},
		{"links: web", into("!!str `web` into []string")},
		{"resources: database", into("!!str `database` into []string")},
		{"tags: [a]", into("!!seq into map[string]string")},
		{"tags: {a: [b]}", into("!!seq into string")},
	})
}

func TestParams(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"params: {Foo: yes, Bar: 6.0, Off: 0777, Quoted: '6.0', Empty: ~, 2: a, yes: b}", "[{Foo yes} {Bar 6.0} {Off 0777} {Quoted 6.0} {Empty } {2 a} {yes b}]"},
		{"p: &p {A: 1, B: 2}\nparams: {A: 0, <<: *p, B: 3, C: 4}", "[{A 1} {B 3} {C 4}]"},
		{"params: ", "[]"},
		{"params: 6.0", into("!!float `6.0` into manifest.Params")},
		{"params: {A: [b]}", into("!!seq into string")},
	} {
		m, err := manifest.Load([]byte(tt.text), nil)
		got := fmt.Sprint(err)
		if err == nil {
			got = fmt.Sprint(m.Params)
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.text, got, tt.want)
		}
	}
}

func TestResourcesAndTimers(t *testing.T) {
	const text = `timers:
  nightly: {command: bin/job, schedule: '0 3 * * ?', service: web, policies: [a]}
  2: {command: 6.0}
  later:
resources:
  db: {type: postgres, options: {version: 7.10, durable: yes, size: 1_000, code: '0777'}, tags: {a: b}, other: 1}
`
	m, err := manifest.Load([]byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := &manifest.Manifest{
		Resources: []manifest.Resource{{
			Name: "db", Type: "postgres", Line: 6, Column: 3, Tags: []manifest.Setting{{"a", "b"}},
			Options: []manifest.Setting{{"version", "7.1"}, {"durable", "true"}, {"size", "1000"}, {"code", "0777"}},
		}},
		Timers: []manifest.Timer{
			{Name: "nightly", Command: "bin/job", Schedule: "0 3 * * ?", Service: "web", Policies: []string{"a"}, Line: 2, Column: 3},
			{Name: "2", Command: "6", Line: 3, Column: 3},
			{Name: "later", Line: 4, Column: 3},
		},
	}
	if diff := cmp.Diff(want, m); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCron(t *testing.T) {
	for schedule, want := range map[string]string{
		"0 3 * * ?": "0 3 * * ? *", "0 3 * * ? 2030": "0 3 * * ? 2030",
		"": "", "hourly": "", "0 3 * *": "", "0 3 * * ? * *": "", "0  3 * * ?": "0  3 * * ?",
	} {
		if got, ok := (manifest.Timer{Schedule: schedule}).Cron(); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %t, want %q", schedule, got, ok, want)
		}
	}
}
