package orb_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"
)

// schemaVariable names CircleCI's schema of configurations, which others own and
// the project does not carry. It is also looked for beside the project.
//
// https://github.com/CircleCI-Public/circleci-yaml-language-server/blob/main/schema.json
const (
	schemaVariable = "CIRCLECI_SCHEMA"
	besideProject  = "../../shared/circleci-schema.json"
)

// readSchema returns the schema, nil where it is not there.
func readSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	file, chosen := os.LookupEnv(schemaVariable)
	if !chosen {
		file = filepath.FromSlash(besideProject)
	}
	data, err := os.Open(file)
	if !chosen && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	defer data.Close()
	document, err := jsonschema.UnmarshalJSON(data)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("circleci.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("circleci.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// validate compares a document with the schema, after a way through JSON: its
// numbers and maps are then such as the library knows.
func validate(schema *jsonschema.Schema, document any) error {
	data, err := json.Marshal(document)
	if err != nil {
		return err
	}
	plain, err := jsonschema.UnmarshalJSON(strings.NewReader(string(data)))
	if err != nil {
		return err
	}
	return schema.Validate(plain)
}

// settled puts values in the place of two parameters: CircleCI takes both, the
// schema only the values.
func settled(orb map[string]any) map[string]any {
	runs(orb, func(run any) {
		if step, ok := run.(map[string]any); ok && step["no_output_timeout"] == "<< parameters.no_output_timeout >>" {
			step["no_output_timeout"] = "20m"
		}
	})
	for _, job := range at(orb, "jobs").(map[string]any) {
		if j := job.(map[string]any); j["circleci_ip_ranges"] == "<< parameters.circleci_ip_ranges >>" {
			j["circleci_ip_ranges"] = false
		}
	}
	return orb
}

// TestSchema compares the packed orb, its examples and the pipeline that checks it
// with CircleCI's schema, and sees that broken ones do not pass.
func TestSchema(t *testing.T) {
	schema := readSchema(t)
	if schema == nil {
		t.Logf("the schema of CircleCI is not here, so the orb was not compared with it: set %s to its file", schemaVariable)
		return
	}
	if err := validate(schema, settled(packed(t))); err != nil {
		t.Errorf("the packed orb: %v", err)
	}
	for name, example := range at(packed(t), "examples").(map[string]any) {
		if err := validate(schema, at(example, "usage")); err != nil {
			t.Errorf("example %s: %v", name, err)
		}
	}
	for what, spoil := range map[string]func(orb map[string]any){
		"type of a parameter": func(orb map[string]any) {
			at(orb, "commands", "deploy", "parameters", "wait").(map[string]any)["type"] = "bool"
		},
		"steps that are missing": func(orb map[string]any) { delete(at(orb, "commands", "build").(map[string]any), "steps") },
		"key of an executor": func(orb map[string]any) {
			e := at(orb, "executors", "default").(map[string]any)
			e["dockr"] = e["docker"]
			delete(e, "docker")
		},
		"version": func(orb map[string]any) { delete(orb, "version") },
	} {
		orb := settled(packed(t))
		spoil(orb)
		if validate(schema, orb) == nil {
			t.Errorf("an orb with a wrong %s passes", what)
		}
	}
}

// TestPipelineIsValid compares the project's own pipeline with the schema.
func TestPipelineIsValid(t *testing.T) {
	schema := readSchema(t)
	for _, file := range []string{"config.yml", "test-deploy.yml"} {
		data, err := os.ReadFile(filepath.Join("..", ".circleci", file))
		if err != nil {
			t.Fatal(err)
		}
		var config map[string]any
		if err := yaml.Unmarshal(data, &config); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if schema == nil {
			continue // TestSchema says so
		}
		if err := validate(schema, config); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}
