package workflow

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/convox-ci/convox-ci/internal/ci"
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
		return refuse(input, string(value), message, accepted)
	}
	info, err := os.Stat(string(s.Context))
	switch {
	case err != nil:
		return wrong("context", s.Context, reason(err), "the directory that holds the manifest")
	case !info.IsDir():
		return wrong("context", s.Context, "is not a directory", "the directory that holds the manifest")
	case !filepath.IsLocal(string(s.Manifest)):
		return wrong("manifest", s.Manifest, "leads out of the directory", "a path within context")
	}
	info, err = os.Stat(s.file())
	switch {
	case err != nil:
		return wrong("manifest", s.Manifest, reason(err)+" in "+string(s.Context), "the path of a convox.yml within context")
	case !info.Mode().IsRegular():
		return wrong("manifest", s.Manifest, "is not a file", "the path of a convox.yml within context")
	}
	text, err := os.ReadFile(s.file())
	switch {
	case err != nil:
		return wrong("manifest", s.Manifest, reason(err), "a file that can be read")
	case len(bytes.TrimSpace(text)) == 0: // a rack builds it, and refuses to promote the release
		return wrong("manifest", s.Manifest, "is empty", "a manifest that declares services")
	}
	return nil
}

// reason says why a path cannot be used, without the path.
func reason(err error) string {
	if errors.Is(err, fs.ErrNotExist) {
		return "does not exist"
	}
	return "cannot be read: " + bare(err).Error()
}

// bare is an error of a file without the path, which stands beside it anyway.
func bare(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// inspect looks at the source before anything is sent and returns the files that
// must not be left out of the upload. What is wrong without doubt is the error.
func (j Job) inspect(s Source) (keep []string, err error) {
	text, err := os.ReadFile(s.file())
	if err != nil {
		return nil, err
	}
	_, found := s.faults(text, nil)
	var wrong []error
	for _, f := range found {
		if f.Level == ci.LevelError {
			wrong = append(wrong, f.fault())
			continue
		}
		j.Log.Warn(f.fault().Error())
	}
	return s.keep(text), errors.Join(wrong...)
}

// keep are the files that a rack needs, or that have to go with them, whatever
// the ignore file says.
func (s Source) keep(text []byte) []string {
	keep := []string{s.within(), ignoreFile}
	m, err := manifest.Inspect(text)
	if err != nil {
		return keep
	}
	return append(keep, m.Dockerfiles()...)
}
