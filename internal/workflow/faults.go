package workflow

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/convox-ci/convox-ci/internal/bake"
	"github.com/convox-ci/convox-ci/internal/ci"
	"github.com/convox-ci/convox-ci/internal/manifest"
)

// Subjects of findings about the source.
const (
	aboutManifest    = "manifest"
	aboutDockerfile  = "dockerfile"
	aboutEnvironment = "environment"
)

// faults finds what is wrong with the manifest and with the Dockerfiles that it
// names; m is nil if it cannot be read. env is the environment of a build, nil if
// that is not known: only a rack knows the values of ${NAME}, so what may be a
// matter of those is then a warning.
func (s Source) faults(text []byte, env map[string]string) (m *manifest.Manifest, found []Finding) {
	m, wrong := parse(text, env)
	for _, e := range wrong {
		found = append(found, s.finding(e))
	}
	if link := s.link(s.within()); link != "" {
		found = append(found, s.at(ci.LevelError, aboutManifest, "is reached by the symbolic link "+link+", which a Rack does not restore"))
	}
	if m == nil {
		return nil, found
	}
	if len(m.Services) == 0 {
		found = append(found, s.at(ci.LevelWarning, aboutManifest, "declares no services: nothing will be built"))
	}
	for _, service := range builds(m) {
		if f, wrong := s.dockerfile(service); wrong {
			if env == nil && len(manifest.Variables(text)) > 0 {
				f.Level = ci.LevelWarning
			}
			found = append(found, f)
		}
	}
	return m, found
}

// parse reads a manifest with the environment of a build, or without knowing it.
func parse(text []byte, env map[string]string) (*manifest.Manifest, []*manifest.Error) {
	if env != nil {
		return manifest.Examine(text, env)
	}
	m, err := manifest.Inspect(text)
	var e *manifest.Error
	if errors.As(err, &e) {
		return nil, e.Parts()
	}
	return m, nil
}

// finding is a fault of the manifest.
func (s Source) finding(e *manifest.Error) Finding {
	f := s.at(ci.LevelError, aboutManifest, e.Message)
	f.Line, f.Column = e.Line, e.Column
	if e.Unsure {
		f.Level = ci.LevelWarning
	}
	if e.Missing() {
		f.Subject = aboutEnvironment
	}
	return f
}

// at is a finding about the manifest as a whole.
func (s Source) at(level ci.Level, subject, text string) Finding {
	return Finding{Level: level, Subject: subject, Text: text, File: filepath.ToSlash(s.file())}
}

// builds are the services that are built, of several with one Dockerfile the
// first.
func builds(m *manifest.Manifest) []manifest.Service {
	var list []manifest.Service
	known := map[string]bool{}
	for _, s := range m.Services {
		if file := s.Build.Dockerfile(); s.Image == "" && !known[file] {
			known[file] = true
			list = append(list, s)
		}
	}
	return list
}

// dockerfile finds what would keep a rack from reading the Dockerfile of a
// service. Links do not reach a rack, so what is behind one here is not there.
func (s Source) dockerfile(service manifest.Service) (f Finding, wrong bool) {
	f = s.at(ci.LevelError, aboutDockerfile, "")
	f.Line, f.Column = service.Line, service.Column
	if _, err := bake.Dockerfile(string(s.Context), service.Build); err != nil {
		f.Text = err.Error()
		return f, true
	}
	file := service.Build.Dockerfile()
	if link := s.link(file); link != "" {
		f.Text = file + " is reached by the symbolic link " + link + ", which a Rack does not restore"
		return f, true
	}
	return f, false
}

// link returns the symbolic link on the way to a file of the source, itself
// included; "" if there is none.
func (s Source) link(file string) string {
	parts := strings.Split(file, "/")
	for i := range parts {
		name := strings.Join(parts[:i+1], "/")
		info, err := os.Lstat(filepath.Join(string(s.Context), filepath.FromSlash(name)))
		if err == nil && info.Mode()&os.ModeSymlink != 0 {
			return name
		}
	}
	return ""
}
