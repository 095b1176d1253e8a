package workflow_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/convox-ci/convox-ci/internal/bake"
	"github.com/convox-ci/convox-ci/internal/ci"
	"github.com/convox-ci/convox-ci/internal/commit"
	"github.com/convox-ci/convox-ci/internal/image"
	"github.com/convox-ci/convox-ci/internal/options"
	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

// repositoryPassword has characters with a meaning in URLs, which racks do not escape.
const repositoryPassword = "pale@orchid/42%+x"

// workbench stands in the place of what builds and pushes: no image is made, but
// all else is as with one.
type workbench struct {
	build func(context.Context, io.Writer) error // nil for a build that succeeds
	push  func(ref string) error                 // likewise
	wraps bool                                   // for a v2 rack

	mu     sync.Mutex
	pushed []string
	login  workflow.Credentials
}

func (b *workbench) Build(ctx context.Context, _ image.Spec, log io.Writer) error {
	if b.build != nil {
		return b.build(ctx, log)
	}
	return nil
}

func (b *workbench) Entrypoint(string) ([]string, error) { return []string{"/app"}, nil }

func (b *workbench) Wrap(string) error {
	if b.wraps {
		return nil
	}
	return errors.New("v3 racks put nothing into images")
}

func (b *workbench) Registry(login workflow.Credentials) bake.Registry {
	b.login = login
	return b
}

func (b *workbench) KeepsCache(_ context.Context, kind string) error {
	if kind == "gha" {
		return errors.New("is not for a workbench")
	}
	return nil
}

func (b *workbench) Pull(context.Context, string, string) error { return nil }

func (b *workbench) Push(_ context.Context, _, ref string) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pushed = append(b.pushed, ref)
	if b.push != nil {
		return "", b.push(ref)
	}
	return "sha256:" + strings.Repeat("0", 64), nil
}

func (b *workbench) Save(context.Context, map[string]string) (int64, func(io.Writer) error, error) {
	return 0, nil, errors.New("nothing is saved")
}

// asV3 makes a rack answer as a v3 one does of builds that are made elsewhere: the
// repository, with the password as it is, is in the first answer and in no other.
type asV3 struct{ to http.RoundTripper }

func (v asV3) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := v.to.RoundTrip(r)
	if err != nil || res.StatusCode != http.StatusOK || !strings.HasPrefix(r.URL.Path, "/apps/shop") {
		return res, err
	}
	text, err := io.ReadAll(res.Body)
	var answer map[string]any
	if json.Unmarshal(text, &answer) == nil {
		if _, build := answer["git-sha"]; build {
			delete(answer, "repository")
			if r.Method == http.MethodPost && r.URL.Path == "/apps/shop/builds" {
				answer["repository"] = "https://convox:" + repositoryPassword + "@api.rack.test/fake/shop"
			}
		} else if r.URL.Path == "/apps/shop" {
			answer["generation"] = "3"
		}
		text, _ = json.Marshal(answer)
	}
	res.Body = io.NopCloser(bytes.NewReader(text))
	return res, err
}

// onsite is a build that is made here for a rack like a v3 one, within a bubble.
type onsite struct {
	*workbench
	job    workflow.Job
	said   *said
	in     workflow.BuildInputs
	calm   *rack.Client // without what is between
	stored bytes.Buffer // the log, as the rack has got it
}

// newOnsite makes one; between is put between the job and its rack, nil for nothing.
func newOnsite(t *testing.T, b *workbench, between func(http.RoundTripper) http.RoundTripper) *onsite {
	t.Helper()
	endpoint, err := rack.Direct("http://convox:key@rack.invalid")
	if err != nil {
		t.Fatal(err)
	}
	o := &onsite{workbench: b}
	var way http.RoundTripper = asV3{within{http.HandlerFunc(o.noting(stocked(t, running)))}}
	o.calm = rack.New(endpoint, way, nil)
	if between != nil {
		way = between(way)
	}
	o.job, o.said = heard(workflow.Job{Rack: rack.New(endpoint, way, nil)})
	o.job.Commit = func(context.Context, string) commit.Commit { return commit.Commit{SHA: "0123abc"} }
	o.job.Engine = func(context.Context) (workflow.Engine, error) { return b, nil }
	o.in = workflow.BuildInputs{Target: target, BuildLimits: workflow.BuildLimits{Limits: workflow.Limits{Timeout: time.Hour}}}
	o.in.Context, o.in.Manifest = tree(t, map[string]string{"convox.yml": "services:\n  web:\n    build: .\n", "Dockerfile": "FROM scratch\n"}), "convox.yml"
	o.in.External.External = true
	return o
}

// noting keeps the logs that are stored.
func (o *onsite) noting(to http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/apps/shop/objects/") {
			r.Body = io.NopCloser(io.TeeReader(r.Body, &o.stored))
		}
		to.ServeHTTP(w, r)
	}
}

