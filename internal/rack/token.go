package rack

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
)

// CreateToken makes a token that lasts for some hours, and is sent as the password
// of the user jwt. The role is read or write.
func (c *Client) CreateToken(ctx context.Context, role string, hours int) (string, error) {
	var answer struct {
		Token string `json:"token"`
	}
	form := url.Values{"role": {role}, "durationInHour": {strconv.Itoa(hours)}}
	err := c.do(ctx, call{method: http.MethodPost, path: "/system/jwt/token", form: form}, &answer)
	if err == nil && answer.Token == "" { // as a v2 rack answers for a role that it does not know
		err = errors.New("the rack gave no token for the role " + role)
	}
	return answer.Token, err
}
