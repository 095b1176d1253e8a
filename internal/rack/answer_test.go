package rack_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/convox-ci/convox-ci/internal/rack"
)

func TestErrorKinds(t *testing.T) {
	kinds := map[string]error{"not found": rack.ErrNotFound, "unauthorized": rack.ErrUnauthorized, "forbidden": rack.ErrForbidden,
		"unavailable": rack.ErrUnavailable, "conflict": rack.ErrConflict}
	for _, test := range []struct {
		status int
		text   string
		want   string
	}{
		{404, "build not found: BABCDEFGHIJ", "not found"},
		{404, "", "not found"},
		{500, `builds.convox.com "babcdefghij" not found`, "not found"},
		{500, `releases.convox.com "rabcdefghij" not found`, "not found"},
		{500, `builds.convox.com "b" not found in cache`, ""},
		{500, `reading builds.convox.com "b" not found`, ""},
		{500, `pods "x" not found`, "not found"},
		{500, "can not promote an older release, try rollback", ""},
		{400, `builds.convox.com "babcdefghij" not found`, ""},
		{401, "invalid authentication", "unauthorized"},
		{403, "app is currently updating", "forbidden"},
		{409, "app already exists: web", "conflict"},
		{429, "", "unavailable"},
		{502, "", "unavailable"},
		{503, "", "unavailable"},
		{504, "", "unavailable"},
		{302, "", "unavailable"},
		{0, "", "unavailable"},
		{400, "", ""},
		{501, "", ""},
	} {
		err := fmt.Errorf("promote: %w", &rack.Error{Status: test.status, Message: test.text})
		for name, kind := range kinds {
			if got := errors.Is(err, kind); got != (name == test.want) {
				t.Errorf("%d %q is %s: %v", test.status, test.text, name, got)
			}
		}
	}
}

// refused is the error of a call that was answered like that.
func refused(t testing.TB, status int, body string) *rack.Error {
	t.Helper()
	c := rack.New(console(t), roundTripper(func(*http.Request) (*http.Response, error) { return reply(status, body), nil }), nil)
	err := c.Promote(t.Context(), "web", "R", false)
	var e *rack.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v", err)
	}
	return e
}

func TestErrorSaysWhatTheRackSaid(t *testing.T) {
	const bare = "POST /apps/web/releases/R/promote: response status 500"
	for _, test := range []struct{ name, body, want string }{
		{"text", "can not promote an older release, try rollback\n", "can not promote an older release, try rollback"},
		{"two lines", "validation errors:\nweb: no port\n", "validation errors:\nweb: no port"},
		{"JSON", `{"error":"app is locked: web"}`, "app is locked: web"},
		{"JSON of an old rack", `{"Error":"app is locked: web"}`, "app is locked: web"},
		{"JSON without an error", `{"message":"Forbidden"}`, `{"message":"Forbidden"}`},
		{"empty", "", bare},
		{"blank", " \n", bare},
		{"a page", "<html><body>secret of the proxy</body></html>", bare},
		{"a page behind blanks and a mark", "\ufeff\r\n <!DOCTYPE html>...", bare},
		{"a page in JSON", `{"error":"<html>..."}`, bare},
		{"invalid UTF-8", "bad \xff\xfe byte", "bad \uFFFD byte"},
		{"colour and bells", "\x1b[31mred\x1b[0m\a\r", "[31mred[0m"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := refused(t, 500, test.body).Error(); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

const mostOfAMessage = 8 << 10

func TestHugeErrorIsBounded(t *testing.T) {
	var read int
	endless := roundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 500, Header: http.Header{}, Body: io.NopCloser(readerFunc(func(p []byte) (int, error) {
			read += len(p)
			for i := range p {
				p[i] = "x\xff"[i%2]
			}
			return len(p), nil
		}))}, nil
	})
	_, err := rack.New(console(t), endless, nil).App(t.Context(), "web")
	var e *rack.Error
	if !errors.As(err, &e) || len(e.Message) > mostOfAMessage || len(e.Message) < mostOfAMessage/2 {
		t.Errorf("a message of %d bytes", len(err.Error()))
	}
	if read > 16*mostOfAMessage {
		t.Errorf("%d bytes were read for it", read)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// What a rack or a proxy answers with an error becomes a short, printable text,
// whatever it is.
func FuzzMessage(f *testing.F) {
	for _, s := range []string{"app not found: web\n", `{"error":"x"}`, "<html>", "\xff\xfe", "\x1b[31m", "\ufeff<", "{\"error\":\"\\u0000<a\"}",
		strings.Repeat("\u20ac\xff", 5000), " \x00 <p>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		m := refused(t, 500, body).Message
		switch {
		case !utf8.ValidString(m):
			t.Errorf("%q is not UTF-8", m)
		case len(m) > mostOfAMessage:
			t.Errorf("%d bytes", len(m))
		case m != strings.TrimSpace(m):
			t.Errorf("%q has blanks around it", m)
		case strings.HasPrefix(m, "<"):
			t.Errorf("%q is a page", m)
		case strings.ContainsFunc(m, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }):
			t.Errorf("%q has control characters", m)
		}
		if plain := strings.TrimSpace(body); len(body) < mostOfAMessage && isPlain(plain) && m != plain {
			t.Errorf("%q became %q", body, m)
		}
	})
}

