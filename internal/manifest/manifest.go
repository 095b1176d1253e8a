// Package manifest reads convox.yml, the file in which an app declares its
// services (generation 2; https://docsv2.convox.com/application/convox-yml).
//
// Reading has stages, and the first that fails ends it: the ${NAME} in the text
// are replaced, the text is decoded as YAML, defaults are filled in, the global
// environment is put before each service's own, and the result is validated.
// Keys that the package does not know are ignored, as a Rack ignores them.
//
// The YAML is the dialect that Racks read, which is YAML 1.1 with these turns:
// a merge key takes effect where it stands, so keys before it are overridden by
// what it brings and keys after it override; a key written twice counts as
// written last, but lists of environment entries are joined; only the first
// document of the file is read; and below the name of a service, resource or
// timer an unquoted scalar that stands for a text has its canonical form (6.0 is
// "6", yes is "true"). docs/manifest.md lists where the package is stricter or
// more lenient than a Rack.
package manifest

import (
	"errors"
	"slices"

	"gopkg.in/yaml.v3"
)

// maxSize bounds the text of a manifest, in bytes, before and after
// interpolation. A Rack stores the text in a record of at most 400 KB, so a
// larger one cannot be deployed; the rest is room for long values.
const maxSize = 1 << 20

// Manifest is what one convox.yml declares.
type Manifest struct {
	Environment []string   // global entries, as in [Service.Environment]
	Params      []Setting  // of the app on its Rack, set at promote; as written in the file
	Services    []Service  // in the order of the file; empty when none are declared
	Resources   []Resource // in the order of the file
	Timers      []Timer    // in the order of the file
}

// Builds tells whether an image is to be built of anything, and not only pulled.
func (m *Manifest) Builds() bool {
	return slices.ContainsFunc(m.Services, func(s Service) bool { return s.Image == "" })
}

// Load reads a manifest for a machine that knows the app's environment: env is
// what ${NAME} and required variables are looked up in, and is not changed.
//
// The error is always an [*Error]: the first fault of the first stage that has
// one. YAML values of a type that their place does not take are not a fault until
// the decoding has come to its end, and are then reported together.
func Load(data []byte, env map[string]string) (*Manifest, error) {
	m, err := read(data, env)
	if err != nil {
		return nil, err
	}
	if err := m.validate(env); err != nil {
		return nil, err
	}
	return m, nil
}

// Inspect reads a manifest for a machine that does not know the app's
// environment: every ${NAME} is empty, and required variables are not checked.
//
// It does not contradict a Rack that does know it. The error, always an
// [*Error], has Unsure set when a Rack may still accept the file: the file
// holds a ${NAME}, whose value can change anything, or the rule broken is one
// of this package alone.
func Inspect(data []byte) (*Manifest, error) {
	m, err := read(data, nil)
	if err == nil {
		err = m.validateNames()
	}
	if e, ok := errors.AsType[*Error](err); ok {
		e.Unsure = e.ours || placeholder.Match(data)
	}
	if err != nil {
		return nil, err
	}
	return m, nil
}

// Dockerfiles returns the Dockerfile of every service that is built, relative
// to the root of the source tree and slash separated, each once, in the order
// of the services. A path may lead out of the tree ("../Dockerfile"): what
// that means is for the caller to say.
func (m *Manifest) Dockerfiles() []string {
	var files []string
	for _, s := range m.Services {
		if s.Image != "" {
			continue
		}
		if file := s.Build.Dockerfile(); !slices.Contains(files, file) {
			files = append(files, file)
		}
	}
	return files
}

// read does everything that comes before validation.
func read(data []byte, env map[string]string) (*Manifest, error) {
	if len(data) > maxSize {
		return nil, limit("manifest is larger than %d bytes", maxSize)
	}
	f, ok := interpolate(data, env, maxSize)
	if !ok {
		return nil, limit("manifest with its variables filled in is larger than %d bytes", maxSize)
	}
	root, err := parse(f)
	if err != nil {
		return nil, err
	}
	d := &decoder{source: data, left: maxValues}
	m, err := d.manifest(root)
	if err != nil {
		return nil, err
	}
	if len(d.mismatches) > 0 {
		return nil, d.mismatched()
	}
	if err := m.combineEnvironment(d); err != nil {
		return nil, err
	}
	return m, nil
}

func (d *decoder) manifest(root *yaml.Node) (*Manifest, error) {
	m := &Manifest{}
	entries, err := d.entries(root, "manifest.Manifest", mergePlain)
	if err != nil {
		return nil, err
	}
	for _, f := range entries {
		switch f.key.Value {
		case "environment":
			var entries []string
			entries, err = d.environment(f.value)
			m.Environment = append(m.Environment, entries...)
		case "params":
			m.Params, err = d.params(f.value)
		case "resources":
			m.Resources, err = d.resources(f.value)
		case "services":
			m.Services, err = d.services(f.value)
		case "timers":
			m.Timers, err = d.timers(f.value)
		}
		if err != nil {
			return nil, err
		}
	}
	return m, nil
}
