package manifest

import "gopkg.in/yaml.v3"

// Resource is a service that the Rack provides, a database for one. See
// https://docsv2.convox.com/application/convox-yml.
type Resource struct {
	Name    string // not restricted
	Type    string // "postgres", "redis", ...; not blank
	Options []Setting
	Tags    []Setting

	Line, Column int // where the name stands, as in [Error]
}

func (d *decoder) resources(n *yaml.Node) ([]Resource, error) {
	entries, err := d.named(n)
	if err != nil {
		return nil, err
	}
	var all []Resource
	for _, e := range entries {
		r, err := d.resource(e.value)
		if err != nil {
			return nil, err
		}
		if r.Name, err = name(e.key); err != nil {
			return nil, err
		}
		r.Line, r.Column = e.key.Line, e.key.Column
		all = append(all, r)
	}
	return all, nil
}

func (d *decoder) resource(n *yaml.Node) (r Resource, err error) {
	fields, err := d.fields(n, "manifest.Resource", mergeAny)
	if err != nil {
		return r, err
	}
	for _, f := range fields {
		switch f.key.Value {
		case "options":
			r.Options, err = d.settings(f.value, "map[string]string")
		case "tags":
			r.Tags, err = d.settings(f.value, "map[string]string")
		case "type":
			r.Type = d.text(f.value)
		}
		if err != nil {
			return r, err
		}
	}
	return r, nil
}
