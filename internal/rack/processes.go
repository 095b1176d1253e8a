package rack

import (
	"context"
	"net/http"
)

// RunOptions say what a new process runs.
type RunOptions struct {
	Command string // handed to a shell on v2 racks, taken apart into words on v3; no line break
	Release string // whose image and environment it has; "" is the active one
}

// StartProcess starts a process of a service's image and answers while it is
// still pending. Its command cannot be asked for its exit status; see
// [Client.Exec] for one that can.
func (c *Client) StartProcess(ctx context.Context, app, service string, o RunOptions) (Process, error) {
	h := http.Header{"Command": {o.Command}}
	if o.Release != "" {
		h.Set("Release", o.Release)
	}
	var p Process
	return p, c.do(ctx, call{method: http.MethodPost, path: path("apps", app, "services", service, "processes"), header: h}, &p)
}

// Process asks for a process; [ErrNotFound] if the app has none of that id, as
// after its end.
func (c *Client) Process(ctx context.Context, app, id string) (Process, error) {
	var p Process
	return p, c.do(ctx, call{method: http.MethodGet, path: path("apps", app, "processes", id), repeatable: true}, &p)
}

// Processes lists the processes of an app.
func (c *Client) Processes(ctx context.Context, app string) ([]Process, error) {
	var ps []Process
	return ps, c.do(ctx, call{method: http.MethodGet, path: path("apps", app, "processes"), repeatable: true}, &ps)
}

// StopProcess ends a process. One that is gone already is no error.
func (c *Client) StopProcess(ctx context.Context, app, id string) error {
	err := c.do(ctx, call{method: http.MethodDelete, path: path("apps", app, "processes", id), repeatable: true}, nil)
	if isGone(err) {
		return nil
	}
	return err
}
