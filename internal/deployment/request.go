package deployment

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	tries       = 3                      // of a request; a record is not worth more of a deploy's time
	pauseBefore = 500 * time.Millisecond // the second try; double before the third
	maxAnswer   = 1 << 20                // bytes of an answer that are read; those of GitHub are some KB
	maxMessage  = 200                    // bytes of GitHub's words that are shown
	apiVersion  = "2022-11-28"           // https://docs.github.com/en/rest/about-the-rest-api/api-versions
)

// AnswerError is an answer that is no success.
type AnswerError struct {
	Status  int
	Message string // in GitHub's words, one line; "" if there are none
}

func (e *AnswerError) Error() string {
	return strings.TrimSuffix(fmt.Sprintf("GitHub answered %d: %s", e.Status, e.Message), ": ")
}

// send posts to the deployments of the repository, a few times if need be. What
// makes a record is sent again only where none can have been made.
func (g GitHub) send(ctx context.Context, path string, body, answer any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		err = g.post(ctx, path, text, answer)
		if err == nil || try == tries || ctx.Err() != nil || !again(err, path != "") {
			return err
		}
		g.pause(ctx, pauseBefore<<(try-1))
	}
}

// again tells whether another try may do better; twice that the request may have
// been done already and may be done twice.
func again(err error, twice bool) bool {
	var answer *AnswerError
	var dial *net.OpError
	switch {
	case errors.As(err, &answer) && (answer.Status == http.StatusTooManyRequests || answer.Status == http.StatusServiceUnavailable):
		return true
	case errors.As(err, &answer):
		return twice && answer.Status >= http.StatusInternalServerError
	case errors.As(err, &dial) && dial.Op == "dial":
		return true
	}
	return twice
}

func (g GitHub) pause(ctx context.Context, d time.Duration) {
	if g.wait != nil {
		g.wait(ctx, d)
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// post sends one request.
func (g GitHub) post(ctx context.Context, path string, body []byte, answer any) error {
	target := strings.TrimSuffix(g.API, "/") + "/repos/" + g.Repository + "/deployments" + path
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return errors.New("GITHUB_API_URL is not the URL of an API")
	}
	r.Header.Set("Accept", "application/vnd.github+json")
	r.Header.Set("Authorization", "Bearer "+g.Token)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "convox-ci") // GitHub refuses requests without one
	r.Header.Set("X-GitHub-Api-Version", apiVersion)
	res, err := g.HTTP.RoundTrip(r) // as it is: a redirect would take the token elsewhere
	if err != nil {
		return fmt.Errorf("GitHub was not reached: %w", err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	switch {
	case res.StatusCode != http.StatusCreated:
		return &AnswerError{Status: res.StatusCode, Message: message(text)}
	case err != nil:
		return fmt.Errorf("GitHub's answer was cut short: %w", err)
	case answer == nil:
		return nil
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return errors.New("GitHub's answer is no JSON")
	}
	return nil
}

// message is what GitHub says in an answer that is an error.
func message(text []byte) string {
	var said struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(text, &said) != nil {
		return ""
	}
	line := strings.Join(strings.Fields(said.Message), " ")
	if len(line) <= maxMessage {
		return line
	}
	n := maxMessage
	for !utf8.RuneStart(line[n]) {
		n--
	}
	return line[:n]
}
