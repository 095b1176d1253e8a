package rack_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/convox-ci/convox-ci/internal/container"
	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
)

// hollow are containers in which nothing is run: of a process that is held only
// the rack itself knows.
type hollow struct{ rackd.Files }

func (hollow) Create(context.Context, string, string) error { return nil }
func (hollow) Run(string, container.Command) (int, error)   { return 0, nil }
func (hollow) Remove(string) error                          { return nil }

// losing is a way to a rack on which the answers to what must not be done twice
// are lost.
type losing struct {
	to    http.RoundTripper
	times int64  // so many of them
	done  int    // how often the rack does what is asked for once before
	deaf  bool   // and then nobody is allowed to look
	left  func() // called with the first loss; nil for nothing
	posts atomic.Int64
}

func (l *losing) RoundTrip(r *http.Request) (*http.Response, error) {
	if l.deaf && l.posts.Load() > 0 && r.Method == "GET" {
		return reply(http.StatusForbidden, "not for you\n"), nil
	}
	if r.Method != "POST" || l.posts.Add(1) > l.times {
		return l.to.RoundTrip(r)
	}
	for range l.done {
		once := r.Clone(r.Context())
		if r.GetBody != nil {
			once.Body, _ = r.GetBody()
		}
		res, err := l.to.RoundTrip(once)
		if err != nil {
			return nil, err
		}
		res.Body.Close()
	}
	if l.left != nil {
		l.left()
	}
	return nil, errReset
}

// deeds are what a client does once. Each has the way to count what came of it,
// beside what was there before.
var deeds = []struct {
	name  string
	do    func(ctx context.Context, c *rack.Client, s *scene) (id string, err error)
	count func(ctx context.Context, c *rack.Client) (int, error)
	one   bool // two cannot come of it
}{
	{"build", func(ctx context.Context, c *rack.Client, s *scene) (string, error) {
		b, err := c.StartBuild(ctx, "web", s.object, rack.BuildOptions{Description: "this one", GitSHA: "0123abc"})
		return b.ID, err
	}, func(ctx context.Context, c *rack.Client) (int, error) {
		bs, err := c.Builds(ctx, "web", 0)
		return len(bs) - 1, err
	}, false},
	{"release", func(ctx context.Context, c *rack.Client, _ *scene) (string, error) {
		env := "A=1\n"
		r, err := c.MakeRelease(ctx, "web", rack.ReleaseOptions{Env: &env})
		return r.ID, err
	}, func(ctx context.Context, c *rack.Client) (int, error) {
		rs, err := c.Releases(ctx, "web", 0)
		return len(rs) - 1, err
	}, false},
	{"promote", func(ctx context.Context, c *rack.Client, s *scene) (string, error) {
		_, err := c.BeginPromote(ctx, rack.App{Name: "web"}, s.release, false)
		return s.release, err
	}, func(ctx context.Context, c *rack.Client) (int, error) {
		a, err := c.App(ctx, "web")
		if a.Release == "" {
			return 0, err
		}
		return 1, err
	}, true},
	{"process", func(ctx context.Context, c *rack.Client, s *scene) (string, error) {
		p, err := c.BeginProcess(ctx, "web", "one", rack.RunOptions{Command: "sleep 4711", Release: s.release})
		return p.ID, err
	}, func(ctx context.Context, c *rack.Client) (int, error) {
		ps, err := c.Processes(ctx, "web")
		return len(ps), err
	}, false},
}

// scene is a rack with an app that has one build.
type scene struct {
	way             http.RoundTripper
	calm            *rack.Client
	object, release string
}

