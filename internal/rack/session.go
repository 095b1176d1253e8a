package rack

import (
	"context"
	"errors"
	"net/http"
	"regexp"
)

// challenge is how a console asks for a session, in the header WWW-Authenticate
// of a 401: where to begin it, and whether a security key must be touched first.
var challenge = regexp.MustCompile(`^Session path="(/[^"]*)" token="(true|false)"$`)

// answerChallenge begins a session if that is what err is about, and tells
// whether one was begun. The one who got err makes its request again then.
func (c *Client) answerChallenge(ctx context.Context, err error) (begun bool, failed error) {
	var e *Error
	if !errors.As(err, &e) || e.Status != http.StatusUnauthorized {
		return false, nil
	}
	asked := challenge.FindStringSubmatch(e.challenge)
	if asked == nil {
		return false, nil
	}
	k := call{method: http.MethodPost, path: asked[1]}
	if asked[2] == "true" {
		return false, &Error{Method: k.method, Path: k.path, Status: e.Status,
			Message: "the console asks for a security key to be touched, which cannot be done from a CI system"}
	}
	var session struct {
		ID string `json:"id"`
	}
	if err := c.try(ctx, k, &session); err != nil {
		return false, err
	}
	c.session.Store(&session.ID)
	return true, nil
}
