package manifest

import (
	"path"

	"gopkg.in/yaml.v3"
)

// Build says how the image of a service is built. See
// https://docsv2.convox.com/application/convox-yml.
type Build struct {
	Path     string   // build context, relative to the root of the source tree
	Manifest string   // Dockerfile, relative to Path
	Args     []string // as written; a Rack does not pass them to the build, they only tell builds apart
}

var buildKeys = family{
	"build": func(d *decoder, s *draft, n *yaml.Node) (err error) { s.Build, err = d.build(n); return err },
	"environment": func(d *decoder, s *draft, n *yaml.Node) error {
		entries, err := d.environment(n)
		s.Environment = append(s.Environment, entries...)
		return err
	},
	"image": func(d *decoder, s *draft, n *yaml.Node) error { s.Image = d.text(n); return nil },
}

// Dockerfile returns the Dockerfile relative to the root of the source tree,
// slash separated and cleaned.
func (b Build) Dockerfile() string { return path.Join(b.Path, b.Manifest) }

func (d *decoder) build(n *yaml.Node) (Build, error) {
	if isNull(n) {
		return Build{}, nil
	}
	if n.Kind == yaml.MappingNode {
		return d.buildMap(n)
	}
	if n.Kind == yaml.ScalarNode {
		if where, ok := scalar(n).(string); ok {
			return Build{Path: where}, nil
		}
	}
	return Build{}, fault(n, "unknown type for service build: %s", typeName(n))
}

func (d *decoder) buildMap(n *yaml.Node) (Build, error) {
	var b Build
	fields, err := d.fields(n, "manifest.ServiceBuild")
	if err != nil {
		return Build{}, err
	}
	for _, f := range fields {
		switch f.key.Value {
		case "args":
			b.Args, err = d.texts(f.value)
		case "manifest":
			b.Manifest = d.text(f.value)
		case "path":
			b.Path = d.text(f.value)
		}
		if err != nil {
			return Build{}, err
		}
	}
	return b, nil
}

// orDefault returns b with what was not written filled in, for a service that
// names the given image; nothing is built when there is one.
func (b Build) orDefault(image string) Build {
	if image != "" {
		return Build{}
	}
	if b.Path == "" {
		b.Path = "."
	}
	if b.Manifest == "" {
		b.Manifest = "Dockerfile"
	}
	return b
}
