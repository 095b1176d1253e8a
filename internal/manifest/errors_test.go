package manifest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/manifest"
)

func TestLoadErrors(t *testing.T) {
	const badName = " invalid, must contain only lowercase alphanumeric and dashes"
	for _, tt := range []struct {
		name, text string
		want       fault
	}{
		{"required", "services:\n  web:\n    environment: [B, A, C=1, SET]\n", fault{2, 3, "required env: A, B"}},
		{"required globally", "environment: [G]\nservices:\n  a:\n  b: {environment: [H]}\n", fault{3, 3, "required env: G"}},
		{"required in the first service that fails", "services:\n  a: {environment: [SET]}\n  b: {environment: [X]}\n  c: {environment: [Y]}\n", fault{3, 3, "required env: X"}},
		{"a default elsewhere does not help", "environment: [A=1]\nservices: {a: {environment: [A]}}", fault{2, 12, "required env: A"}},
		{"a default afterwards does not help", "environment: [A]\nservices: {a: {environment: [A=1, '*']}}", fault{2, 12, "required env: A"}},
		{"each entry counts", "environment: [A]\nservices: {a: {environment: [A]}}", fault{2, 12, "required env: A, A"}},
		{"names are looked up as written", "services: {a: {environment: [' SET']}}", fault{1, 12, "required env:  SET"}},
		{"environment is checked before names", "services: {A: , b: {environment: [X]}}", fault{1, 17, "required env: X"}},

		{"capital", "services:\n  ok:\n  Web:\n", fault{3, 3, "service name Web" + badName}},
		{"digit first", "services: {1a: }", fault{1, 12, "service name 1a" + badName}},
		{"integer", "services: {0x10: }", fault{1, 12, "service name 16" + badName}},
		{"dash first", "services: {-a: }", fault{1, 12, "service name -a" + badName}},
		{"underscore", "services: {a_b: }", fault{1, 12, "service name a_b" + badName}},
		{"line end", "services: {\"a\\n\": }", fault{1, 12, "service name a\n" + badName}},
		{"empty", "services: {'': }", fault{1, 12, "service name " + badName}},
		{"quoted merge key is a service", "x: &x {a: }\nservices: {'<<': *x}", fault{2, 12, "service name <<" + badName}},
		{"twice", "services:\n  a:\n  b:\n  a:\n", fault{4, 3, "service name a used more than once, first on line 2"}},
		{"twice by a merge", "x: &x {a: }\nservices:\n  <<: *x\n  a:\n", fault{4, 3, "service name a used more than once, first on line 1"}},

		{"key null", "services: {~: }", fault{1, 12, "unknown key type: <nil>"}},
		{"key boolean", "services:\n  on:\n", fault{2, 3, "unknown key type: bool"}},
		{"key float", "services: {6.0: }", fault{1, 12, "unknown key type: float64"}},
		{"key large", "services: {18446744073709551615: }", fault{1, 12, "unknown key type: uint64"}},
		{"key map", "services: {? {a: b} : }", fault{1, 14, "unknown key type: yaml.MapSlice"}},
		{"key sequence", "services: {? [a] : }", fault{1, 14, "unknown key type: []interface {}"}},
		{"key of a resource", "resources: {yes: {type: redis}}", fault{1, 13, "unknown key type: bool"}},

		{"resource blank", "resources:\n  a: {type: redis}\n  db: {type: '  '}", fault{3, 3, "resource type can not be blank"}},
		{"resource null", "resources:\n  db:\n", fault{2, 3, "resource type can not be blank"}},
		{"names are checked before resources", "resources: {db: }\nservices: {A: }", fault{2, 12, "service name A" + badName}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := manifest.Load([]byte(tt.text), map[string]string{"SET": ""})
			checkFault(t, err, tt.want)
		})
	}
}

