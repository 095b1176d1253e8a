package workflow

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/convox-ci/convox-ci/internal/options"
	"github.com/convox-ci/convox-ci/internal/rack"
)

// buildForRepository makes a build whose images are pushed to the repository that
// the rack names, and whose record is written by this run in the order in which a
// Rack writes it: whoever sees it complete finds the rest done.
func (w *workshop) buildForRepository(ctx context.Context) (rack.Build, error) {
	b, err := w.open(ctx)
	if err != nil && b.ID == "" && w.unasked && ctx.Err() == nil { // credentials that may look and not write are good for nothing else
		w.printf("By import after all: the build could not be recorded: %s", oneLine(err))
		w.books, w.images = w.Rack, nil
		return w.buildForImport(ctx)
	}
	if err != nil {
		return b, err
	}
	err = w.fill(ctx, &b)
	if err == nil {
		w.remember(w.state, "")
		w.printf("Release: %s", b.Release)
		return b, nil
	}
	return b, w.giveUp(ctx, b, err)
}

// open has the rack record a build that is made here.
func (w *workshop) open(ctx context.Context) (rack.Build, error) {
	o := w.options
	o.External, o.BuildArgs = true, nil // which the rack does nothing with, and cannot carry as they are
	b, err := w.books.StartBuild(ctx, w.in.App, "", o)
	if b.ID != "" {
		b.App = w.in.App
		w.Output("build", b.ID)
		w.remember(w.state, b.ID)
		w.printf("Build:   %s", b.ID)
	}
	if err != nil && b.ID != "" {
		return b, w.giveUp(ctx, b, err)
	}
	return b, err
}

// errNoRepository: the rack does not know builds that are made elsewhere.
var errNoRepository = errors.New("the rack has named no repository for a build that is made elsewhere; with delivery: import it may take one")

// fill makes the images and completes the record.
func (w *workshop) fill(ctx context.Context, b *rack.Build) error {
	repository, login, err := repositoryOf(b.Repository)
	if err != nil {
		return w.faulted(err)
	}
	if _, err := w.books.UpdateBuild(ctx, b.App, b.ID, rack.BuildChanges{Manifest: string(w.text)}); err != nil {
		return w.faulted(err)
	}
	images := w.images
	if images == nil {
		images = w.engine.Registry(login)
	}
	if _, err := w.bake(ctx, b.ID, repository, images); err != nil {
		return err
	}
	if w.entrypoint != "" {
		if _, err := w.books.UpdateBuild(ctx, b.App, b.ID, rack.BuildChanges{Entrypoint: w.entrypoint}); err != nil {
			return w.faulted(err)
		}
	}
	if err := w.settle(ctx, b.ID, ""); err != nil {
		return w.faulted(err)
	}
	return w.release(ctx, b)
}

// faulted puts a fault into the log that is none of the images.
func (w *workshop) faulted(err error) error {
	fmt.Fprintf(w.log, "ERROR: %v\n", err)
	return err
}

// release makes the release of a build whose log is stored, and calls it complete.
func (w *workshop) release(ctx context.Context, b *rack.Build) error {
	w.released = true
	r, err := w.books.MakeRelease(ctx, b.App, rack.ReleaseOptions{Build: b.ID, Description: w.options.Description})
	if err != nil {
		return err
	}
	*b, err = w.books.UpdateBuild(ctx, b.App, b.ID, rack.BuildChanges{Release: r.ID, Status: rack.BuildComplete})
	if err != nil {
		return err
	}
	w.Output("release", b.Release)
	if err := w.books.TellBuilt(ctx, *b); err != nil {
		w.Log.Warn("those who listen to the rack were not told of the build: " + err.Error())
	}
	return nil
}

// settle stores the log and records the end; status "" is for later.
func (w *workshop) settle(ctx context.Context, id, status string) error {
	stored, err := w.storeLog(ctx, id)
	if err != nil && status == "" {
		return err
	}
	_, failed := w.books.UpdateBuild(ctx, w.in.App, id, rack.BuildChanges{Ended: time.Now(), Logs: stored.URL, Status: status})
	return errors.Join(err, failed)
}

// giveUp records how a build has ended that was not recorded to its end, also where
// the run was cancelled: it has failed, unless its release is there.
func (w *workshop) giveUp(ctx context.Context, b rack.Build, cause error) error {
	cancelled := ctx.Err() != nil
	ctx, done := cleanup(ctx)
	defer done()
	var err error
	if w.released {
		_, _, err = end(ctx, w.books, w.in.App, b.ID)
	} else {
		err = w.settle(ctx, b.ID, rack.BuildFailed)
	}
	if err != nil {
		w.Log.Warn("build " + b.ID + " has ended, which could not be recorded: " + err.Error())
	} else {
		w.remember(w.state, "")
	}
	if cancelled {
		return &LeftError{What: "build " + b.ID, Ended: true, Err: cause}
	}
	return cause
}

// repositoryOf takes the URL of a repository apart. Racks do not escape the
// password in it, which may have any character, so it is what stands before the
// last @ that a host can follow.
func repositoryOf(raw string) (repository string, login Credentials, err error) {
	if raw == "" {
		return "", login, errNoRepository
	}
	_, rest, ok := strings.Cut(raw, "://")
	if !ok {
		rest = raw
	}
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		user, password, _ := strings.Cut(rest[:at], ":")
		if plain, err := url.PathUnescape(password); err == nil && strings.Contains(password, "%") {
			password = plain
		}
		login.User, login.Password, rest = user, options.Secret(password), rest[at+1:]
	}
	host, name, ok := strings.Cut(strings.TrimSuffix(rest, "/"), "/")
	if !ok || host == "" || name == "" {
		return "", login, errors.New("the rack has named a repository that is none of the form https://USER:PASSWORD@HOST/NAME")
	}
	login.Host = host
	return host + "/" + name, login, nil
}