// isPlain tells whether a text needs no cleaning.
func isPlain(s string) bool {
	return utf8.ValidString(s) && !strings.HasPrefix(s, "<") && !strings.HasPrefix(s, "{") &&
		!strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' || r == '\ufeff' })
}

// failures are ways in which a request can fail that tell of the URL; those of
// TLS are in the test of that.
func failures() map[string]http.RoundTripper {
	fail := func(err error) http.RoundTripper {
		return roundTripper(func(*http.Request) (*http.Response, error) { return nil, err })
	}
	say := func(status int, body string, header ...string) http.RoundTripper {
		return roundTripper(func(*http.Request) (*http.Response, error) { return reply(status, body, header...), nil })
	}
	return map[string]http.RoundTripper{
		"a name that does not exist": fail(errNoName),
		"a reset":                    fail(errReset),
		"an error with the URL":      fail(&url.Error{Op: "Get", URL: "https://convox:" + key + "@console.invalid/", Err: io.EOF}),
		"a redirect to the URL":      say(302, "", "Location", "https://convox:"+url.QueryEscape(key)+"@console.invalid/"),
		"401":                        say(401, "invalid authentication"),
		"a page":                     say(503, "<html>"+key+"</html>"),
		"not JSON":                   say(200, "<html>"+key+"</html>"),
		"an end within the answer": roundTripper(func(*http.Request) (*http.Response, error) {
			r := reply(200, "")
			r.Body = io.NopCloser(faulty{errReset})
			return r, nil
		}),
		"no WebSocket": say(101, ""),
	}
}

func TestErrorsNeverShowTheKey(t *testing.T) {
	for name, tr := range failures() {
		t.Run(name, func(t *testing.T) {
			said := &notices{}
			c := rack.New(console(t), &flaky{to: tr}, said.add)
			ctx, cancel := context.WithTimeoutCause(t.Context(), 3*time.Second, errors.New("long enough"))
			defer cancel()
			var errs []error
			for _, verb := range verbs[2:] { // those are not tried again, so this takes no time
				errs = append(errs, verb.do(ctx, c))
			}
			first, stop := context.WithCancelCause(ctx)
			firstSaid := rack.New(console(t), tr, func(line string) { said.add(line); stop(errors.New("enough")) })
			_, err := firstSaid.System(first)
			errs = append(errs, err, watchOnce(t, tr, said))
			if errors.Join(errs...) == nil {
				t.Error("no error")
			}
			for _, err := range errs {
				if err == nil {
					continue // a promote is done when its status is there
				}
				for _, verb := range []string{"%v", "%+v", "%#v", "%q"} {
					showsNothing(t, verb, fmt.Sprintf(verb, err))
				}
				for inner := err; inner != nil; inner = errors.Unwrap(inner) {
					showsNothing(t, "an inner error", fmt.Sprintf("%v %+v %#v", inner, inner, inner))
				}
			}
			for _, line := range said.all() {
				showsNothing(t, "a notice", line)
			}
		})
	}
}

// watchOnce lets a stream meet a failure, while the build runs.
func watchOnce(t *testing.T, tr http.RoundTripper, said *notices) error {
	t.Helper()
	ctx, stop := context.WithCancelCause(t.Context())
	way := roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.Header.Get("Upgrade") != "" {
			return tr.RoundTrip(r)
		}
		return reply(200, `{"status":"running"}`), nil
	})
	c := rack.New(console(t), way, func(line string) { said.add(line); stop(errors.New("one notice is enough")) })
	_, err := c.Watch(ctx, "web", "B", io.Discard)
	return err
}

func TestSilentHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		said := &notices{}
		ctx, stop := context.WithCancelCause(t.Context())
		c := rack.New(direct(t), serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Upgrade") != "" {
				<-r.Context().Done()
				return
			}
			answer(w, 200, rack.Build{ID: "B", Status: rack.BuildRunning})
		})), func(line string) { said.add(line); stop(errors.New("enough")) })
		begun := time.Now()
		c.Watch(ctx, "web", "B", io.Discard)
		if took := time.Since(begun); took != 30*time.Second || !strings.Contains(said.all()[0], "no answer in time") {
			t.Errorf("after %s: %q", took, said.all())
		}
		showsNothing(t, "the notice", said.all()[0])
	})
}
