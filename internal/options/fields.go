package options

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Kind is how an input's text is read.
type Kind string

// The kinds of inputs.
const (
	KindString   Kind = "string"
	KindBool     Kind = "bool"     // bool and [Switch]
	KindNumber   Kind = "number"   // int, at least 1
	KindDuration Kind = "duration" // [time.Duration]
	KindList     Kind = "list"     // [Pairs]
	KindSecret   Kind = "secret"   // [Secret]
	KindPath     Kind = "path"     // [Path]
)

// Field is what a struct says of one input.
type Field struct {
	Name     string   // as in action.yml
	Usage    string   // what a person reads
	Default  string   // text used when the input is absent or empty; "" for none
	Required bool     // must be given
	Kind     Kind     // how its text is read
	Accept   []string // the only values taken; nil for all
	Secret   bool     // never shown
	Legacy   bool     // a name from older actions: taken as before, and not shown to people
}

// Fields lists the inputs of dst, a pointer to a struct as for [Parse], in the
// order of its fields. It panics when the struct is not as Parse wants it, which
// no input can change: a test over every struct finds it.
func Fields(dst any) []Field {
	declared, err := declarations(dst)
	if err != nil {
		panic(err)
	}
	list := make([]Field, len(declared))
	for i, d := range declared {
		list[i] = d.Field
	}
	return list
}

// declaration is a field of a struct of inputs.
type declaration struct {
	Field
	goName string
}

// problem tells what is wrong with the input's value, without showing a secret.
func (d declaration) problem(f fault, values map[string]string) Problem {
	p := Problem{Input: d.Name, Message: f.message, Accepted: f.accepted}
	if !d.Secret && d.Kind != KindList {
		p.Value = values[d.Name]
	}
	return p
}

// declarations reads the tags of dst, and refuses what the library would read
// otherwise than it looks: tag options of other meaning, types of other syntax,
// fields it passes over.
func declarations(dst any) ([]declaration, error) {
	t := reflect.TypeOf(dst)
	if t == nil || t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct {
		return nil, fmt.Errorf("inputs: %T is not a pointer to a struct", dst)
	}
	list, err := declarationsOf(t.Elem())
	if err != nil {
		return nil, fmt.Errorf("inputs of %s: %w", t.Elem(), err)
	}
	for i, d := range list {
		// The library names fields, not inputs, in its errors.
		if slices.ContainsFunc(list[:i], func(o declaration) bool { return o.Name == d.Name || o.goName == d.goName }) {
			return nil, fmt.Errorf("inputs of %s: %s (%s) is declared twice", t.Elem(), d.Name, d.goName)
		}
	}
	return list, nil
}

func declarationsOf(t reflect.Type) ([]declaration, error) {
	var list []declaration
	for f := range t.Fields() {
		if f.Anonymous && f.Type.Kind() == reflect.Struct && f.IsExported() {
			inner, err := declarationsOf(f.Type)
			if err != nil {
				return nil, err
			}
			list = append(list, inner...)
			continue
		}
		d, err := declare(f)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", f.Name, err)
		}
		list = append(list, d)
	}
	return list, nil
}

func declare(f reflect.StructField) (declaration, error) {
	name, option, _ := strings.Cut(f.Tag.Get("env"), ",")
	kind, ok := kindOf(f.Type)
	switch {
	case !f.IsExported():
		return declaration{}, fmt.Errorf("is not exported")
	case name == "":
		return declaration{}, fmt.Errorf("has no env tag")
	case option != "" && option != "notEmpty":
		return declaration{}, fmt.Errorf("env option %q is not supported", option)
	case !ok:
		return declaration{}, fmt.Errorf("type %s is not supported", f.Type)
	}
	d := declaration{goName: f.Name, Field: Field{
		Name: name, Usage: f.Tag.Get("usage"), Default: f.Tag.Get("envDefault"),
		Required: option == "notEmpty", Kind: kind, Secret: kind == KindSecret, Legacy: f.Tag.Get("legacy") == "true",
	}}
	accept, ok := f.Tag.Lookup("accept")
	if !ok {
		return d, nil
	}
	d.Accept = strings.Split(accept, ",")
	switch {
	case kind != KindString:
		return declaration{}, fmt.Errorf("accept is for strings, not for %s", f.Type)
	case d.Default != "" && !slices.Contains(d.Accept, d.Default):
		return declaration{}, fmt.Errorf("default %q is not accepted", d.Default)
	}
	return d, nil
}

func kindOf(t reflect.Type) (Kind, bool) {
	switch t {
	case reflect.TypeFor[string]():
		return KindString, true
	case reflect.TypeFor[bool](), reflect.TypeFor[Switch]():
		return KindBool, true
	case reflect.TypeFor[int]():
		return KindNumber, true
	case reflect.TypeFor[time.Duration]():
		return KindDuration, true
	case reflect.TypeFor[Pairs]():
		return KindList, true
	case reflect.TypeFor[Secret]():
		return KindSecret, true
	case reflect.TypeFor[Path]():
		return KindPath, true
	}
	return "", false
}
