package convoxenv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

const (
	// fetchTimeout is for all of the fetching: a command that waits for longer is
	// better ended and started anew.
	fetchTimeout = 30 * time.Second

	// maxStored bounds what is fetched, in bytes: an environment that Linux takes
	// is shorter than 2 MiB, and an envelope makes it a third longer.
	maxStored = 8 << 20

	// tokenUser is the name that a rack takes a token with. The password of a rack
	// has none: it opens everything, and an image is no place for it.
	tokenUser = "jwt"
)

var (
	errURL         = errors.New("unrecognized env url")
	errS3          = errors.New("this convox-env fetches nothing from s3://, only from http:// and https://")
	errCredentials = errors.New("the env url must not hold credentials: give a token of the rack in " + tokenVariable)
)

// fetch gets what is stored under the URL, by the way that its scheme names.
func (v variables) fetch(ctx context.Context) ([]byte, error) {
	u, err := url.Parse(v[urlVariable])
	if err != nil || u.Host == "" || u.Path == "" || u.Path == "/" {
		return nil, errURL // without that of url.Parse, which repeats the text
	}
	switch u.Scheme {
	case "s3":
		return nil, errS3
	case "http", "https":
		return v.fetchHTTP(ctx, u)
	}
	return nil, errURL
}

// fetchHTTP asks a rack, or what else keeps environments, and signs in with the
// token if there is one. The command gets none of what opens the environment: it
// has no use for it, and the token reads more than this.
func (v variables) fetchHTTP(ctx context.Context, u *url.URL) ([]byte, error) {
	if u.User != nil {
		return nil, errCredentials
	}
	ctx, done := context.WithTimeout(ctx, fetchTimeout)
	defer done()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, errURL
	}
	if token := v[tokenVariable]; token != "" {
		r.SetBasicAuth(tokenUser, token)
	}
	for _, opens := range []string{urlVariable, tokenVariable, keyVariable} {
		delete(v, opens)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(r)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // without the URL, which may be a signed one
		}
		return nil, fmt.Errorf("%s does not answer: %w", u.Host, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %d %s", u.Host, answer.StatusCode, http.StatusText(answer.StatusCode))
	}
	stored, err := io.ReadAll(io.LimitReader(answer.Body, maxStored+1))
	if err == nil && len(stored) > maxStored {
		err = fmt.Errorf("it is longer than %d bytes", maxStored)
	}
	return stored, err
}