func TestTypeErrors(t *testing.T) {
	const build, environment = "unknown type for service build: ", "unknown type for service environment: "
	service := func(line string) string { return "services:\n  web:\n    " + line + "\n" }
	for _, tt := range []struct {
		name, text string
		want       fault
	}{
		{"build integer", service("build: 5"), fault{3, 12, build + "int"}},
		{"build whole float", service("build: 6.0"), fault{3, 12, build + "int"}},
		{"build float", service("build: 6.5"), fault{3, 12, build + "float64"}},
		{"build boolean", service("build: yes"), fault{3, 12, build + "bool"}},
		{"build large", service("build: 18446744073709551615"), fault{3, 12, build + "uint64"}},
		{"build sequence", service("build: [.]"), fault{3, 12, build + "[]interface {}"}},
		{"environment map", service("environment: {A: 1}"), fault{3, 18, environment + "map[interface {}]interface {}"}},
		{"environment string", service("environment: A=1"), fault{3, 18, environment + "string"}},
		{"environment integer", service("environment: 0777"), fault{3, 18, environment + "int"}},
		{"global environment", "environment:\n  A: 1\n", fault{2, 3, environment + "map[interface {}]interface {}"}},
		{"where the anchor is", "x: &x 5\n" + service("build: *x"), fault{1, 4, build + "int"}},

		{"top scalar", "convox", mismatch(1, 1, "!!str `convox` into manifest.Manifest")},
		{"top integer", "5", mismatch(1, 1, "!!int `5` into manifest.Manifest")},
		{"top sequence", "- a\n- b\n", mismatch(1, 1, "!!seq into manifest.Manifest")},
		{"services scalar", "services: web", mismatch(1, 11, "!!str `web` into yaml.MapSlice")},
		{"services sequence", "services: [web]", mismatch(1, 11, "!!seq into yaml.MapSlice")},
		{"service scalar", "services: {web: 6.0}", mismatch(1, 17, "!!int `6` into manifest.Service")},
		{"service text", "services: {web: nginx:latest-alpine}", mismatch(1, 17, "!!str `nginx:l...` into manifest.Service")},
		{"ten bytes", "services: {web: abcdefghij}", mismatch(1, 17, "!!str `abcdefghij` into manifest.Service")},
		{"eleven bytes", "services: {web: abcdefghijk}", mismatch(1, 17, "!!str `abcdefg...` into manifest.Service")},
		{"service sequence", "services: {web: [a]}", mismatch(1, 17, "!!seq into manifest.Service")},
		{"image map", service("image: {a: b}"), mismatch(3, 12, "!!map into string")},
		{"path sequence", service("build: {path: [a]}"), mismatch(3, 19, "!!seq into string")},
		{"manifest map", service("build: {manifest: {a: b}}"), mismatch(3, 23, "!!map into string")},
		{"args map", service("build: {args: {A: 1}}"), mismatch(3, 19, "!!map into []string")},
		{"args text", service("build: {args: A=1}"), mismatch(3, 19, "!!str `A=1` into []string")},
		{"args boolean", service("build: {args: no}"), mismatch(3, 19, "!!bool `false` into []string")},
		{"args float", service("build: {args: 1_0.5}"), mismatch(3, 19, "!!float `10.5` into []string")},
		{"args element", service("build: {args: [a, [b]]}"), mismatch(3, 23, "!!seq into string")},
		{"resource scalar", "resources:\n  db: postgres\n", mismatch(2, 7, "!!str `postgres` into manifest.Resource")},
		{"resource type", "resources:\n  db: {type: []}\n", mismatch(2, 14, "!!seq into string")},
		{"all together", "services:\n  a: 1\n  b: {image: [], build: {path: []}}\n  c: {build: 5}\n", fault{2, 6, "yaml: unmarshal errors:\n" +
			"  line 2: cannot unmarshal !!int `1` into manifest.Service\n" +
			"  line 3: cannot unmarshal !!seq into string\n" +
			"  line 3: cannot unmarshal !!seq into string"}},
		{"a wrong form counts before a wrong type beside it", "services: {a: {links: x, build: 5}}", fault{1, 33, build + "int"}},
		{"and before one in another section", "services: {a: {links: x}}\ntimers: {~: }", fault{2, 10, "unknown key type: <nil>"}},
		{"but not before one in a service above", "services: {a: {links: x}, ~: {build: 5}}", mismatch(1, 23, "!!str `x` into []string")},
		{"nor does the name of that one", "services: {~: {links: x}}", mismatch(1, 23, "!!str `x` into []string")},
		{"a value that is written over", "services: {a: {build: 5, build: .}}", fault{1, 23, build + "int"}},
		{"a limit counts before all", "services: {a: {links: x}, b: {environment: [" + strings.Repeat("A=,", 1<<18) + "]}}", fault{0, 0, "manifest stands for more than 262144 values"}},
		{"a value is not shown", service("build: {args: ${SECRET}}"), mismatch(3, 19, "!!str `...` into []string")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := manifest.Load([]byte(tt.text), map[string]string{"SECRET": "hunter22"})
			checkFault(t, err, tt.want)
		})
	}
}

