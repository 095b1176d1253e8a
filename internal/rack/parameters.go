package rack

import (
	"context"
	"net/http"
	"net/url"
)

// SetParameters changes parameters of the rack itself, all in one step or none;
// the others keep their values. On some racks the change is still under way when
// the call returns, and names that they do not have are passed over in silence.
// It is not tried again where it may have been done: a second time the rack would
// refuse it, as there is nothing left to change.
func (c *Client) SetParameters(ctx context.Context, parameters map[string]string) error {
	pairs := url.Values{}
	for name, value := range parameters {
		pairs.Set(name, value)
	}
	return c.do(ctx, call{method: http.MethodPut, path: "/system", form: url.Values{"parameters": {pairs.Encode()}}}, nil)
}
