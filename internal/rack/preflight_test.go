package rack_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// site is a rack, or a console before one, of a few answers: by path a text with
// a status, or a value with 200. Other paths are 404 without a word.
type site struct {
	answers map[string]any
	mu      sync.Mutex
	asked   []string
}

// denial is an answer that is no success.
type denial struct {
	status int
	text   string
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked = append(s.asked, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+r.Header.Get("Rack")))
	s.mu.Unlock()
	switch a := s.answers[r.URL.Path].(type) {
	case nil:
		w.WriteHeader(http.StatusNotFound)
	case denial:
		answer(w, a.status, a.text)
	default:
		answer(w, http.StatusOK, a)
	}
}

// behind is a client of a rack behind a console, in memory.
func behind(t *testing.T, h http.Handler) *rack.Client {
	t.Helper()
	tr := serve(t, h)
	// The endpoint of a console is https; in memory there is nobody to listen in.
	return rack.New(console(t), plainly{tr}, nil)
}

// plainly sends what should go over TLS without it.
type plainly struct{ http.RoundTripper }

func (p plainly) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme = "http"
	return p.RoundTripper.RoundTrip(r)
}

func racks(names ...string) []map[string]any {
	list := []map[string]any{}
	for _, name := range names {
		organization, name, _ := strings.Cut(name, "/")
		list = append(list, map[string]any{"name": name, "organization": map[string]string{"name": organization}, "parameters": nil})
	}
	return list
}

// trouble is what Preflight makes of an error, in a line.
func trouble(err error) string {
	var a *rack.AccessError
	if !errors.As(err, &a) {
		return fmt.Sprint(err)
	}
	return strings.TrimSpace(fmt.Sprintf("%s: %v %s", a.Trouble, a, strings.Join(a.Racks, " ")))
}

func TestPreflightOfARack(t *testing.T) {
	system, shop := rack.System{Version: "20260421192607"}, rack.App{Name: "shop"}
	for _, test := range []struct {
		name    string
		answers map[string]any
		want    string
	}{
		{"all is well", map[string]any{"/system": system, "/apps/shop": shop}, "<nil>"},
		{"bad key", map[string]any{"/system": denial{401, "invalid authentication\n"}}, "key: invalid authentication"},
		{"no such app", map[string]any{"/system": system, "/apps/shop": denial{404, "app not found: shop\n"}}, "app: app not found: shop"},
		{"the app without the rack", map[string]any{"/system": denial{403, "no\n"}, "/apps/shop": shop}, "<nil>"},
		{"a token that may nothing", map[string]any{"/system": denial{401, "you are unauthorized to access this\n"},
			"/apps/shop": denial{401, "you are unauthorized to access this\n"}}, "right: you are unauthorized to access this"},
		{"forbidden", map[string]any{"/system": system, "/apps/shop": denial{403, "no\n"}}, "right: no"},
		{"no rack", map[string]any{}, "down: GET /system: response status 404"},
		{"a page", map[string]any{"/system": denial{503, "<html>"}}, "down: GET /system: response status 503"},
		{"broken", map[string]any{"/system": denial{500, "its cloud is away\n"}}, "down: its cloud is away"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := client(t, &site{answers: test.answers})
				a, err := c.Preflight(t.Context(), "shop")
				if got := trouble(err); got != test.want {
					t.Errorf("trouble is %q, want %q", got, test.want)
				}
				if err == nil && a.App.Name != "shop" {
					t.Errorf("saw %+v", a)
				}
			})
		})
	}
}

