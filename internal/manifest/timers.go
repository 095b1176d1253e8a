package manifest

import "gopkg.in/yaml.v3"

// Timer runs a command at times. See
// https://docsv2.convox.com/application/convox-yml.
type Timer struct {
	Name     string // not restricted
	Command  string
	Schedule string   // as in a crontab, in UTC
	Service  string   // whose image and environment the command gets
	Policies []string // as in [Container]

	Line, Column int // where the name stands, as in [Error]
}

func (d *decoder) timers(n *yaml.Node) ([]Timer, error) {
	var all []Timer
	err := d.each(n, func(key, value *yaml.Node) (*string, error) {
		t, err := d.timer(value)
		t.Line, t.Column = key.Line, key.Column
		all = append(all, t)
		return &all[len(all)-1].Name, err
	})
	return all, err
}

func (d *decoder) timer(n *yaml.Node) (t Timer, err error) {
	entries, err := d.entries(n, "manifest.Timer", mergeAny)
	if err != nil {
		return t, err
	}
	for _, f := range entries {
		switch f.key.Value {
		case "command":
			t.Command = d.text(f.value)
		case "policies":
			t.Policies, err = d.texts(f.value)
		case "schedule":
			t.Schedule = d.text(f.value)
		case "service":
			t.Service = d.text(f.value)
		}
		if err != nil {
			return t, err
		}
	}
	return t, nil
}
