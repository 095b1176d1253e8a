package manifest

import "gopkg.in/yaml.v3"

// Setting is a name with a value that somebody else gives a meaning to: the
// cloud, or the service behind a resource.
type Setting struct{ Name, Value string }

// settings reads a mapping of names to texts, each name once, in the order of
// the file. into is the Go type that a Rack's message names.
func (d *decoder) settings(n *yaml.Node, into string) ([]Setting, error) {
	entries, err := d.entries(n, into, mergeAny)
	return d.collect(entries, d.text), err
}

// params reads the parameters of the app.
func (d *decoder) params(n *yaml.Node) ([]Setting, error) {
	entries, err := d.entries(n, "manifest.Params", mergePlain)
	return d.collect(entries, d.asWritten), err
}

// collect makes settings of entries. One whose name is no text is left out.
func (d *decoder) collect(entries []pair, text func(*yaml.Node) string) []Setting {
	var all []Setting
	at := map[string]int{}
	for _, e := range entries {
		s := Setting{Name: text(e.key), Value: text(e.value)}
		if i, known := at[s.Name]; known {
			all[i] = s
			continue
		}
		at[s.Name] = len(all)
		all = append(all, s)
	}
	return all
}
