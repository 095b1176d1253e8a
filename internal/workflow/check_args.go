package workflow

import (
	"fmt"
	"slices"
	"strings"

	"github.com/convox-ci/convox-ci/internal/bake"
	"github.com/convox-ci/convox-ci/internal/ci"
	"github.com/convox-ci/convox-ci/internal/manifest"
	"github.com/convox-ci/convox-ci/internal/options"
)

// aboutArguments is the subject of findings about build args: their input.
const aboutArguments = "build-args"

// commas are the findings about commas. Quoting is no way out: racks look for
// commas first, and those that take quotes do so afterwards.
func commas(wrong *options.Error) []Finding {
	told := &options.Error{}
	for _, p := range wrong.Problems {
		p.Message += ": a v2 Rack refuses what is then no pair, a v3 Rack takes it for an argument of its own"
		told.Problems = append(told.Problems, p)
	}
	return findings(told)
}

// arguments finds build args that nothing takes.
func (in CheckInputs) arguments(text []byte, m *manifest.Manifest) []Finding {
	var list []Finding
	say := func(level ci.Level, about, format string, args ...any) {
		list = append(list, Finding{Level: level, Subject: about, Text: fmt.Sprintf(format, args...)})
	}
	files, names, stages := in.dockerfiles(m)
	if in.Development {
		for i, file := range files {
			if !stages[i] {
				say(ci.LevelNotice, aboutDockerfile, "%s has no stage named development: it is built to its end", file)
			}
		}
	}
	for _, a := range in.BuildArgs {
		if slices.Contains(names, a.Key) || slices.Contains(manifest.Variables(text), a.Key) || slices.Contains(m.Required(), a.Key) {
			continue
		}
		meant := ""
		if near := options.Nearest(a.Key, names); near != "" {
			meant = ", did you mean " + near + "?"
		}
		say(ci.LevelWarning, aboutArguments, "%q has no ARG line in %s%s", a.Key, either(files), meant)
	}
	return list
}

// dockerfiles reads the Dockerfiles that can be read: their names, the names in
// their ARG lines, and whether each has a stage named development.
func (s Source) dockerfiles(m *manifest.Manifest) (files, names []string, stages []bool) {
	for _, service := range builds(m) {
		text, err := bake.Dockerfile(string(s.Context), service.Build)
		if err != nil {
			continue // which is a finding of its own
		}
		files = append(files, service.Build.Dockerfile())
		names = append(names, bake.ArgNames(text)...)
		stages = append(stages, bake.DevelopmentStage(text) != "")
	}
	return files, names, stages
}

// either lists files of which one would have been enough.
func either(files []string) string {
	if len(files) == 0 {
		return "any Dockerfile: none is built"
	}
	return strings.Join(files, " or ")
}
