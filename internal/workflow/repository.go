package workflow

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/convox-ci/convox-ci/internal/options"
	"github.com/convox-ci/convox-ci/internal/rack"
)

// buildForRepository makes a build whose images are pushed to the repository that
// the rack names, and whose record is written by this run in the order in which a
// Rack writes it: whoever sees it complete finds the rest done.
func (w *workshop) buildForRepository(ctx context.Context) (rack.Build, error) {
	w.endForsaken(ctx)
	b, err := w.open(ctx)
	if err != nil && b.ID == "" && w.unasked && ctx.Err() == nil { // credentials that may look and not write are good for nothing else
		w.printf("By import after all: the build could not be recorded: %s", oneLine(err))
		w.books, w.images, w.estate = w.Rack, nil, nil
		return w.buildForImport(ctx)
	}
	if err != nil {
		if b.ID != "" {
			return w.giveUp(ctx, b, err)
		}
		return b, err
	}
	repository := b.Repository
	b.Repository = "" // which is nobody else's
	made, err := w.fill(ctx, b, repository)
	if err != nil {
		return w.giveUp(ctx, b, err)
	}
	w.remember(w.state, "")
	w.printf("Release: %s", made.Release)
	return made, nil
}

// forsaken is how long ago a build has begun at least that nobody is at any more: it
// may be of a run whose limit is longer than that of this one, and CI systems let few
// jobs run for longer.
const forsaken = 24 * time.Hour

// endForsaken ends builds of the app that were made elsewhere and whose makers were
// killed with nobody to clear up: hardly a run outlasts the time that is waited, and
// a Rack lets a build run from its first moment, unlike one that is made elsewhere.
// It is no reason to stop that it cannot be done.
func (w *workshop) endForsaken(ctx context.Context) {
	if w.way != deliverByRepository {
		return // in an estate builds run from their first moment too
	}
	builds, err := w.Rack.Builds(ctx, w.in.App, 0)
	if err != nil || w.in.Timeout <= 0 {
		return // who may not look is told by what comes next
	}
	for _, b := range builds {
		if b.Status != rack.BuildCreated || b.Process != "" || b.Started.IsZero() || time.Since(b.Started) < max(w.in.Timeout, forsaken) {
			continue
		}
		if now, err := w.settle(ctx, w.books, w.in.App, b.ID, func() (string, error) { return "", nil }); err == nil {
			w.Log.Warn("build " + b.ID + " was not recorded to its end by its own run; it is " + now.Status)
		}
	}
}

// open has the rack record a build that is made here. The credentials in its answer
// are hidden before anything is said of it.
func (w *workshop) open(ctx context.Context) (rack.Build, error) {
	b, err := w.books.StartExternal(ctx, w.in.App, w.options)
	w.hide(b.Repository)
	if b.ID != "" {
		b.App = w.in.App
		w.Output("build", b.ID)
		w.remember(w.state, b.ID)
		w.printf("Build:   %s", b.ID)
	}
	return b, err
}

// hide masks the credentials in the URL of a repository, from now on, here and in
// the log that is stored.
func (w *workshop) hide(repository string) {
	_, login, _ := repositoryOf(repository)
	for _, secret := range []string{repository, login.Password.Reveal(), rawPassword(repository)} {
		if secret != "" && login.Password != "" {
			w.Log.Mask(secret)
			w.secrets.Add(secret)
		}
	}
}

// notForThis is the fault of a rack that does not know builds that are made
// elsewhere. It is the input's: by import it may take one.
func notForThis(what string) error {
	return refuse("delivery", deliverByRepository, what, deliverByImport)
}

// errNoRepository: see notForThis.
var errNoRepository = notForThis("is not for this rack: it has named no repository for a build that is made elsewhere")

// fill makes the images and completes the record.
func (w *workshop) fill(ctx context.Context, b rack.Build, url string) (rack.Build, error) {
	repository, login, err := repositoryOf(url)
	if err != nil {
		return b, w.faulted(err)
	}
	_, err = w.books.UpdateBuild(ctx, b.App, b.ID, rack.BuildChanges{Manifest: string(w.text)})
	if errors.Is(err, rack.ErrUnsupported) {
		err = notForThis("is not for this rack, which is too old to be told of a build that is made elsewhere")
	}
	if err != nil {
		return b, w.faulted(err)
	}
	images := w.images
	if images == nil {
		images = w.engine.Registry(login)
	}
	if _, err := w.bake(ctx, b.ID, repository, patient{images, w.printf}); err != nil {
		return b, err
	}
	if w.entrypoint != "" {
		if _, err := w.books.UpdateBuild(ctx, b.App, b.ID, rack.BuildChanges{Entrypoint: w.entrypoint}); err != nil {
			return b, w.faulted(err)
		}
	}
	stored, err := w.storeLog(ctx, b.ID)
	if err != nil {
		return b, w.faulted(err)
	}
	if _, err := w.books.UpdateBuild(ctx, b.App, b.ID, rack.BuildChanges{Ended: time.Now(), Logs: stored.URL}); err != nil {
		return b, w.faulted(err)
	}
	return w.release(ctx, b)
}

