package workflow

import (
	"os"
	"path"
	"path/filepath"

	"github.com/convox-ci/convox-ci/internal/buildlog"
	"github.com/convox-ci/convox-ci/internal/manifest"
	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/summary"
)

const (
	tailLines   = 20       // of a log that say why a build failed; a fault of a compiler fits
	tailBytes   = 3 << 10  // so that they fit into one annotation, whose limit is 4096 characters
	reportLines = 50       // of the same in a summary, where they are folded away
	reportBytes = 16 << 10 // so that long lines leave room for the rest
)

// tell has the report know what the log of a build has told.
func (j Job) tell(build string, log *buildlog.Log, well bool) {
	var b summary.Built
	b.Cached, b.Steps = log.Steps()
	for _, i := range log.Images(build) {
		b.Images = append(b.Images, summary.Image{Ref: i.Ref, Digest: i.Digest})
	}
	if !well {
		b.Tail = log.Last(reportLines, reportBytes)
	}
	j.Report.Build(b)
}

// failed is the error of a build that failed.
func (s Source) failed(b rack.Build, log *buildlog.Log) error {
	e := &BuildFailedError{ID: b.ID, Reason: b.Reason, Tail: log.Last(tailLines, tailBytes)}
	if f, ok := log.Fault(); ok {
		if e.File = s.open(f); e.File != "" {
			e.Line = f.Line
		}
	}
	return e
}

// open is the Dockerfile that a fault is in, as a person would open it; "" if the
// source has no such file. A log tells its base name at most, the manifest the rest.
func (s Source) open(f buildlog.Fault) string {
	text, err := os.ReadFile(s.file())
	if err != nil {
		return ""
	}
	m, err := manifest.Inspect(text)
	if err != nil {
		return ""
	}
	found := ""
	for _, service := range builds(m) {
		file := service.Build.Dockerfile()
		if f.Unit != "" && path.Clean(f.Unit) != path.Clean(service.Build.Path) || f.File != "" && f.File != path.Base(file) {
			continue
		}
		if found != "" { // it may be either
			return ""
		}
		found = file
	}
	if found == "" || !filepath.IsLocal(filepath.FromSlash(found)) {
		return ""
	}
	found = filepath.Join(string(s.Context), filepath.FromSlash(found))
	if info, err := os.Stat(found); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	return found
}
