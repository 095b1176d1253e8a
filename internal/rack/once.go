package rack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

const (
	recent      = 20               // records looked through for one that was just made: more than are made in a minute
	lookDelay   = 2 * time.Second  // between looks for it
	importTime  = 15 * time.Minute // until an import shows for certain: some racks record it when all its images are pushed
	regretLimit = 2 * time.Second  // for the last look after the caller has given up
)

// LostError says that nobody knows whether a request took effect: its answer
// was lost, and the rack does not show whether it was carried out.
type LostError struct {
	What  string   // what was asked for
	Found []string // ids of what may have come of it; empty if the rack could not be asked
	Err   error    // how the answer was lost
}

func (e *LostError) Error() string {
	if len(e.Found) > 0 {
		return fmt.Sprintf("%s: the answer was lost (%v), and any of %v may be what came of it", e.What, e.Err, e.Found)
	}
	return fmt.Sprintf("%s: the answer was lost (%v), and the rack does not tell what came of it", e.What, e.Err)
}

// Unwrap gives how the answer was lost.
func (e *LostError) Unwrap() error { return e.Err }

// lostAnswer tells whether the request behind an error may have been carried
// out all the same.
func lostAnswer(err error) bool {
	var e *Error
	if !errors.As(err, &e) || e.Status == 0 && (permanent(e.Err) || neverSent(e.Err)) {
		return false
	}
	return e.Status == 0 || again(e, true) && !again(e, false)
}

// deed is a request that must not be carried out twice.
type deed[T any] struct {
	what string
	do   func(context.Context) (T, error)
	// find lists what may be what was made since the deed was begun.
	find func(context.Context) ([]T, error)
	id   func(T) string
	// appears is how long what was made may take to be found; 0 is appearTime.
	appears time.Duration
}

// once does a deed. Where the answer is lost it looks for what was made, and does
// it again only where there is nothing. If ctx ends meanwhile, what was made comes
// with the error, so that it can be undone.
func once[T any](ctx context.Context, c *Client, d deed[T]) (T, error) {
	for n := 1; ; n++ {
		made, err := d.do(ctx)
		if ctx.Err() != nil {
			return regret(ctx, d, made, err)
		}
		if !lostAnswer(err) {
			return made, err
		}
		c.notice(fmt.Sprintf("%s: the answer was lost (%v); asking the rack what became of it", d.what, err))
		found, asked := look(ctx, d)
		switch {
		case ctx.Err() != nil:
			return regret(ctx, d, made, err)
		case asked != nil || len(found) > 1:
			return made, &LostError{What: d.what, Found: ids(d, found), Err: err}
		case n == maxTries:
			return made, err // nothing came of it
		case len(found) == 1:
			c.notice(fmt.Sprintf("%s: it is %s", d.what, d.id(found[0])))
			return found[0], nil
		}
		c.notice(d.what + ": it was not begun; trying again")
	}
}

func ids[T any](d deed[T], found []T) []string {
	var list []string
	for _, f := range found {
		list = append(list, d.id(f))
	}
	return list
}

// look looks until something is found, for as long as a record may take to
// appear.
func look[T any](ctx context.Context, d deed[T]) (found []T, err error) {
	for begun := time.Now(); ; {
		found, err = d.find(ctx)
		if err != nil || len(found) > 0 || time.Since(begun) >= max(d.appears, appearTime) {
			return found, err
		}
		if err := sleep(ctx, lookDelay); err != nil {
			return nil, err
		}
	}
}

// regret looks once for what a deed made that nobody waits for any more.
func regret[T any](ctx context.Context, d deed[T], made T, err error) (T, error) {
	if err == nil {
		return made, context.Cause(ctx)
	}
	within, done := context.WithTimeout(context.WithoutCancel(ctx), regretLimit)
	defer done()
	if found, _ := d.find(within); len(found) == 1 {
		return found[0], context.Cause(ctx)
	}
	return made, context.Cause(ctx)
}

// StartBuild is [Client.CreateBuild], made exactly once: where the answer is
// lost it looks among the app's builds for one that is new and alike. If ctx ends
// while the rack is asked, the build that was begun comes with the error, if there
// is one. A [LostError] says that it cannot be known.
func (c *Client) StartBuild(ctx context.Context, app, source string, o BuildOptions) (Build, error) {
	before, err := c.Builds(ctx, app, recent)
	if err != nil {
		return Build{}, err
	}
	return once(ctx, c, deed[Build]{
		what: "create the build",
		id:   func(b Build) string { return b.ID },
		do:   func(ctx context.Context) (Build, error) { return c.CreateBuild(ctx, app, source, o) },
		find: func(ctx context.Context) ([]Build, error) {
			now, err := c.Builds(ctx, app, recent)
			return slices.DeleteFunc(now, func(b Build) bool {
				return !o.alike(b) || slices.ContainsFunc(before, func(old Build) bool { return old.ID == b.ID })
			}), err
		},
	})
}