// faulted puts a fault into the log that is none of the images.
func (w *workshop) faulted(err error) error {
	fmt.Fprintf(w.log, "ERROR: %v\n", err)
	return err
}

// release makes the release of a build whose log is stored, and calls it complete.
func (w *workshop) release(ctx context.Context, b rack.Build) (rack.Build, error) {
	r, err := w.books.MakeRelease(ctx, b.App, rack.ReleaseOptions{Build: b.ID, Description: w.options.Description})
	if err != nil {
		return b, w.faulted(err)
	}
	made, err := w.books.UpdateBuild(ctx, b.App, b.ID, rack.BuildChanges{Release: r.ID, Status: rack.BuildComplete})
	if err != nil {
		return b, err
	}
	w.announce(ctx, made)
	return made, nil
}

// announce tells of a build that is complete.
func (w *workshop) announce(ctx context.Context, b rack.Build) {
	w.Output("release", b.Release)
	if err := w.books.TellBuilt(ctx, b); err != nil {
		w.Log.Warn("those who listen to the rack were not told of the build: " + err.Error())
	}
}

// settleLimit is for the last words about a build where nobody is in a hurry: its
// log is among them.
const settleLimit = 30 * time.Second

// errSettling is the error where they could not be said by then.
var errSettling = fmt.Errorf("it was tried for %s", settleLimit)

// giveUp ends a build that could not be brought to its end, also where the run was
// cancelled. What the rack knows decides how: a build that has its release is
// complete, whatever answer was lost.
func (w *workshop) giveUp(ctx context.Context, b rack.Build, cause error) (rack.Build, error) {
	cancelled := ctx.Err() != nil
	within, done := context.WithTimeoutCause(ctx, settleLimit, errSettling)
	if cancelled {
		done()
		within, done = cleanup(ctx)
	}
	defer done()
	now, err := w.settle(within, w.books, b.App, b.ID, func() (string, error) {
		until, _ := within.Deadline()
		half, done := context.WithTimeout(within, time.Until(until)/2) // the rest is for the end itself
		defer done()
		stored, err := w.storeLog(half, b.ID)
		return stored.URL, err
	})
	switch {
	case err != nil:
		w.Log.Warn("build " + b.ID + " has ended, which could not be recorded: " + err.Error())
		if cancelled {
			cause = &LeftError{What: "build " + b.ID, Err: cause}
		}
		return b, cause
	case now.Status != rack.BuildComplete:
		w.remember(w.state, "")
		if cancelled {
			cause = &LeftError{What: "build " + b.ID, Ended: true, Err: cause}
		}
		return b, cause
	}
	w.remember(w.state, "")
	w.announce(within, now)
	w.printf("Release: %s", now.Release)
	if cancelled {
		return now, fmt.Errorf("build %s is complete: %w", b.ID, cause)
	}
	w.printf("Build %s is complete on the rack, though not every answer of it came through: %v", b.ID, cause)
	return now, nil
}

// The parts of the URL of a repository. Racks name no others.
var (
	repositoryHost = regexp.MustCompile(`^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?$`)
	repositoryName = regexp.MustCompile(`^[a-z0-9]+(?:(?:[._/]|__|-+)[a-z0-9]+)*$`)
)

// errRepository does not repeat what the rack has said: a password is in it.
var errRepository = errors.New("the rack has named a repository that is not of the form https://USER:PASSWORD@HOST/NAME")

// repositoryOf takes the URL of a repository apart. Racks do not escape the
// password in it, which may have any character, so it is what stands before the
// last @. What an escaped one would look like is taken for that.
func repositoryOf(raw string) (repository string, login Credentials, err error) {
	if raw == "" {
		return "", Credentials{}, errNoRepository
	}
	userinfo, place := cutRepository(raw)
	user, password, _ := strings.Cut(userinfo, ":")
	if plain, err := url.PathUnescape(password); err == nil && url.UserPassword("", plain).String() == ":"+password {
		password = plain
	}
	host, name, _ := strings.Cut(strings.TrimSuffix(place, "/"), "/")
	if !repositoryHost.MatchString(host) || !repositoryName.MatchString(name) {
		return "", Credentials{User: user, Password: options.Secret(password)}, errRepository
	}
	return host + "/" + name, Credentials{Host: host, User: user, Password: options.Secret(password)}, nil
}

// rawPassword is the password in the URL of a repository, as it stands there.
func rawPassword(raw string) string {
	userinfo, _ := cutRepository(raw)
	_, password, _ := strings.Cut(userinfo, ":")
	return password
}

// cutRepository is what stands before and behind the last @ of the URL of a
// repository, without its scheme.
func cutRepository(raw string) (userinfo, place string) {
	for _, scheme := range []string{"https://", "http://"} {
		raw = strings.TrimPrefix(raw, scheme)
	}
	if at := strings.LastIndex(raw, "@"); at >= 0 {
		return raw[:at], raw[at+1:]
	}
	return "", raw
}
