package workflow

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/convox-ci/convox-ci/internal/ci"
	"github.com/convox-ci/convox-ci/internal/options"
	"github.com/convox-ci/convox-ci/internal/rack"
)

// Subjects of findings about the way to the app. Where something is in the way the
// subject is the [rack.Trouble].
const (
	aboutAccess = "access"
	aboutClock  = "clock"
	aboutApp    = "app"
)

// sight is what was seen of the rack.
type sight struct {
	rack.Access
	env     map[string]string // of the newest release, nil if not known
	trouble error             // what is in the way, nil for nothing
	found   []Finding
}

// add puts a finding into the sight.
func (s *sight) add(level ci.Level, subject, text string) {
	s.found = append(s.found, Finding{Level: level, Subject: subject, Text: text})
}

// build is the environment of a build, nil if not known.
func (s sight) build(args options.Pairs) map[string]string {
	if s.env == nil {
		return nil
	}
	env := maps.Clone(s.env)
	for _, a := range args {
		env[a.Key] = a.Value
	}
	return env
}

// see looks at the rack. Its error is the end of ctx; what is in the way is part
// of the sight.
func (j Job) see(ctx context.Context, in CheckInputs) (s sight, err error) {
	if j.Rack == nil {
		s.add(ci.LevelNotice, aboutAccess, "not looked at: "+in.blind())
		return s, nil
	}
	where := j.Rack.Endpoint().String()
	s.Access, err = j.Rack.Preflight(ctx, in.App)
	if ctx.Err() != nil {
		return s, context.Cause(ctx)
	}
	if s.Skew.Abs() > rack.MaxSkew {
		s.add(ci.LevelWarning, aboutClock, skewed(s.Skew, where))
	}
	if err != nil {
		s.trouble = err
		s.found = append(s.found, barred(err, where, in.Target))
		return s, nil
	}
	if in.App == "" {
		s.add(ci.LevelNotice, aboutAccess, where+" accepts the key; without the input app nothing more can be asked")
		return s, nil
	}
	s.add(ci.LevelNotice, aboutAccess, in.App+" on "+where+" can be reached; whether the key may build and promote shows when it does")
	if s.App.Status != rack.AppRunning {
		s.add(ci.LevelWarning, aboutApp, in.App+" is "+s.App.Status+": until it is running a promote is refused")
	}
	return s, j.seeEnvironment(ctx, in.App, &s)
}

// seeEnvironment looks at the environment of an app. A deploy key may be kept from
// it and still deploy.
func (j Job) seeEnvironment(ctx context.Context, app string, s *sight) error {
	newest, _, err := j.Rack.NewestRelease(ctx, app)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		s.add(ci.LevelNotice, aboutEnvironment, "not looked at: "+err.Error())
		return nil
	}
	s.env = newest.Variables() // of an app without a release: none
	return nil
}

// blind says why no rack was looked at.
func (t *Target) blind() string {
	switch {
	case t.Rack == LocalRack:
		return "the rack in this process begins with the first verb that needs it, and makes the app"
	case t.Rack == "":
		return "the input rack, or rack-url in its place, is missing"
	}
	return "the input password, a deploy key, is missing"
}

// skewed says by how much our clock is wrong, or theirs.
func skewed(ahead time.Duration, where string) string {
	way := "ahead of"
	if ahead < 0 {
		way = "behind"
	}
	return fmt.Sprintf("the clock of this machine is %s %s that of %s: certificates and signed tokens are judged by it", ahead.Abs(), way, where)
}

// barred says what is in the way.
func barred(err error, where string, t Target) Finding {
	f := Finding{Level: ci.LevelError, Subject: aboutAccess, Text: err.Error()}
	var a *rack.AccessError
	if !errors.As(err, &a) {
		return f
	}
	f.Subject = string(a.Trouble)
	switch a.Trouble {
	case rack.TroubleKey:
		f.Text = where + " does not accept the key: " + f.Text
	case rack.TroubleRight:
		f.Text = where + " knows the key and does not let it do this: " + f.Text
	case rack.TroubleRack:
		f.Text = "the console accepts the key and has no rack " + t.Rack + " for it" + instead(t.Rack, a.Racks)
	case rack.TroubleTarget:
		f.Text = where + ` answers "` + f.Text + `": the name of the rack is wrong, or the key is; the answer does not tell`
	case rack.TroubleApp:
		f.Text = "there is no app " + t.App + " on " + where
	case rack.TroubleHost:
		f.Text = "nothing has the name of the host: " + f.Text
	case rack.TroubleCertificate:
		f.Text = "the certificate of " + where + " is not trusted: " + f.Text
	case rack.TroubleClock:
		f.Text = "the certificate of " + where + " is over or not begun, or the clock of this machine is wrong: " + f.Text
	case rack.TroubleDown:
		f.Text = where + " was not reached, or did not answer as a rack does: " + f.Text
	}
	return f
}

// racksShown is how many names of racks are listed: an organization has few, and
// more say nothing.
const racksShown = 10

// instead names the racks that may have been meant.
func instead(name string, racks []string) string {
	if near := options.Nearest(name, racks); near != "" {
		return ", did you mean " + near + "?"
	}
	if len(racks) == 0 {
		return "; it has none"
	}
	return "; it has " + strings.Join(racks[:min(len(racks), racksShown)], ", ")
}