// mismatch is the error for one value of a wrong type.
func mismatch(line, column int, text string) fault {
	return fault{line, column, fmt.Sprintf("yaml: unmarshal errors:\n  line %d: cannot unmarshal %s", line, text)}
}

func TestManyTypeErrors(t *testing.T) {
	_, err := manifest.Load([]byte("services:\n"+strings.Repeat("  a: 1\n", 23)), nil)
	if err == nil || strings.Count(err.Error(), "line ") != 20 || !strings.HasSuffix(err.Error(), "\n  and 3 more") {
		t.Errorf("got %v", err)
	}
}

func TestSyntaxErrors(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       fault
	}{
		{"indentation", "services:\n  web:\n    image: x\n   build: y\n", fault{4, 0, "yaml: line 4: did not find expected key"}},
		{"list in a map", "services:\n  web:\n    image: x\n    - y\n  worker:\n", fault{4, 0, "yaml: line 4: did not find expected key"}},
		{"bracket", "services:\n  web:\n    environment: [A, B\n    image: x\n", fault{3, 0, "yaml: line 3: did not find expected ',' or ']'"}},
		{"bracket far away", "a:\n - [A, B\n - c\n - d\n - e\n - f\n - g\n", fault{2, 0, "yaml: line 2: did not find expected ',' or ']'"}},
		{"list end", "a:\n  - b\n\n  # c\n  d: e\nf: g\n", fault{5, 0, "yaml: line 5: did not find expected '-' indicator"}},
		{"far from its block", "a:\n  b: c\n  d: e\n  f: g\n h: i\nj: k\n", fault{5, 0, "yaml: line 5: did not find expected key"}},
		{"mark", "a: b\nc: d: e", fault{2, 0, "yaml: line 2: mapping values are not allowed in this context"}},
		{"bytes", "a: b\nc: \xff\nd: e\n", fault{2, 0, "yaml: invalid leading UTF-8 octet"}},
		{"tab", "services:\n\tweb:\n", fault{2, 0, "yaml: line 2: found character that cannot start any token"}},
		{"first line", "services: web: x\n", fault{1, 0, "yaml: mapping values are not allowed in this context"}},
		{"two on a line", "a: b\nservices: web: x\n", fault{2, 0, "yaml: line 2: mapping values are not allowed in this context"}},
		{"word alone", "a: b\n\nword\nc: d\n", fault{3, 0, "yaml: line 3: could not find expected ':'"}},
		{"anchor", "a: b\nc: *none\n", fault{2, 0, "yaml: unknown anchor 'none' referenced"}},
		{"anchor from a value", "a: b\nc: ${STAR}\n", fault{2, 0, "yaml: unknown anchor '...' referenced"}},
		{"anchor in itself", "x: &a\n  - [b, *a]\n", fault{2, 9, "yaml: anchor 'a' value contains itself"}},
		{"anchor in itself from a value", "x: ${LOOP}\n", fault{1, 4, "yaml: anchor '...' value contains itself"}},
		{"end of the file", "services: [\n", fault{1, 0, "yaml: line 1: did not find expected node content"}},
		{"merge of text", "services:\n  web:\n    <<: x\n", fault{3, 9, "yaml: map merge requires map or sequence of maps as the value"}},
		{"merge of texts", "services:\n  web:\n    <<: [{}, x]\n", fault{3, 14, "yaml: map merge requires map or sequence of maps as the value"}},
		{"merge of nothing", "services:\n  web:\n    <<: ${NONE}\n", fault{3, 8, "yaml: map merge requires map or sequence of maps as the value"}},
		{"control character", "a: \x01\n", fault{1, 0, "yaml: control characters are not allowed"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := manifest.Load([]byte(tt.text), map[string]string{"STAR": "*hunter22", "LOOP": "&hunter22 [*hunter22]"})
			checkFault(t, err, tt.want)
		})
	}
}