func newScene(t *testing.T) *scene {
	t.Helper()
	ctx := t.Context()
	s := &scene{way: embedded(t)}
	s.calm = rack.New(direct(t), s.way, nil)
	_, err := s.calm.CreateApp(ctx, "web")
	o, err2 := s.calm.PutObject(ctx, "web", "tmp/source.tgz", pack(t))
	b, err3 := s.calm.CreateBuild(ctx, "web", o.URL, rack.BuildOptions{})
	b, err4 := s.calm.AwaitBuild(ctx, "web", b.ID)
	if err := errors.Join(err, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	s.object, s.release = o.URL, b.Release
	return s
}

func TestOnce(t *testing.T) {
	for _, test := range []struct {
		name  string
		times int64 // answers that are lost
		done  int   // how often the rack did what it was asked for
		deaf  bool  // the rack cannot be asked then
		made  int   // on the rack
		posts int64 // that were sent
		found int   // in a [rack.LostError]; -1 where there is none
		fails bool
	}{
		{"done and found", 1, 1, false, 1, 1, -1, false},
		{"not done, and done again", 1, 0, false, 1, 2, -1, false},
		{"lost four times", 4, 0, false, 1, 5, -1, false},
		{"never done", 9, 0, false, 0, 5, -1, true},
		{"someone else did the same", 1, 2, false, 2, 1, 2, true},
		{"done, and not to be looked for", 1, 1, true, 1, 1, 0, true},
	} {
		for _, d := range deeds {
			if d.one && test.done > 1 {
				continue // a second promote is the first one
			}
			bubble(t, test.name+"/"+d.name, func(t *testing.T) {
				s := newScene(t)
				way := &losing{to: s.way, times: test.times, done: test.done, deaf: test.deaf}
				id, err := d.do(t.Context(), rack.New(direct(t), way, nil), s)
				var lost *rack.LostError
				if found := errors.As(err, &lost); found != (test.found >= 0) || found && len(lost.Found) != test.found {
					t.Errorf("got %v", err)
				}
				if (err != nil) != test.fails || err != nil && !errors.Is(err, rack.ErrUnavailable) || err == nil && id == "" {
					t.Errorf("got %q, %v", id, err)
				}
				made, err := d.count(t.Context(), s.calm)
				if made != test.made || err != nil || way.posts.Load() != test.posts {
					t.Errorf("%d made, %v, %d requests", made, err, way.posts.Load())
				}
			})
		}
	}
}

// What was made for someone who does not wait any more comes with the error, so
// that it can be undone.
func TestOnceForWhoHasLeft(t *testing.T) {
	cause := errors.New("the job was cancelled")
	for _, done := range []int{0, 1} {
		for _, d := range deeds {
			bubble(t, d.name, func(t *testing.T) {
				s := newScene(t)
				ctx, cancel := context.WithCancelCause(t.Context())
				way := &losing{to: s.way, times: 9, done: done, left: func() { cancel(cause) }}
				begun := time.Now()
				id, err := d.do(ctx, rack.New(direct(t), way, nil), s)
				if err != cause || (id != "") != (done > 0 || d.one) || time.Since(begun) > 3*time.Second {
					t.Errorf("got %q, %v after %s", id, err, time.Since(begun))
				}
				if made, err := d.count(t.Context(), s.calm); made != done || err != nil || way.posts.Load() != 1 {
					t.Errorf("%d made, %v, %d requests", made, err, way.posts.Load())
				}
			})
		}
	}
}

// A promote that the rack refuses since the lost one is under way has begun.
func TestPromoteThatTheFirstOneBars(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, looks := 0, 0
		c, _ := client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Method == "GET": // from a cache that does not show the update yet
				looks++
				answer(w, 200, rack.App{Name: "web", Generation: "2", Status: up, Release: "OLD"})
			case n == 0:
				n++
				answer(w, 504, "")
			default:
				n++
				answer(w, 403, "app is currently updating")
			}
		}))
		_, err := c.BeginPromote(t.Context(), rack.App{Name: "web", Release: "OLD"}, "NEW", false)
		if err != nil || n != 2 || looks < 5 {
			t.Errorf("got %v, %d requests, %d looks", err, n, looks)
		}
	})
}

// importer is a rack that imports builds and is not through with them at once.
type importer struct {
	mu     sync.Mutex
	builds []rack.Build
	at     time.Time
}

func (i *importer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	data, err := io.ReadAll(r.Body)
	i.mu.Lock()
	defer i.mu.Unlock()
	status := rack.BuildRunning
	if time.Since(i.at) > time.Minute {
		status = rack.BuildComplete
	}
	for n := range i.builds {
		i.builds[n].Status = status
	}
	switch {
	case err != nil:
	case r.Method == "POST":
		i.at = time.Now()
		i.builds = append(i.builds, rack.Build{ID: "BNEW", Description: string(data), Manifest: "m", Status: rack.BuildRunning})
		answer(w, 504, "")
	case strings.HasSuffix(r.URL.Path, "/builds"):
		answer(w, 200, i.builds)
	default:
		answer(w, 200, i.builds[slices.IndexFunc(i.builds, func(b rack.Build) bool { return strings.HasSuffix(r.URL.Path, b.ID) })])
	}
}

// An import whose answer is lost is followed by the record, among others that
// began meanwhile.
func TestImportWhoseAnswerIsLost(t *testing.T) {
	for _, test := range []struct {
		like string
		want string
	}{{"whole", "BNEW"}, {"another", ""}} {
		synctest.Test(t, func(t *testing.T) {
			i := &importer{builds: []rack.Build{{ID: "BOLD", Description: "whole", Manifest: "m"}}}
			c, _ := client(t, i)
			opened := 0
			b, err := c.ImportBuildOnce(t.Context(), "web", func() (io.ReadCloser, error) {
				opened++
				return io.NopCloser(strings.NewReader("whole")), nil
			}, func() rack.Build { return rack.Build{Description: test.like, Manifest: "m"} })
			switch {
			case test.want == "" && err == nil:
				t.Errorf("%s: got %+v", test.like, b)
			case test.want != "" && (err != nil || b.ID != test.want || b.Status != rack.BuildComplete || opened != 1):
				t.Errorf("%s: got %+v, %v, sent %d times", test.like, b, err, opened)
			}
		})
	}
}
