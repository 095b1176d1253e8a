package rack_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// door is a console that lets nobody in without a session. It remembers what
// came.
type door struct {
	t     *testing.T
	ask   string // header WWW-Authenticate of a refusal
	id    string // of the session it gives
	in    http.HandlerFunc
	mu    sync.Mutex
	lines []string
}

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	d.mu.Lock()
	d.lines = append(d.lines, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", r.Method, r.URL.Path, r.Header.Get("Session"), body)))
	d.mu.Unlock()
	_, password, _ := r.BasicAuth()
	switch {
	case password != "secret-of-the-rack":
		d.t.Errorf("%s %s: password %q", r.Method, r.URL.Path, password)
	case r.Method == "POST" && r.URL.Path == "/session":
		if r.ContentLength != 0 || r.Header.Get("Content-Type") != "application/octet-stream" {
			d.t.Errorf("a session was asked for with %d bytes of %s", r.ContentLength, r.Header.Get("Content-Type"))
		}
		answer(w, 200, map[string]string{"id": d.id})
	case r.Header.Get("Session") != "given":
		w.Header().Set("WWW-Authenticate", d.ask)
		answer(w, 401, "session required")
	default:
		d.in(w, r)
	}
}

const asked = `Session path="/session" token="false"`

func TestSession(t *testing.T) {
	d := &door{t: t, ask: asked, id: "given", in: func(w http.ResponseWriter, r *http.Request) {
		answer(w, 200, rack.Build{ID: "B", Status: rack.BuildComplete})
	}}
	c, said := client(t, d)
	opened := 0
	_, err := c.PutObject(t.Context(), "web", "k", func() (io.ReadCloser, error) {
		opened++
		return io.NopCloser(strings.NewReader("whole")), nil
	})
	if err != nil || opened != 2 {
		t.Fatalf("opened %d times, %v", opened, err)
	}
	if _, err := c.CreateBuild(t.Context(), "web", "u", rack.BuildOptions{}); err != nil {
		t.Fatal(err)
	}
	want := "POST /apps/web/objects/k  whole\nPOST /session\nPOST /apps/web/objects/k given whole\nPOST /apps/web/builds given url=u"
	if got := strings.Join(d.lines, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if len(said.all()) > 0 {
		t.Errorf("said %q", said.all())
	}
}

// A build is not made twice because a session was needed for it.
func TestSessionForWhatMustNotBeRepeated(t *testing.T) {
	builds := 0
	d := &door{t: t, ask: asked, id: "given", in: func(w http.ResponseWriter, r *http.Request) { builds++; answer(w, 200, rack.Build{ID: "B"}) }}
	c, _ := client(t, d)
	if _, err := c.CreateBuild(t.Context(), "web", "u", rack.BuildOptions{}); err != nil || builds != 1 {
		t.Errorf("%d builds, %v", builds, err)
	}
}

func TestSessionForAStream(t *testing.T) {
	d := &door{t: t, ask: asked, id: "given"}
	d.in = func(w http.ResponseWriter, r *http.Request) {
		s := upgrade(t, w, r)
		s.text("log\n")
		s.end()
	}
	way := serve(t, d)
	var out safeBuffer
	c := rack.New(direct(t), roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.Header.Get("Upgrade") == "" && r.Method == "GET" {
			return reply(200, `{"status":"complete"}`), nil
		}
		return way.RoundTrip(r)
	}), nil)
	if err := c.Log(t.Context(), "web", "B", &out); err != nil || out.String() != "log\n" {
		t.Errorf("got %q, %v", &out, err)
	}
}

func TestSessionThatIsNotGiven(t *testing.T) {
	for _, test := range []struct {
		name, ask, id, want string
		requests            int
	}{
		{"a security key is asked for", `Session path="/session" token="true"`, "given", "security key", 1},
		{"another scheme", `Basic realm="convox"`, "given", "session required", 1},
		{"none", "", "given", "session required", 1},
		{"another form", `Session token="false" path="/session"`, "given", "session required", 1},
		{"another host", `Session path="https://elsewhere.invalid/session" token="false"`, "given", "session required", 1},
		{"it does not help", asked, "useless", "session required", 3},
		{"it is empty", asked, "", "session required", 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := &door{t: t, ask: test.ask, id: test.id}
			c, _ := client(t, d)
			_, err := c.App(t.Context(), "web")
			if !errors.Is(err, rack.ErrUnauthorized) || !strings.Contains(err.Error(), test.want) || len(d.lines) != test.requests {
				t.Errorf("%d requests, %v", len(d.lines), err)
			}
		})
	}
}

func TestFailedSessionIsTheError(t *testing.T) {
	c, _ := client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/session" {
			answer(w, 403, "this key may not have one")
			return
		}
		w.Header().Set("WWW-Authenticate", asked)
		answer(w, 401, "session required")
	}))
	if _, err := c.App(t.Context(), "web"); !errors.Is(err, rack.ErrForbidden) || err.Error() != "this key may not have one" {
		t.Errorf("got %v", err)
	}
}
