package rackd_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/bake"
	"github.com/convox-ci/convox-ci/internal/rackd"
)

// repository is a [rackd.BuildCache] that writes down what is done with it.
type repository struct {
	mu    sync.Mutex
	done  []string
	tags  []string
	there bool
	fault map[string]error // of what is asked, by its name
}

func (r *repository) do(what string, then func()) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done = append(r.done, what)
	if err := r.fault[what]; err != nil {
		return err
	}
	then()
	return nil
}

// fail has something fail from now on; nil has it work again.
func (r *repository) fail(what string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault = map[string]error{what: err}
}

func (r *repository) Create(context.Context) (made bool, err error) {
	err = r.do("create", func() { made, r.there = !r.there, true })
	return made, err
}

func (r *repository) Delete(context.Context) error { return r.do("delete", func() { r.there = false }) }
func (r *repository) Tags(context.Context) ([]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tags, r.fault["tags"]
}

func (r *repository) Retain(_ context.Context, days int) error {
	return r.do(fmt.Sprintf("retain %d", days), func() {})
}

// taken is what was done since it was asked last.
func (r *repository) taken() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer func() { r.done = nil }()
	return strings.Join(r.done, ", ")
}

// caching is an engine that can keep caches in registries, or says that it cannot.
type caching struct {
	*engine
	unable bool
}

func (c *caching) Caches(context.Context) bool { return !c.unable }

// cached makes a rack with a build cache.
func cached(t *testing.T, r *repository) (*machine, *caching) {
	t.Helper()
	c := &caching{}
	m := start(t, func(config *rackd.Config) {
		c.engine = config.Baker.Builder.(*engine)
		config.Name, config.Cache = "Office", r
		config.Baker = &bake.Baker{Builder: c, Registry: config.Baker.Registry}
	})
	return m, c
}

const withoutCache = "WARNING: docker buildx is not available in the build image, building without the persistent cache\n"

// TestCachingByMethod is the table of what a build takes and leaves.
func TestCachingByMethod(t *testing.T) {
	const to, from = "127.0.0.1:5000/office-build-cache:web.bd765d3c4f3f729f", "127.0.0.1:5000/office-build-cache:other.1"
	for _, test := range []struct {
		cache, method, noCache string
		tags                   []string
		unable                 bool
		want                   string // NoCache From To
	}{
		{"No", "ec2", "false", []string{"other.1"}, false, "false [] "},
		{"No", "ec2", "true", []string{"other.1"}, false, "true [] "},
		{"No", "fargate", "false", []string{"other.1"}, false, "true [] "},
		{"No", "fargate", "true", []string{"other.1"}, false, "true [] "},
		{"Yes", "ec2", "false", []string{"other.1"}, false, "false [" + from + "] " + to},
		{"Yes", "ec2", "false", nil, false, "false [] " + to},
		{"Yes", "ec2", "true", []string{"other.1"}, false, "true [] " + to},
		{"Yes", "fargate", "false", []string{"other.1"}, false, "false [" + from + "] " + to},
		{"Yes", "fargate", "false", nil, false, "true [] " + to},
		{"Yes", "fargate", "true", []string{"other.1"}, false, "true [] "},
		{"Yes", "ec2", "false", []string{"other.1"}, true, "false [] "},
		{"Yes", "ec2", "true", []string{"other.1"}, true, "true [] "},
		{"Yes", "fargate", "false", []string{"other.1"}, true, "true [] "},
	} {
		name := fmt.Sprintf("BuildCache=%s %s no-cache=%s %v unable=%t", test.cache, test.method, test.noCache, test.tags, test.unable)
		t.Run(name, func(t *testing.T) {
			m, c := cached(t, &repository{tags: test.tags})
			c.unable = test.unable
			for _, pair := range []string{"BuildCache=" + test.cache, "BuildMethod=" + test.method} {
				m.set(pair) // which may change nothing
			}
			log := m.log(m.create(url.Values{"no-cache": {test.noCache}}).ID)
			s := c.specs[0]
			if got := fmt.Sprintf("%t %v %s", s.NoCache, s.Cache.From, s.Cache.To); got != test.want {
				t.Errorf("the build is asked for %s, want %s", got, test.want)
			}
			warned := strings.HasPrefix(log, withoutCache+"Building: .\n")
			if warned != test.unable || strings.Contains(log, "WARNING") != test.unable {
				t.Errorf("log is %q", log)
			}
		})
	}
}

// TestNoWarningWithoutBuilds: who only pulls images misses nothing.
func TestNoWarningWithoutBuilds(t *testing.T) {
	m, c := cached(t, &repository{})
	c.unable = true
	m.want("set", m.set("BuildCache=Yes"), 200, "ok\n")
	log := m.log(m.create(url.Values{"url": {m.upload(files{"convox.yml": "services:\n  one:\n    image: nginx\n"})}}).ID)
	if !strings.Contains(log, "docker pull nginx") || strings.Contains(log, "WARNING") {
		t.Errorf("log is %q", log)
	}
}

