package manifest

import (
	"strings"

	"gopkg.in/yaml.v3"
)

// Resource is a service that the Rack provides, a database for one. See
// https://docsv2.convox.com/application/convox-yml.
type Resource struct {
	Name string // not restricted
	Type string // "postgres", "redis", ...; not blank

	Line, Column int // where the name stands, as in [Error]
}

func (d *decoder) resources(n *yaml.Node) ([]Resource, error) {
	entries, err := d.named(n)
	if err != nil {
		return nil, err
	}
	var all []Resource
	for _, e := range entries {
		fields, err := d.fields(e.value, "manifest.Resource", mergeAny)
		if err != nil {
			return nil, err
		}
		r := Resource{Line: e.key.Line, Column: e.key.Column}
		for _, f := range fields {
			if f.key.Value == "type" {
				r.Type = d.text(f.value)
			}
		}
		if r.Name, err = name(e.key); err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

func checkResources(resources []Resource) error {
	for _, r := range resources {
		if strings.TrimSpace(r.Type) == "" {
			return faultAt(r.Line, r.Column, "resource type can not be blank")
		}
	}
	return nil
}
