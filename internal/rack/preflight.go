package rack

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
)

// Access is what a client was let see, without anything being changed.
type Access struct {
	System System        // zero if the key may not ask for it
	App    App           // zero unless there is one
	Skew   time.Duration // by which our clock is ahead of the other side's, in whole seconds; 0 if it did not say
}

// Preflight finds out whether the rack and the app can be reached with the key;
// with app "" it asks for the rack alone. The error is an [*AccessError] that
// tells what is in the way, or the cause of ctx. What was seen before it is in
// Access nevertheless.
//
// Only reading is tried: whether a key may also build and promote shows when it
// does. A deploy key may be kept from the rack itself and still reach its app, so
// that alone is no error where an app is asked for.
func (c *Client) Preflight(ctx context.Context, app string) (Access, error) {
	clock := &dated{RoundTripper: c.http.Transport}
	probe := New(c.endpoint, clock, c.notice)
	a, err := probe.preflight(ctx, app)
	a.Skew = clock.skew
	return a, err
}

func (c *Client) preflight(ctx context.Context, app string) (a Access, err error) {
	a.System, err = c.System(ctx)
	if err != nil && (app == "" || troubleOf(err) != TroubleRight) {
		return a, c.explain(ctx, err)
	}
	if app == "" {
		return a, nil
	}
	a.App, err = c.App(ctx, app)
	switch {
	case err == nil:
		return a, nil
	case errors.Is(err, ErrNotFound):
		return a, &AccessError{Trouble: TroubleApp, Err: err}
	}
	return a, c.explain(ctx, err)
}

// explain tells what an error says about the way to the rack. The answers of a
// console to a name that it does not know, or to a key for another rack, are not
// documented; its list of racks tells the two apart.
func (c *Client) explain(ctx context.Context, err error) error {
	trouble := troubleOf(err)
	var e *Error
	answered := errors.As(err, &e) && e.Status != 0
	switch {
	case trouble == "" && !answered, trouble != "" && trouble != TroubleKey:
		return inTrouble(trouble, err)
	case c.endpoint.rack == "" && trouble == TroubleKey:
		return inTrouble(trouble, err)
	case c.endpoint.rack == "": // what answers is no rack, or a path is missing there
		return inTrouble(TroubleDown, err)
	}
	list, listErr := c.Racks(ctx)
	var racks []string
	for _, r := range list {
		racks = append(racks, r.FullName())
	}
	switch listTrouble := troubleOf(listErr); {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case listErr == nil && !c.among(racks):
		return &AccessError{Trouble: TroubleRack, Racks: racks, Err: err}
	case listErr == nil:
		return inTrouble(TroubleRight, err) // the rack is there for this key, and refuses
	case listTrouble == TroubleKey && trouble == TroubleKey:
		return inTrouble(TroubleKey, err)
	}
	return inTrouble(TroubleTarget, err)
}

// inTrouble gives an error its trouble; without one it stays what it is.
func inTrouble(t Trouble, err error) error {
	if t == "" {
		return err
	}
	return &AccessError{Trouble: t, Err: err}
}

// Admits asks a console whether it accepts the key, whatever racks that is for. The
// error is an [*AccessError] where it tells what is in the way.
func (c *Client) Admits(ctx context.Context) error {
	_, err := c.Racks(ctx)
	return inTrouble(troubleOf(err), err)
}

// among tells whether the rack that is asked for may be one of names. A console
// takes a part of a name that only one has, so a part is enough.
func (c *Client) among(names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return strings.Contains(name, c.endpoint.rack) })
}
