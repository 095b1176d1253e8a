package workflow

import (
	"errors"
	"os"
	"path"
	"path/filepath"

	"github.com/convox-ci/convox-ci/internal/manifest"
	"github.com/convox-ci/convox-ci/internal/options"
)

// Source is what is built.
type Source struct {
	Context  options.Path `env:"context" envDefault:"." usage:"directory to build"`
	Manifest options.Path `env:"manifest" envDefault:"convox.yml" usage:"path of the manifest within the directory"`
}

// defaultManifest is what a rack reads unless it is told otherwise.
const defaultManifest = "convox.yml"

// ignoreFile is sent even if it names itself: what is kept in spite of it must
// not get into an image that copies everything.
// https://docs.docker.com/build/concepts/context/#dockerignore-files
const ignoreFile = ".dockerignore"

// ManifestError is a fault of the manifest with the file it stands in.
type ManifestError struct {
	File  string // as a person would open it
	Fault *manifest.Error
}

// Error names the place as compilers do, FILE:LINE:COLUMN.
func (e *ManifestError) Error() string { return e.Fault.In(e.File) }

// Unwrap gives the fault itself.
func (e *ManifestError) Unwrap() error { return e.Fault }

// file is the manifest's path as a person would open it.
func (s Source) file() string { return filepath.Join(string(s.Context), string(s.Manifest)) }

// within is the manifest's path as the rack knows it.
func (s Source) within() string { return path.Clean(filepath.ToSlash(string(s.Manifest))) }

// check tells what is wrong with the inputs as such.
func (s Source) check() error {
	wrong := func(input string, value options.Path, message, accepted string) error {
		return &options.Error{Problems: []options.Problem{{Input: input, Value: string(value), Message: message, Accepted: []string{accepted}}}}
	}
	info, err := os.Stat(string(s.Context))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return wrong("context", s.Context, "does not exist", "the directory that holds the manifest")
	case err != nil:
		return err
	case !info.IsDir():
		return wrong("context", s.Context, "is not a directory", "the directory that holds the manifest")
	case !filepath.IsLocal(string(s.Manifest)):
		return wrong("manifest", s.Manifest, "leads out of the directory", "a path within context")
	}
	if _, err := os.Stat(s.file()); errors.Is(err, os.ErrNotExist) {
		return wrong("manifest", s.Manifest, "does not exist in "+string(s.Context), "the path of a convox.yml within context")
	}
	return nil
}

// inspect looks at the manifest before anything is sent and returns the files
// that must not be left out of the upload. Only a rack knows the values of
// ${NAME}, so what may be a matter of those is told and left to it.
func (j Job) inspect(s Source) (keep []string, err error) {
	text, err := os.ReadFile(s.file())
	if err != nil {
		return nil, err
	}
	keep = []string{s.within(), ignoreFile}
	m, err := manifest.Inspect(text)
	var e *manifest.Error
	if errors.As(err, &e) {
		at := &ManifestError{File: s.file(), Fault: e}
		if !e.Unsure {
			return nil, at
		}
		j.Log.Warn(at.Error())
		return keep, nil
	}
	return append(keep, m.Dockerfiles()...), err
}