// form reads the form of a request and leaves it as it was.
func form(r *http.Request) string {
	if r.Body == nil || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		return ""
	}
	text, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(text))
	return string(text)
}

// recorded is the only build of a job's rack, and how many releases are of it.
func (o *onsite) recorded(t *testing.T) (rack.Build, int) {
	t.Helper()
	builds, err := o.calm.Builds(context.Background(), "shop", 0)
	releases, err2 := o.calm.Releases(context.Background(), "shop", 0)
	if err := errors.Join(err, err2); err != nil || len(builds) != 1 {
		t.Fatalf("%v, %v", builds, err)
	}
	n := 0
	for _, r := range releases {
		if r.Build == builds[0].ID {
			n++
		}
	}
	return builds[0], n
}

// TestExternalBuildEndsAsTheRackKnows: whatever answer is lost, what was said and
// what is recorded are one.
func TestExternalBuildEndsAsTheRackKnows(t *testing.T) {
	over := errors.New("over")
	put := func(r *http.Request, word string) bool {
		return r.Method == http.MethodPut && strings.Contains(form(r), word)
	}
	for name, c := range map[string]struct {
		answer             func(r *http.Request) (int, string)
		late, cancel       func(r *http.Request) bool // answers that are lost, or after which the run is cancelled
		status             string
		releases           int
		err                string // "" for a build that succeeds
		remembered, signal bool
	}{
		"nothing is lost": {status: rack.BuildComplete, releases: 1},
		"the last word was taken": {late: func(r *http.Request) bool { return put(r, "status=complete") },
			status: rack.BuildComplete, releases: 1},
		"the last word is refused at first": {answer: once(func(r *http.Request) bool { return put(r, "status=complete") }, 403, "busy"),
			status: rack.BuildComplete, releases: 1},
		"no release": {answer: func(r *http.Request) (int, string) {
			if r.Method == http.MethodPost && r.URL.Path == "/apps/shop/releases" {
				return 500, "no release for you"
			}
			return 0, ""
		}, status: rack.BuildFailed, err: "no release for you"},
		"the entry point is refused": {answer: once(func(r *http.Request) bool { return put(r, "entrypoint") }, 403, "not yours"),
			status: rack.BuildFailed, err: "not yours"},
		"cancelled before the release": {cancel: func(r *http.Request) bool { return put(r, "entrypoint") },
			status: rack.BuildFailed, err: "was cancelled: over", signal: true},
		"cancelled after the release": {cancel: func(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Path == "/apps/shop/releases" },
			status: rack.BuildComplete, releases: 1, err: "is complete: over", signal: true},
		"nothing can be recorded": {answer: func(r *http.Request) (int, string) {
			if r.Method == http.MethodPut && !strings.Contains(form(r), "manifest") {
				return 403, "not yours"
			}
			return 0, ""
		}, status: rack.BuildCreated, err: "not yours", remembered: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				o := newOnsite(t, &workbench{}, func(to http.RoundTripper) http.RoundTripper {
					if c.answer != nil {
						return via{to, c.answer}
					}
					return losing{to, c.late, c.cancel, func() { cancel(over) }}
				})
				s, state := o.said, map[string]string{}
				o.job.Remember = func(name, value string) error { state[name] = value; return nil }
				made, err := workflow.Build(ctx, o.job, o.in)
				record, releases := o.recorded(t)
				if record.Status != c.status || releases != c.releases || (c.status == rack.BuildComplete) != (record.Release != "") {
					t.Errorf("recorded %+v with %d releases\n%v\n%s", record, releases, err, s)
				}
				if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) || c.signal != errors.Is(err, over) {
					t.Errorf("error %v\n%s", err, s)
				}
				if made.Release != record.Release || (state["external"] != "") != c.remembered || record.Status != rack.BuildCreated && record.Logs == "" {
					t.Errorf("made %+v, state %v, log %q", made, state, record.Logs)
				}
				s.has(t, map[string]string{"build": record.ID, "release": record.Release})
			})
		})
	}
}

// once answers in a rack's place, the first time.
func once(is func(*http.Request) bool, status int, text string) func(*http.Request) (int, string) {
	var met sync.Once
	return func(r *http.Request) (int, string) {
		told := 0
		if is(r) {
			met.Do(func() { told = status })
		}
		return told, text
	}
}

// losing loses answers of what a rack has done, or has the run cancelled then.
type losing struct {
	http.RoundTripper
	late, cancel func(*http.Request) bool
	over         func()
}

