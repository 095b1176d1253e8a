package convoxenv

import (
	"bufio"
	"bytes"
	"context"
	"maps"
	"slices"
	"strings"
)

// Variables that say where the stored environment is.
const (
	urlVariable   = "CONVOX_ENV_URL"   // "" for none
	keyVariable   = "CONVOX_ENV_KEY"   // that it is encrypted with; "" if it is not
	namesVariable = "CONVOX_ENV_VARS"  // that the command may have, with commas between; everything has the name *
	tokenVariable = "CONVOX_ENV_TOKEN" // of a rack
)

// everything is the name in a list that stands for all.
const everything = "*"

// variables are an environment, by name.
type variables map[string]string

// parse reads an environment in the form of [os.Environ]; the last value of a
// name counts.
func parse(environ []string) variables {
	v := variables{}
	for _, entry := range environ {
		v.set(entry)
	}
	return v
}

// set takes NAME=VALUE, and nothing else: no process can have it.
func (v variables) set(entry string) {
	if name, value, ok := strings.Cut(entry, "="); ok && name != "" {
		v[name] = value
	}
}

// list is the environment in the form of [os.Environ], by name.
func (v variables) list() []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(v)) {
		all = append(all, name+"="+v[name])
	}
	return all
}

// complete puts the stored environment over what is there, if one is named.
func (v variables) complete(ctx context.Context) error {
	if v[urlVariable] == "" {
		return nil
	}
	key := v[keyVariable]
	stored, err := v.fetch(ctx)
	if err != nil {
		return err
	}
	if key != "" {
		if stored, err = open(stored, key); err != nil {
			return err
		}
	}
	maps.Copy(v, kept(stored, v[namesVariable]))
	return nil
}

// kept are the variables of a stored environment, a line each, that a list names.
// As on a Rack, a line of 64 KiB or more ends the reading of it.
func kept(stored []byte, list string) variables {
	names, v := map[string]bool{}, variables{}
	for name := range strings.SplitSeq(list, ",") {
		names[name] = true
	}
	for lines := bufio.NewScanner(bytes.NewReader(stored)); lines.Scan(); {
		name, _, _ := strings.Cut(lines.Text(), "=")
		if names[everything] || names[name] {
			v.set(lines.Text())
		}
	}
	return v
}
