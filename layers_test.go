package convoxci_test

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/convox-ci/convox-ci/"

// mayImport is the import table: every package of the module, and what of the
// module it may import. A package that is in no row fails the test, so a new
// one gets its place when it is made. "x/*" stands for all packages below x.
var mayImport = map[string][]string{
	"cmd/convox-ci":  {"internal/app"},
	"cmd/convox-env": {"internal/convoxenv"},
	"internal/app": {"internal/bake", "internal/carried", "internal/ci", "internal/commit", "internal/container", "internal/deployment", "internal/estate", "internal/image", "internal/image/*",
		"internal/manifest", "internal/oidc", "internal/options", "internal/rack", "internal/rackd", "internal/rackd/*", "internal/refusal", "internal/registry", "internal/registry/*", "internal/source", "internal/summary", "internal/workflow"},
	"internal/rackd/disk":        {"internal/rackd", "internal/rackd/vault", "internal/rack"},
	"internal/rackd/dynamodb":    {"internal/rackd", "internal/rackd/vault", "internal/rack", "internal/refusal"},
	"internal/rackd/kms":         {"internal/rackd/vault", "internal/refusal"},
	"internal/rackd/kms/kmstest": nil, // a stand-in for tests
	"internal/rackd/s3":          {"internal/rackd", "internal/rack", "internal/refusal"},
	"internal/rackd/s3/s3test":   nil, // a stand-in for tests
	"internal/rackd/storetest":   {"internal/rackd", "internal/rack", "internal/registry"},
	"internal/rackd/vault":       nil,
	"internal/workflow": {"internal/rack", "internal/source", "internal/manifest", "internal/bake", "internal/buildlog", "internal/ci", "internal/image", "internal/options",
		"internal/commit", "internal/summary"},
	"internal/rackd":                                        {"internal/rack", "internal/source", "internal/manifest", "internal/bake", "internal/image", "internal/container"},
	"internal/bake":                                         {"internal/manifest", "internal/image"},
	"internal/refusal":                                      nil,
	"internal/estate":                                       {"internal/rack", "internal/rackd/dynamodb", "internal/rackd/kms", "internal/rackd/s3", "internal/rackd/vault", "internal/refusal"},
	"internal/estate/estatetest":                            nil, // a stand-in for tests
	"internal/image/buildkit":                               {"internal/image"},
	"internal/image/buildkit/embedded":                      {"internal/image", "internal/image/buildkit/actionscache"},
	"internal/image/buildkit/actionscache":                  nil,
	"internal/image/buildkit/actionscache/actionscachetest": nil, // a stand-in for tests
	"internal/image/entry":                                  {"internal/image"},
	"internal/buildlog":                                     nil,
	"internal/ci":                                           nil,
	"internal/commit":                                       nil,
	"internal/deployment":                                   nil,
	"internal/oidc":                                         nil,
	"internal/oidc/oidctest":                                nil, // stand-ins for tests
	"internal/options":                                      nil,
	"internal/source":                                       nil,
	"internal/manifest":                                     nil,
	"internal/rack":                                         nil,
	"internal/image":                                        nil,
	"internal/container":                                    nil,
	"internal/convoxenv":                                    nil,
	"internal/carried":                                      nil,
	"internal/carried/pack":                                 nil,
	"internal/registry":                                     nil,
	"internal/registry/ecr":                                 {"internal/registry", "internal/refusal"},
	"internal/registry/ecr/ecrtest":                         {"internal/registry"}, // a stand-in for tests
	"internal/summary":                                      nil,

	"internal/wire":       nil, // recordings for tests
	"internal/enginetest": nil, // for tests: no row has it, so nothing else imports it
	"examples/hello":      nil,
	"examples/hello/seed": nil,
	"bench/cache":         {"bench/rig"},
	"bench/ending":        {"bench/rig", "internal/rack"},
	"bench/logs": {"bench/rig", "internal/bake", "internal/ci", "internal/image", "internal/rack", "internal/rackd", "internal/rackd/disk",
		"internal/source"},
	"bench/pack":  {"bench/rig", "internal/source"},
	"bench/rig":   nil, // what benchmarks share
	"bench/size":  nil,
	"bench/where": {"bench/rig", "internal/estate/estatetest", "internal/rackd/kms/kmstest", "internal/rackd/s3/s3test", "internal/registry/ecr/ecrtest"},
}

// homes are the libraries that weigh so much, or change so often, that one
// package alone knows them.
var homes = map[string][]string{
	"github.com/moby/buildkit":                {"internal/image/buildkit", "internal/image/buildkit/embedded"},
	"github.com/coder/websocket":              {"internal/rack", "internal/rackd"},
	"github.com/sethvargo/go-githubactions":   {"internal/ci"},
	"github.com/caarlos0/env/v10":             {"internal/options"},
	"gopkg.in/yaml.v3":                        {"internal/manifest"},
	"github.com/distribution/distribution/v3": {"internal/registry"},
	"go.etcd.io/bbolt":                        {"internal/rackd/disk", "internal/image/buildkit/embedded"},
	"github.com/aws/aws-sdk-go-v2":            {"internal/app", "internal/estate", "internal/registry/ecr", "internal/rackd/dynamodb", "internal/rackd/kms", "internal/rackd/s3"},
	"github.com/aws/smithy-go":                {"internal/estate", "internal/registry/ecr", "internal/rackd/dynamodb", "internal/rackd/kms", "internal/rackd/s3"},
}

// badNames say nothing about what is in a package.
var badNames = []string{"util", "utils", "common", "helpers", "types", "models", "config", "client", "server", "api", "aws"}

// listed is what "go list" says of a package.
type listed struct {
	ImportPath string
	GoFiles    []string
	Imports    []string
}

func listPackages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,GoFiles,Imports", "./...")
	var faults strings.Builder
	cmd.Stderr = &faults
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, faults.String())
	}
	var all []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		if len(p.GoFiles) > 0 {
			all = append(all, p)
		}
	}
}

func TestImportTable(t *testing.T) {
	rows := maps.Clone(mayImport)
	for _, p := range listPackages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		allowed, known := mayImport[name]
		delete(rows, name)
		if !known {
			t.Errorf("%s has no row in the import table", name)
		}
		for _, path := range p.Imports {
			if ours, ok := strings.CutPrefix(path, module); ok && !matches(allowed, ours) {
				t.Errorf("%s may not import %s", name, ours)
			}
			for library, home := range homes {
				if (path == library || strings.HasPrefix(path, library+"/")) && !slices.Contains(home, name) {
					t.Errorf("%s imports %s, whose home is %s", name, path, strings.Join(home, ", "))
				}
			}
		}
		if last := name[strings.LastIndex(name, "/")+1:]; slices.Contains(badNames, last) {
			t.Errorf("%s: the name %s says nothing about what is in it", name, last)
		}
	}
	for name := range rows {
		t.Errorf("%s has a row in the import table and is no package", name)
	}
}

func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		below, all := strings.CutSuffix(p, "*")
		return p == name || all && strings.HasPrefix(name, below)
	})
}