func (l losing) RoundTrip(r *http.Request) (*http.Response, error) {
	lost, cancelled := l.late != nil && l.late(r), l.cancel != nil && l.cancel(r)
	res, err := l.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if cancelled {
		l.over()
	}
	if lost {
		res.Body.Close()
		return &http.Response{StatusCode: 502, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
	}
	return res, nil
}

// TestRepositoryPasswordIsHidden: the password in the first answer of a rack is in
// nothing that is said, put out or stored, in no CI system.
func TestRepositoryPasswordIsHidden(t *testing.T) {
	spells := []string{repositoryPassword, "pale%40orchid%2F42%25%2Bx", "pale%40orchid%2F42%25+x"}
	for _, system := range []string{ci.Plain, ci.GitHub, ci.CircleCI, ci.GitLab, ci.Buildkite, ci.Azure, ci.TeamCity, ci.Bitbucket, ci.Drone, ci.Woodpecker} {
		t.Run(system, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &workbench{build: func(_ context.Context, log io.Writer) error {
					fmt.Fprintf(log, "logged in with %s\n", strings.Join(spells, " "))
					return nil
				}}
				b.push = func(ref string) error {
					return fmt.Errorf("https://convox:%s@api.rack.test/fake/shop refused %s", repositoryPassword, ref)
				}
				o := newOnsite(t, b, nil)
				out := &said{outputs: map[string]string{}}
				console := ci.Open(ci.Run{System: system}, nil, out)
				o.job.Log, o.job.Outputs = console, console
				_, err := workflow.Build(t.Context(), o.job, o.in)
				if err == nil || b.login.Password != options.Secret(repositoryPassword) || b.login.User != "convox" || b.login.Host != "api.rack.test" {
					t.Fatalf("%v, login %v", err, b.login)
				}
				console.Annotate(ci.LevelError, "", 0, err.Error())
				console.Close()
				record, _ := o.recorded(t)
				log := o.stored.String()
				if !strings.Contains(log, "logged in with ***") {
					t.Errorf("stored log is\n%s", log)
				}
				shown := ""
				for line := range strings.Lines(out.String()) {
					if !strings.HasPrefix(line, "::add-mask::") && !strings.HasPrefix(line, "##vso[task.setsecret]") { // which only the system reads
						shown += line
					}
				}
				for what, text := range map[string]string{"console": shown, "log": log, "error": err.Error(), "outputs": fmt.Sprint(maps.Clone(console.Outputs())), "record": fmt.Sprint(record)} {
					for _, word := range spells {
						if strings.Contains(text, word) {
							t.Errorf("%s has the password:\n%s", what, text)
						}
					}
				}
			})
		})
	}
}

// TestForsakenBuilds: what an earlier run has left behind is ended by the next one
// as soon as nobody can be at it any more, and not before.
func TestForsakenBuilds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var undated string
		o := newOnsite(t, &workbench{}, func(to http.RoundTripper) http.RoundTripper {
			return changing{to, func(res *http.Response) {
				if res.Request.Method == http.MethodGet && res.Request.URL.Path == "/apps/shop/builds" {
					without(t, res, undated, "started")
				}
			}}
		})
		left := func(released bool) string {
			b, err := o.calm.StartExternal(t.Context(), "shop", rack.BuildOptions{Description: fmt.Sprint(time.Now())})
			if err == nil && released {
				stored, err2 := o.calm.PutObject(t.Context(), "shop", rack.LogKey(b.ID), func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("log\n")), nil })
				_, err3 := o.calm.UpdateBuild(t.Context(), "shop", b.ID, rack.BuildChanges{Manifest: imageManifest, Logs: stored.URL})
				_, err4 := o.calm.MakeRelease(t.Context(), "shop", rack.ReleaseOptions{Build: b.ID})
				err = errors.Join(err2, err3, err4)
			}
			if err != nil {
				t.Fatal(err)
			}
			return b.ID
		}
		bare, released := left(false), left(true)
		undated = left(false)
		time.Sleep(24*time.Hour - o.in.Timeout)
		longer := left(false) // may be of a run with another limit
		time.Sleep(o.in.Timeout)
		fresh := left(false)
		if _, err := workflow.Build(t.Context(), o.job, o.in); err != nil {
			t.Fatalf("%v\n%s", err, o.said)
		}
		for id, want := range map[string]string{bare: rack.BuildFailed, released: rack.BuildComplete, fresh: rack.BuildCreated, longer: rack.BuildCreated, undated: rack.BuildCreated} {
			if b, err := o.calm.Build(t.Context(), "shop", id); err != nil || b.Status != want || (b.Release != "") != (want == rack.BuildComplete) {
				t.Errorf("build %+v, %v, want it to be %s", b, err, want)
			}
		}
		if n := strings.Count(o.said.String(), "was not recorded to its end by its own run"); n != 2 {
			t.Errorf("said %d times:\n%s", n, o.said)
		}
	})
}