// TestPreflightBehindAConsole: what the console's answer to the rack leaves open
// is asked of its list, without naming a rack; and where that does not tell
// either, nothing is claimed.
func TestPreflightBehindAConsole(t *testing.T) {
	bad, none := denial{401, "invalid authentication\n"}, denial{404, "no such rack\n"}
	for _, test := range []struct {
		name    string
		answers map[string]any
		want    string
	}{
		{"all is well", map[string]any{"/system": rack.System{}, "/apps/shop": rack.App{Name: "shop"}}, "<nil>"},
		{"key known nowhere", map[string]any{"/system": bad, "/racks": bad}, "key: invalid authentication"},
		{"rack not there", map[string]any{"/system": none, "/racks": racks("acme/prod", "acme/lab")}, "rack: no such rack acme/prod acme/lab"},
		{"refused for a rack not there", map[string]any{"/system": bad, "/racks": racks("other/fake")}, "rack: invalid authentication other/fake"},
		{"rack there and refuses", map[string]any{"/system": bad, "/racks": racks("acme/fake")}, "right: invalid authentication"},
		{"list refused, rack not there", map[string]any{"/system": none, "/racks": bad}, "target: no such rack"},
		{"no list", map[string]any{"/system": bad}, "target: invalid authentication"},
		{"rack away", map[string]any{"/system": denial{502, "<html>"}, "/racks": racks()}, "down: GET /system: response status 502"},
		{"no such app", map[string]any{"/system": rack.System{}, "/apps/shop": denial{404, "app not found: shop\n"}}, "app: app not found: shop"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &site{answers: test.answers}
				_, err := behind(t, s).Preflight(t.Context(), "shop")
				if got := trouble(err); got != test.want {
					t.Errorf("trouble is %q, want %q", got, test.want)
				}
				for _, line := range s.asked {
					if strings.HasPrefix(line, "GET /racks") != !strings.HasSuffix(line, " acme/fake") || !strings.HasPrefix(line, "GET ") {
						t.Errorf("asked %s", line)
					}
				}
			})
		})
	}
}

// TestPreflightWithoutAnApp asks for the rack alone.
func TestPreflightWithoutAnApp(t *testing.T) {
	s := &site{answers: map[string]any{"/system": rack.System{Name: "fake"}}}
	c, _ := client(t, s)
	a, err := c.Preflight(t.Context(), "")
	if diff := cmp.Diff([]string{"GET /system"}, s.asked); diff != "" || err != nil || a.System.Name != "fake" {
		t.Errorf("asked %q, saw %+v, %v", s.asked, a, err)
	}
}

// TestPreflightReadsTheClock of the other side, also where it refuses.
func TestPreflightReadsTheClock(t *testing.T) {
	for _, ahead := range []time.Duration{0, 7 * time.Minute, -3 * time.Hour} {
		for _, status := range []int{200, 401} {
			synctest.Test(t, func(t *testing.T) {
				c, _ := client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Date", time.Now().Add(-ahead).UTC().Format(http.TimeFormat))
					if status != 200 {
						answer(w, status, "no")
						return
					}
					answer(w, status, rack.System{})
				}))
				if a, _ := c.Preflight(t.Context(), ""); a.Skew != ahead {
					t.Errorf("status %d: our clock is ahead by %s, want %s", status, a.Skew, ahead)
				}
			})
		}
	}
}

// TestPreflightIsCancelled: a context that ends is no trouble of the target's.
func TestPreflightIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	over := errors.New("over")
	c, _ := client(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel(over)
		<-r.Context().Done()
	}))
	var a *rack.AccessError
	if _, err := c.Preflight(ctx, ""); !errors.Is(err, over) || errors.As(err, &a) {
		t.Errorf("Preflight = %v", err)
	}
}

// TestPreflightOfAHostThatIsNotThere needs no network: a resolver that knows no
// name answers as one does.
func TestPreflightOfAHostThatIsNotThere(t *testing.T) {
	tr := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Name: "rack.invalid", Err: "no such host", IsNotFound: true}}
	}}
	_, err := rack.New(direct(t), tr, nil).Preflight(t.Context(), "")
	if got := trouble(err); !strings.HasPrefix(got, "host: ") {
		t.Errorf("trouble is %q", got)
	}
}

func TestNewestRelease(t *testing.T) {
	newest := rack.Release{ID: "R2", Env: "A=1\nB=x=y\r\nnothing\n = z"}
	s := &site{answers: map[string]any{"/apps/shop/releases": []rack.Release{{ID: "R2"}}, "/apps/shop/releases/R2": newest, "/apps/new/releases": []rack.Release{}}}
	c, _ := client(t, s)
	r, ok, err := c.NewestRelease(t.Context(), "shop")
	if diff := cmp.Diff(map[string]string{"A": "1", "B": "x=y"}, r.Variables()); diff != "" || !ok || err != nil {
		t.Errorf("NewestRelease = %v, %v, %s", ok, err, diff)
	}
	if diff := cmp.Diff([]string{"GET /apps/shop/releases?limit=1", "GET /apps/shop/releases/R2"}, s.asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	if _, ok, err := c.NewestRelease(t.Context(), "new"); ok || err != nil {
		t.Errorf("of an app without any: %v, %v", ok, err)
	}
	if _, ok, err := c.NewestRelease(t.Context(), "gone"); ok || !errors.Is(err, rack.ErrNotFound) {
		t.Errorf("of no app: %v, %v", ok, err)
	}
}
