package workflow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/convox-ci/convox-ci/internal/options"
	"github.com/convox-ci/convox-ci/internal/rack"
)

// standard is how a file input names the standard streams.
const standard = "-"

// ExportInputs are the inputs of builds export.
type ExportInputs struct {
	BuildInput
	File options.Path `env:"file" envDefault:"-" usage:"file of the archive; - is the standard stream"`
	Limits
}

// Data tells whether standard output is for the archive.
func (in ExportInputs) Data() bool { return in.File == standard }

// ExportBuild writes the archive of a build to a file, or to out. The file
// appears when the archive is whole and sound, and not before.
func ExportBuild(ctx context.Context, j Job, in ExportInputs, out io.Writer) error {
	ctx, done := limited(ctx, "timeout", in.Timeout)
	defer done()
	defer j.awaiting("the archive of build " + in.Build)()
	from, err := j.Rack.ExportBuild(ctx, in.App, in.Build)
	if err != nil {
		return err
	}
	archive := rack.CheckArchive(from)
	defer archive.Close()
	if in.File == standard {
		_, err = io.Copy(out, archive)
		return err
	}
	n, err := saveFile(string(in.File), archive)
	if err != nil {
		return err
	}
	j.printf("Exported %s to %s, %s", in.Build, in.File, size(n))
	return nil
}

// saveFile puts what r gives at path, by renaming a complete file over it.
func saveFile(path string, r io.Reader) (n int64, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return 0, refuse("file", path, "cannot be written: "+bare(err).Error(), "a path that can be written to")
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	n, err = io.Copy(f, r)
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, err
	}
	return n, os.Rename(f.Name(), path)
}

// ImportInputs are the inputs of builds import.
type ImportInputs struct {
	Target
	File options.Path `env:"file" envDefault:"-" usage:"file of the archive; - is the standard stream"`
	Limits
}

// ImportBuild makes a build of an archive in a file, or of what is piped into
// this process. A file is looked through before any of it is sent.
func ImportBuild(ctx context.Context, j Job, in ImportInputs) (rack.Build, error) {
	ctx, done := limited(ctx, "timeout", in.Timeout)
	defer done()
	if in.File != standard {
		if err := checkFile(ctx, string(in.File)); err != nil {
			return rack.Build{}, err
		}
	} else if j.Input == nil {
		return rack.Build{}, refuse("file", standard, "is read from the standard input, into which nothing is piped", "a file, or a pipe from builds export")
	}
	return j.imported(ctx, in.App, func(context.Context) (io.ReadCloser, error) {
		if in.File == standard {
			return yielding(ctx, j.Input), nil
		}
		return os.Open(string(in.File))
	}, in.File != standard)
}

// yielding reads from r until ctx ends, also while r gives nothing: whoever pipes
// into this process may be waiting for something that never comes.
func yielding(ctx context.Context, r io.Reader) io.ReadCloser {
	out, in := io.Pipe()
	stop := context.AfterFunc(ctx, func() { in.CloseWithError(context.Cause(ctx)) })
	go func() {
		defer stop()
		_, err := io.Copy(in, r)
		in.CloseWithError(err)
	}()
	return out
}

// checkFile reads an archive to its end.
func checkFile(ctx context.Context, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return refuse("file", path, reason(err), "the file of an archive")
	}
	defer f.Close()
	defer context.AfterFunc(ctx, func() { f.Close() })()
	_, err = io.Copy(io.Discard, rack.CheckArchive(f))
	var unsound *rack.ArchiveError
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &unsound): // what it ends in is not shown: it may be any file
		return refuse("file", path, "is no whole archive of a build: it "+unsound.Problem, "what builds export has written")
	case err != nil:
		return refuse("file", path, reason(err), "a file that can be read")
	}
	return nil
}

// errReadOnce says that what was piped in cannot be sent a second time.
var errReadOnce = errors.New("what is piped in cannot be sent a second time; the build was not imported")

// imported is importing as a whole verb.
func (j Job) imported(ctx context.Context, app string, open func(context.Context) (io.ReadCloser, error), again bool) (rack.Build, error) {
	b, err := j.importing(ctx, app, open, again)
	j.finish(ctx, err)
	return b, err
}

// importing sends an archive, checks it on its way, and looks at the build that
// came of it. The end of an archive that is not sound is not sent, so that no build
// comes of it.
func (j Job) importing(ctx context.Context, app string, open func(context.Context) (io.ReadCloser, error), again bool) (b rack.Build, err error) {
	system, err := j.Rack.System(ctx)
	if err != nil {
		return rack.Build{}, err
	}
	defer j.awaiting("the import into " + app)()
	var sent *sending
	b, err = j.Rack.ImportBuildOnce(ctx, app, func() (io.ReadCloser, error) {
		if sent != nil && !again {
			return nil, errReadOnce
		}
		sent = &sending{}
		return sent, sent.begin(ctx, open, system)
	}, func() rack.Build { return sent.record })
	if sent != nil {
		err = sent.reason(err)
	}
	if b.ID != "" {
		j.Output("build", b.ID)
		j.printf("Build:   %s", b.ID)
	}
	if err != nil {
		return b, err
	}
	return j.checkImported(ctx, app, b, sent.record)
}

// LayoutError says that a rack cannot read an archive of another generation.
type LayoutError struct {
	Layout  rack.ArchiveLayout
	Version string // of the rack
}

func (e *LayoutError) Error() string {
	return fmt.Sprintf("the archive is of a %s rack, and a rack of version %s cannot read it: nothing was imported", e.Layout, e.Version)
}

// checkImported looks at the record of a build that was imported: what has no
// release, or another manifest, cannot be promoted.
func (j Job) checkImported(ctx context.Context, app string, b, from rack.Build) (rack.Build, error) {
	now, err := j.Rack.Build(ctx, app, b.ID)
	switch {
	case err != nil:
		return b, err
	case now.Status != rack.BuildComplete:
		return now, &BuildFailedError{ID: b.ID, Reason: now.Reason}
	case now.Release == "":
		return now, &BuildFailedError{ID: b.ID, Reason: "the rack has made no release of it"}
	case from.ID != "" && now.Manifest != from.Manifest: // a record that comes behind the images is not known
		return now, &BuildFailedError{ID: b.ID, Reason: "its manifest is not that of the archive"}
	}
	j.Output("release", now.Release)
	j.printf("Release: %s", now.Release)
	return now, nil
}