// TestCacheFaults: a repository that fails costs builds a warning and nothing else.
func TestCacheFaults(t *testing.T) {
	r := &repository{}
	m, c := cached(t, r)
	m.want("set", m.set("BuildCache=Yes"), 200, "ok\n")
	r.fail("tags", errors.New("disk on fire"))
	b := m.create(nil)
	log := m.log(b.ID)
	if !strings.HasPrefix(log, "WARNING: the persistent cache was not read: disk on fire\nBuilding: .\n") {
		t.Errorf("log is %q", log)
	}
	if s := c.specs[0]; s.NoCache || s.Cache.To == "" || m.build(b.ID).Status != "complete" {
		t.Errorf("spec is %+v, build %+v", s, m.build(b.ID))
	}
}

// TestCacheIsTended looks at the repository at the start of a rack, when
// parameters change, and once a day.
func TestCacheIsTended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &repository{}
		m := unserved(t, t.TempDir(), func(c *rackd.Config) { c.Cache = r })
		want := func(when, done string) {
			t.Helper()
			synctest.Wait()
			if d := cmp.Diff(done, r.taken()); d != "" {
				t.Errorf("%s (-want +got):\n%s", when, d)
			}
		}
		set := func(pairs string) {
			t.Helper()
			m.want(pairs, m.direct("PUT", "/system?parameters="+url.QueryEscape(pairs), nil), 200, "ok\n")
		}
		want("at the start", "")
		set("BuildCache=Yes")
		want("switched on", "create")
		time.Sleep(24 * time.Hour)
		want("a day later", "create")
		set("BuildCacheCleanup=Yes&BuildCacheRetentionDays=7")
		want("with cleanup", "create, retain 7")
		time.Sleep(48 * time.Hour)
		want("two days later", "create, retain 7, create, retain 7")
		set("BuildCacheCleanup=No")
		want("without cleanup", "create, retain 0")
		set("BuildCacheRetentionDays=8&BuildCpu=512")
		want("what has no effect", "")
		set("BuildCache=No&BuildCacheCleanup=Yes")
		want("switched off", "delete")
		time.Sleep(24 * time.Hour)
		want("a day after that", "")
	})
}

// TestParametersAndCacheChangeTogether: where one cannot be changed the other is
// as it was.
func TestParametersAndCacheChangeTogether(t *testing.T) {
	r := &repository{}
	m := unserved(t, t.TempDir(), func(c *rackd.Config) {
		c.Cache, c.Stores.Parameters = r, &stuck{store: c.Stores.Parameters, r: r}
	})
	for _, step := range []struct {
		set, failing string
		done         string // with the repository
		kept         string // BuildCache and BuildCpu after it
		there        bool
	}{
		{"BuildCache=Yes&BuildCpu=512", "create", "create", "No 256", false},
		{"BuildCache=Yes&BuildCacheCleanup=Yes&BuildCpu=512", "retain 30", "create, retain 30, delete", "No 256", false},
		{"BuildCache=Yes&BuildCpu=512", "store", "create, delete", "No 256", false},
		{"BuildCache=Yes&BuildCpu=512", "", "create", "Yes 512", true},
		{"BuildCacheCleanup=Yes&BuildCpu=1024", "retain 30", "create, retain 30", "Yes 512", true},
		{"BuildCacheCleanup=Yes&BuildCpu=1024", "store", "create, retain 30, create, retain 0", "Yes 512", true},
		{"BuildCache=No&BuildCpu=1024", "delete", "delete", "Yes 512", true},
		{"BuildCache=No&BuildCpu=1024", "store", "delete, create", "Yes 512", true}, // empty, but there
		{"BuildCache=No&BuildCpu=1024", "", "delete", "No 1024", false},
	} {
		r.fail(step.failing, errors.New("not today"))
		res := m.direct("PUT", "/system?parameters="+url.QueryEscape(step.set), nil)
		if failed := res.status != 200; failed != (step.failing != "") || failed && !strings.Contains(res.body, "not today") {
			t.Errorf("%s with a failing %q: %d %s", step.set, step.failing, res.status, res.body)
		}
		all, err := m.server.Stores.Parameters.Parameters(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(all) == 0 {
			all = map[string]string{"BuildCache": "No", "BuildCpu": "256"}
		}
		now := all["BuildCache"] + " " + all["BuildCpu"]
		if done := r.taken(); now != step.kept || done != step.done || r.there != step.there {
			t.Errorf("%s with a failing %q: done is %s, parameters are %s, there is a repository: %v", step.set, step.failing, done, now, r.there)
		}
	}
}

// stuck does not store parameters where a test wants it to.
type stuck struct {
	store rackd.Parameters
	r     *repository
}

func (s *stuck) Parameters(ctx context.Context) (map[string]string, error) {
	return s.store.Parameters(ctx)
}

func (s *stuck) SwapParameters(ctx context.Context, old, next map[string]string) error {
	s.r.mu.Lock()
	err := s.r.fault["store"]
	s.r.mu.Unlock()
	if err != nil {
		return err
	}
	return s.store.SwapParameters(ctx, old, next)
}

func TestBuildCacheName(t *testing.T) {
	for name, want := range map[string]string{
		"local": "local-build-cache", "MyRack-2": "myrack-2-build-cache", "my rack/../x": "my-rack-x-build-cache", "": "build-cache", "Ünïq": "n-q-build-cache",
	} {
		if got := rackd.BuildCacheName(name); got != want {
			t.Errorf("of rack %q: %s, want %s", name, got, want)
		}
	}
	m, _ := cached(t, &repository{})
	m.want("app of that name", m.post("/apps", url.Values{"name": {"office-build-cache"}}), 500,
		"App name cannot be same as the repository of the build cache\n")
}
