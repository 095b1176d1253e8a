package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

// connectLocal starts the embedded rack for this run. It is spoken to over HTTP,
// like any other.
func (p *process) connectLocal(ctx context.Context, t workflow.Target) (*rack.Client, func() error, error) {
	data, err := p.dataDir(string(t.Data))
	if err != nil {
		return nil, nil, err
	}
	password := rand.Text() // of this run only
	r, err := p.startRack(ctx, rackOptions{name: workflow.LocalRack, listen: "127.0.0.1:0", data: data, password: password, private: true,
		owner:  fmt.Sprintf("process %d (convox-ci with rack local)", os.Getpid()),
		notice: func(string) {}}) // of an address that is gone when this run ends
	if err != nil {
		return nil, nil, err
	}
	u := url.URL{Scheme: "http", Host: r.address, User: url.UserPassword("convox", password)}
	e, err := rack.Direct(u.String())
	if err != nil {
		return nil, nil, errors.Join(err, r.close())
	}
	transport, err := rack.Transport(rack.TLS{})
	if err != nil {
		return nil, nil, errors.Join(err, r.close())
	}
	return rack.New(e, transport, p.notice), r.close, nil
}

// ensureApp makes the app on the local rack if it is missing: to try something
// there needs no preparation. On other racks a wrong name must not make an app.
func ensureApp(ctx context.Context, c *rack.Client, t workflow.Target) error {
	if t.Rack != workflow.LocalRack {
		return nil
	}
	_, err := c.App(ctx, t.App)
	if errors.Is(err, rack.ErrNotFound) {
		_, err = c.CreateApp(ctx, t.App)
	}
	return err
}

// dataDir is where the embedded rack keeps its data: what the input says, else
// a folder of the user's state directory.
// https://specifications.freedesktop.org/basedir-spec/latest/
func (p *process) dataDir(input string) (string, error) {
	if input != "" {
		return filepath.Abs(input)
	}
	if state := p.variable("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, "convox-ci"), nil
	}
	if home := p.variable("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".local", "state", "convox-ci"), nil
	}
	if local := p.variable("LOCALAPPDATA"); filepath.IsAbs(local) { // Windows
		return filepath.Join(local, "convox-ci"), nil
	}
	return "", inputFault("data", errors.New("is required where there is no home directory"))
}
