package orb_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// compiler turns jobs and commands of the orb into steps, as CircleCI does before a
// job begins: parameters are put in, commands become their steps, conditions are
// decided. It is a part of the real one, which is not to be had: what the orb uses.
//
// https://circleci.com/docs/reference/reusing-config/
type compiler struct {
	orb  map[string]any
	used map[string]bool // what was named, as in "commands/deploy"
}

// step is one that a job carries out.
type step struct {
	kind string         // run, checkout, attach_workspace, persist_to_workspace or store_artifacts
	with map[string]any // nothing for checkout
}

// alias is the name that the orb has in examples.
const alias = "convox/"

// job gives the steps of a job of the orb.
func (c compiler) job(name string, args map[string]any) ([]step, error) {
	return c.component("jobs", name, args)
}

// command gives the steps of a command of the orb.
func (c compiler) command(name string, args map[string]any) ([]step, error) {
	return c.component("commands", name, args)
}

func (c compiler) component(kind, name string, args map[string]any) ([]step, error) {
	component, ok := at(c.orb, kind, name).(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s/%s is not in the orb", kind, name)
	}
	c.used[kind+"/"+name] = true
	declared, _ := component["parameters"].(map[string]any)
	scope, err := bind(declared, args)
	if err != nil {
		return nil, fmt.Errorf("%s/%s: %w", kind, name, err)
	}
	if kind == "jobs" {
		executor, err := fill(component["executor"], scope)
		if err == nil {
			err = c.executor(executor)
		}
		if err != nil {
			return nil, fmt.Errorf("%s/%s: %w", kind, name, err)
		}
	}
	return c.steps(component["steps"], scope)
}

// executor finds one by its name in the orb, or by that which users have for it.
func (c compiler) executor(name any) error {
	s, _ := name.(string)
	s = strings.TrimPrefix(s, alias)
	if at(c.orb, "executors", s) == nil {
		return fmt.Errorf("executors/%v is not in the orb", name)
	}
	c.used["executors/"+s] = true
	return nil
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// fits tells whether a value is of the type that a parameter has.
func fits(kind string, value any) bool {
	switch v := value.(type) {
	case bool:
		return kind == "boolean"
	case []any:
		return kind == "steps"
	case string:
		return kind == "string" || kind == "executor" || kind == "env_var_name" && variableName.MatchString(v)
	}
	return false
}

// bind gives the parameters their values.
func bind(declared, args map[string]any) (map[string]any, error) {
	scope := map[string]any{}
	for name := range args {
		if declared[name] == nil {
			return nil, fmt.Errorf("there is no parameter %s", name)
		}
	}
	for name, p := range declared {
		value, given := args[name]
		if !given {
			if value, given = p.(map[string]any)["default"]; !given {
				return nil, fmt.Errorf("the parameter %s is missing", name)
			}
		}
		if kind := text(at(p, "type")); !fits(kind, value) {
			return nil, fmt.Errorf("%s: %v is not of type %s", name, value, kind)
		}
		scope[name] = value
	}
	return scope, nil
}

var reference = regexp.MustCompile(`<<\s*parameters\.(\w+)\s*>>`)

// fill puts parameters into a value. One that is a reference alone becomes the
// parameter, of whatever type.
func fill(value any, scope map[string]any) (any, error) {
	switch value := value.(type) {
	case map[string]any:
		filled := map[string]any{}
		for name, below := range value {
			v, err := fill(below, scope)
			if err != nil {
				return nil, err
			}
			filled[name] = v
		}
		return filled, nil
	case []any:
		filled := make([]any, len(value))
		for i, below := range value {
			v, err := fill(below, scope)
			if err != nil {
				return nil, err
			}
			filled[i] = v
		}
		return filled, nil
	case string:
		return fillText(value, scope)
	}
	return value, nil
}

func fillText(s string, scope map[string]any) (any, error) {
	var unknown error
	get := func(m []string) any {
		v, ok := scope[m[1]]
		if !ok {
			unknown = fmt.Errorf("there is no parameter %s", m[1])
		}
		return v
	}
	if m := reference.FindStringSubmatch(s); m != nil && m[0] == s {
		return get(m), unknown
	}
	filled := reference.ReplaceAllStringFunc(s, func(r string) string {
		return fmt.Sprint(get(reference.FindStringSubmatch(r)))
	})
	return strings.ReplaceAll(filled, `\<<`, "<<"), unknown
}

// steps compiles a list. What a user gave as a parameter of type steps is compiled
// without the parameters of the job that it stands in.
func (c compiler) steps(list any, scope map[string]any) ([]step, error) {
	var all []step
	entries, ok := list.([]any)
	if !ok {
		return nil, fmt.Errorf("%v is no list of steps", list)
	}
	for _, entry := range entries {
		name, with := entry, any(nil)
		if m, ok := entry.(map[string]any); ok && len(m) == 1 {
			for k, v := range m {
				name, with = k, v
			}
		}
		more, err := c.step(name, with, scope)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
}

func (c compiler) step(name, with any, scope map[string]any) ([]step, error) {
	kind, _ := name.(string)
	switch kind {
	case "when", "unless":
		condition, err := fill(at(with, "condition"), scope)
		if err != nil || truth(condition) != (kind == "when") {
			return nil, err
		}
		return c.steps(at(with, "steps"), scope)
	case "steps":
		given, err := fill(with, scope)
		if err != nil {
			return nil, err
		}
		return c.steps(given, nil)
	}
	filled, err := fill(with, scope)
	if err != nil {
		return nil, err
	}
	args, _ := filled.(map[string]any)
	switch kind {
	case "run", "checkout", "attach_workspace", "persist_to_workspace", "store_artifacts":
		return []step{{kind, args}}, nil
	}
	return c.command(strings.TrimPrefix(kind, alias), args)
}

// truth is what CircleCI takes for true. An empty list of steps counts as nothing.
func truth(value any) bool {
	switch v := value.(type) {
	case bool:
		return v
	case string:
		return v != ""
	case []any:
		return len(v) > 0
	}
	return value != nil
}

// workflowKeys say how a job stands in a workflow, and are no parameters.
func workflowKeys() []string { return []string{"requires", "context", "type", "filters", "name"} }

// configuration compiles what a user of the orb wrote.
func (c compiler) configuration(usage map[string]any) error {
	jobs, _ := usage["jobs"].(map[string]any)
	for name, job := range jobs {
		executor, _ := at(job, "executor").(string)
		if err := c.executor(executor); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if _, err := c.steps(at(job, "steps"), nil); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for _, workflow := range usage["workflows"].(map[string]any) {
		for _, entry := range at(workflow, "jobs").([]any) {
			m, ok := entry.(map[string]any)
			if !ok {
				m = map[string]any{entry.(string): nil}
			}
			for name, with := range m {
				args, _ := with.(map[string]any)
				if err := c.placed(name, args, jobs); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// placed compiles a job of a workflow.
func (c compiler) placed(name string, with, own map[string]any) error {
	if own[name] != nil || with["type"] == "approval" {
		return nil
	}
	args := maps.Clone(with)
	maps.DeleteFunc(args, func(key string, _ any) bool { return slices.Contains(workflowKeys(), key) })
	_, err := c.job(strings.TrimPrefix(name, alias), args)
	return err
}