// without takes a field of one build out of a list of them.
func without(t *testing.T, res *http.Response, id, field string) {
	t.Helper()
	var builds []map[string]any
	if err := json.NewDecoder(res.Body).Decode(&builds); err != nil {
		t.Error(err)
	}
	for _, b := range builds {
		if b["id"] == id {
			delete(b, field)
		}
	}
	text, err := json.Marshal(builds)
	if err != nil {
		t.Error(err)
	}
	res.Body = io.NopCloser(bytes.NewReader(text))
}

// TestCacheThatTheEngineLacks: it is said before anything is begun.
func TestCacheThatTheEngineLacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOnsite(t, &workbench{}, nil)
		o.in.CacheTo = "type=gha"
		_, err := workflow.Build(t.Context(), o.job, o.in)
		if err == nil || err.Error() != `cache-to: "type=gha" is not for a workbench; accepted: a BuildKit daemon at BUILDKIT_HOST, as docker/setup-buildx-action starts one, which has them all` {
			t.Errorf("error %v", err)
		}
		if builds, err := o.calm.Builds(t.Context(), "shop", 0); err != nil || len(builds) > 0 {
			t.Errorf("builds %v, %v", builds, err)
		}
	})
}

// TestRegistryThatComesBack: what may be otherwise in a moment is tried again, and
// nothing else.
func TestRegistryThatComesBack(t *testing.T) {
	for status, tries := range map[int]int{503: 3, 0: 3, 403: 1, 413: 1} {
		synctest.Test(t, func(t *testing.T) {
			b := &workbench{}
			b.push = func(string) error {
				if len(b.pushed) < 3 {
					return &workflow.DeliveryError{Host: "api.rack.test", Status: status, Err: errors.New("<html>not now</html>")}
				}
				return nil
			}
			o := newOnsite(t, b, nil)
			made, err := workflow.Build(t.Context(), o.job, o.in)
			if (err == nil) != (tries == 3) || len(b.pushed) != tries || (made.Status == rack.BuildComplete) != (tries == 3) {
				t.Errorf("%d: %d tries, %v, %s\n%s", status, len(b.pushed), err, made.Status, o.said)
			}
			if n := strings.Count(o.said.String(), "trying again in "); n != tries-1 {
				t.Errorf("%d: said %d times\n%s", status, n, o.said)
			}
		})
	}
}

// bench is a workbench in the place of what a rack has on AWS; what that records the
// rack itself has.
type bench struct {
	*rack.Client
	images noting
}

// noting is a registry that has to hear of images.
type noting struct {
	bake.Registry
	noted *[]string
}

func (n noting) Note(_ context.Context, ref string) { *n.noted = append(*n.noted, ref) }

func (b *bench) Accept()                                     {}
func (b *bench) Holds(context.Context, string) (bool, error) { return true, nil }
func (b *bench) Images() bake.Registry                       { return b.images }
func (b *bench) Cache(context.Context) (bake.Cache, error)   { return bake.Cache{}, nil }

func (b *bench) StartExternal(ctx context.Context, app string, o rack.BuildOptions) (rack.Build, error) {
	made, err := b.Client.StartExternal(ctx, app, o)
	made.Repository = "ecr.test/office/shop"
	return made, err
}

// TestRegistryOnAWSComesBack: what a rack has on AWS is waited for as well, and still
// hears of the images that others are built from.
func TestRegistryOnAWSComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &workbench{wraps: true}
		b.push = func(string) error {
			if len(b.pushed) < 3 {
				return &workflow.DeliveryError{Host: "ecr.test", Status: 503, Err: errors.New("not now")}
			}
			return nil
		}
		o := newOnsite(t, b, func(to http.RoundTripper) http.RoundTripper {
			return changing{to, func(res *http.Response) {
				if res.Request.URL.Path == "/apps/shop" {
					text, _ := io.ReadAll(res.Body)
					res.Body = io.NopCloser(strings.NewReader(strings.Replace(string(text), `"generation":"3"`, `"generation":"2"`, 1)))
				}
			}}
		})
		e := &bench{o.calm, noting{b, new([]string)}}
		o.job.Estate = func(context.Context, workflow.EstateOrder) (workflow.Estate, error) { return e, nil }
		o.in.Delivery = "aws"
		o.in.Context, o.in.Manifest = tree(t, map[string]string{"convox.yml": "services:\n  web:\n    build: .\n", "Dockerfile": "FROM ecr.test/base:1\n"}), "convox.yml"
		made, err := workflow.Build(t.Context(), o.job, o.in)
		if err != nil || len(b.pushed) != 3 || made.Status != rack.BuildComplete || fmt.Sprint(*e.images.noted) != "[ecr.test/base:1]" {
			t.Errorf("%d tries, noted %q, %v, %s\n%s", len(b.pushed), *e.images.noted, err, made.Status, o.said)
		}
	})
}
