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
	var all []Resource
	err := d.each(n, func(key, value *yaml.Node) (*string, error) {
		r, err := d.resource(value)
		r.Line, r.Column = key.Line, key.Column
		all = append(all, r)
		return &all[len(all)-1].Name, err
	})
	return all, err
}

func (d *decoder) resource(n *yaml.Node) (r Resource, err error) {
	entries, err := d.entries(n, "manifest.Resource", mergeAny)
	if err != nil {
		return r, err
	}
	for _, f := range entries {
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