// alike tells whether a build may have come of the options.
func (o BuildOptions) alike(b Build) bool {
	return b.GitSHA == o.GitSHA && b.Description == o.Description
}

// ImportBuildOnce is [Client.ImportBuild], made exactly once: where the answer is
// lost it looks for a new build like the one that the archive is of, and waits
// until the rack is through with it. like is asked then, since the archive is read
// while it is sent; what it returns is the record of the build in the archive. See
// [Client.StartBuild].
func (c *Client) ImportBuildOnce(ctx context.Context, app string, open func() (io.ReadCloser, error), like func() Build) (Build, error) {
	before, err := c.Builds(ctx, app, recent)
	if err != nil {
		return Build{}, err
	}
	b, err := once(ctx, c, deed[Build]{
		what:    "import the build",
		appears: importTime,
		id:      func(b Build) string { return b.ID },
		do:      func(ctx context.Context) (Build, error) { return c.ImportBuild(ctx, app, open) },
		find: func(ctx context.Context) ([]Build, error) {
			now, err := c.Builds(ctx, app, recent)
			return slices.DeleteFunc(now, func(b Build) bool {
				return b.Description != like().Description || b.Manifest != like().Manifest ||
					slices.ContainsFunc(before, func(old Build) bool { return old.ID == b.ID })
			}), err
		},
	})
	if err != nil || b.Final() {
		return b, err
	}
	return c.AwaitBuild(ctx, app, b.ID)
}

// MakeRelease is [Client.CreateRelease], made exactly once; see
// [Client.StartBuild] for what that means.
func (c *Client) MakeRelease(ctx context.Context, app string, o ReleaseOptions) (Release, error) {
	before, unknown := c.Releases(ctx, app, recent)
	if unknown != nil && !errors.Is(unknown, ErrForbidden) && !errors.Is(unknown, ErrUnauthorized) { // a key may be allowed to make one, and not to list
		return Release{}, unknown
	}
	return once(ctx, c, deed[Release]{
		what: "create the release",
		id:   func(r Release) string { return r.ID },
		do:   func(ctx context.Context) (Release, error) { return c.CreateRelease(ctx, app, o) },
		find: func(ctx context.Context) ([]Release, error) {
			if unknown != nil {
				return nil, unknown
			}
			now, err := c.Releases(ctx, app, recent)
			if err != nil {
				return nil, err
			}
			var alike []Release
			for _, r := range now {
				if slices.ContainsFunc(before, func(old Release) bool { return old.ID == r.ID }) {
					continue
				}
				if r, err = c.Release(ctx, app, r.ID); err != nil { // lists of v2 racks leave the environment out
					return nil, err
				}
				if o.matches(r) {
					alike = append(alike, r)
				}
			}
			return alike, nil
		},
	})
}

// matches tells whether a release may have come of the options.
func (o ReleaseOptions) matches(r Release) bool {
	return (o.Build == "" || r.Build == o.Build) && (o.Description == "" || r.Description == o.Description) &&
		(o.Env == nil || CompareEnv(r.Variables(), ParseEnv(*o.Env)).Empty())
}

// BeginPromote is [Client.Promote], made exactly once: where the answer is lost
// it looks at the app, since a rack at rest with another release has not begun.
// before is the app as it was. under tells whether the rack has begun, which it may
// have although there is an error: ctx may end while it is asked.
func (c *Client) BeginPromote(ctx context.Context, before App, release string, force bool) (under bool, err error) {
	begun := false
	made, err := once(ctx, c, deed[App]{
		what: "promote " + release,
		id:   func(a App) string { return "under way" },
		do: func(ctx context.Context) (App, error) {
			err := c.Promote(ctx, before.Name, release, force)
			if begun && errors.Is(err, ErrForbidden) { // the first one shows only now
				err = nil
			}
			begun = begun || lostAnswer(err)
			if err != nil {
				return App{}, err
			}
			return before, nil
		},
		find: func(ctx context.Context) ([]App, error) {
			a, err := c.App(ctx, before.Name)
			if err != nil || a.Status == AppRunning && (a.Release != release || release == before.Release) {
				return nil, err
			}
			return []App{a}, nil
		},
	})
	return made.Name != "", err
}
