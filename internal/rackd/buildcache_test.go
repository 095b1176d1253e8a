package rackd_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
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
	fault error // of all that is asked
}

func (r *repository) do(what string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done = append(r.done, what)
	return r.fault
}

func (r *repository) Create(context.Context) error { return r.do("create") }
func (r *repository) Delete(context.Context) error { return r.do("delete") }
func (r *repository) Tags(context.Context) ([]string, error) {
	return r.tags, r.fault
}

func (r *repository) Expire(_ context.Context, before time.Time) error {
	return r.do("expire " + time.Since(before).String())
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

// TestCacheFaults: a repository that fails costs a warning and nothing else.
func TestCacheFaults(t *testing.T) {
	r := &repository{fault: errors.New("disk on fire")}
	m, c := cached(t, r)
	m.want("set", m.set("BuildCache=Yes"), 200, "ok\n")
	m.mu.Lock()
	if want := "the build cache is not as the parameters of the rack say: disk on fire"; !slices.Contains(m.said, want) {
		t.Errorf("notices are %q, want %q", m.said, want)
	}
	m.mu.Unlock()
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
		want("at the start", "delete")
		set("BuildCache=Yes")
		want("switched on", "create")
		time.Sleep(24 * time.Hour)
		want("a day later", "create")
		set("BuildCacheCleanup=Yes&BuildCacheRetentionDays=7")
		want("with cleanup", "create, expire 168h0m0s")
		time.Sleep(48 * time.Hour)
		want("two days later", "create, expire 168h0m0s, create, expire 168h0m0s")
		set("BuildCacheCleanup=No")
		want("without cleanup", "create")
		set("BuildCache=No&BuildCacheCleanup=Yes")
		want("switched off", "delete")
	})
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
