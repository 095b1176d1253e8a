package rack_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/wire"
)

// recordings runs a test on recordings of both generations.
func recordings(t *testing.T, name string, f func(t *testing.T, r wire.Recording)) {
	t.Helper()
	for _, generation := range []string{"v2", "v3"} {
		r := wire.Load(t, generation+"-"+name)
		bubble(t, r.Name, func(t *testing.T) { f(t, r) })
	}
}

// build does what a recorded build did, with the options it was asked for.
func build(t *testing.T, r wire.Recording, o rack.BuildOptions) {
	t.Helper()
	c, p := play(t, r)
	created := answered(t, r, "POST", "/builds")[0]
	app := strings.Split(created.Path, "/")[2]
	o.GitSHA = created.Form["git-sha"][0]
	s, err := c.System(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	carriesSystem(t, answered(t, r, "GET", "/system")[0], s)
	object, err := c.PutObject(t.Context(), app, strings.TrimPrefix(created.Form["url"][0], "object://"+app+"/"), func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("a pack")), nil
	})
	if err != nil || object.URL != created.Form["url"][0] {
		t.Fatalf("uploaded to %s: %v", object.URL, err)
	}
	b, err := c.CreateBuild(t.Context(), app, object.URL, o)
	if err != nil {
		t.Fatal(err)
	}
	carries(t, created.Body, b)
	var out safeBuffer
	b, err = c.Watch(t.Context(), app, b.ID, &out)
	if err != nil {
		t.Fatal(err)
	}
	looks := answered(t, r, "GET", "/builds/"+b.ID)
	carries(t, looks[len(looks)-1].Body, b)
	streams := answered(t, r, "GET", "/logs")
	if want := logOf(streams[len(streams)-1]); out.String() != want || !strings.Contains(r.Stdout, want) {
		t.Errorf("log is\n%s, want\n%s", &out, want)
	}
	p.done()
}

// carriesSystem leaves out what only concerns a rack's own router.
func carriesSystem(t *testing.T, e wire.Exchange, s rack.System) {
	t.Helper()
	carries(t, strings.Replace(e.Body, `"router-internal": "",`, "", 1), s)
}

func TestContractBuild(t *testing.T) {
	for _, name := range []string{"build", "build-failed", "build-drop", "build-direct"} {
		recordings(t, name, func(t *testing.T, r wire.Recording) {
			build(t, r, rack.BuildOptions{Description: "build cea4cffa64 first commit, with a comma"})
		})
	}
	yes := true
	recordings(t, "build-options", func(t *testing.T, r wire.Recording) {
		build(t, r, rack.BuildOptions{BuildArgs: []string{"FOO=1", "BAR=two words"}, Description: "a description & more",
			Manifest: "convox.yml", NoCache: true, WildcardDomain: &yes, Development: true})
	})
}

// A console that asks for a session first was recorded with a v2 client.
func TestContractSession(t *testing.T) {
	data, err := os.ReadFile("testdata/v2-build-session.json")
	if err != nil {
		t.Fatal(err)
	}
	var r wire.Recording
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	bubble(t, r.Name, func(t *testing.T) {
		c, p := play(t, r)
		s, err := c.System(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		carriesSystem(t, answered(t, r, "GET", "/system")[1], s)
		created := answered(t, r, "POST", "/builds")[0]
		if _, err := c.PutObject(t.Context(), "myapp", strings.TrimPrefix(created.Form["url"][0], "object://myapp/"), func() (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader("a pack")), nil
		}); err != nil {
			t.Fatal(err)
		}
		b, err := c.CreateBuild(t.Context(), "myapp", created.Form["url"][0], rack.BuildOptions{
			Description: created.Form["description"][0], GitSHA: created.Form["git-sha"][0]})
		if err != nil {
			t.Fatal(err)
		}
		var out safeBuffer
		if b, err = c.Watch(t.Context(), "myapp", b.ID, &out); err != nil || b.Status != rack.BuildComplete {
			t.Errorf("got %v, %v", b, err)
		}
		if log := out.String(); log == "" || !strings.Contains(r.Stdout, log) {
			t.Errorf("log is %q", log)
		}
		p.done()
	})
}

func TestContractBuilds(t *testing.T) {
	for name, limit := range map[string]int{"builds": 0, "builds-limit": 1} {
		recordings(t, name, func(t *testing.T, r wire.Recording) {
			c, _ := play(t, r)
			bs, err := c.Builds(t.Context(), "myapp", limit)
			if err != nil {
				t.Fatal(err)
			}
			carries(t, answered(t, r, "GET", "/builds")[0].Body, bs)
		})
	}
	recordings(t, "builds-info", func(t *testing.T, r wire.Recording) {
		e := answered(t, r, "GET", "BSEEDBUILDA")[0]
		c, _ := play(t, r)
		b, err := c.Build(t.Context(), "myapp", path.Base(e.Path))
		if err != nil {
			t.Fatal(err)
		}
		carries(t, e.Body, b)
	})
	recordings(t, "builds-info-missing", func(t *testing.T, r wire.Recording) {
		e := r.Exchanges[len(r.Exchanges)-1]
		c, _ := play(t, r)
		_, err := c.Build(t.Context(), "myapp", path.Base(e.Path))
		if !errors.Is(err, rack.ErrNotFound) || err.Error() != strings.TrimSpace(e.Body) {
			t.Errorf("got %v, want %s", err, e.Body)
		}
	})
}

func TestContractLog(t *testing.T) {
	for _, generation := range []string{"v2", "v3"} {
		info, logs := wire.Load(t, generation+"-builds-info"), wire.Load(t, generation+"-builds-logs")
		bubble(t, logs.Name, func(t *testing.T) {
			c, _ := play(t, info, logs)
			var out safeBuffer
			if err := c.Log(t.Context(), "myapp", "BSEEDBUILDA", &out); err != nil || out.String() != logs.Stdout {
				t.Errorf("got %q, %v, want %q", &out, err, logs.Stdout)
			}
		})
	}
}

func TestContractApp(t *testing.T) {
	recordings(t, "apps-info", func(t *testing.T, r wire.Recording) {
		c, _ := play(t, r)
		a, err := c.App(t.Context(), "myapp")
		if err != nil {
			t.Fatal(err)
		}
		carries(t, answered(t, r, "GET", "/apps/myapp")[0].Body, a)
	})
	recordings(t, "apps-info-missing", func(t *testing.T, r wire.Recording) {
		e := r.Exchanges[len(r.Exchanges)-1]
		c, _ := play(t, r)
		if _, err := c.App(t.Context(), path.Base(e.Path)); !errors.Is(err, rack.ErrNotFound) {
			t.Errorf("got %v", err)
		}
	})
	recordings(t, "apps-create", func(t *testing.T, r wire.Recording) {
		e := answered(t, r, "POST", "/apps")[0]
		c, p := play(t, r)
		a, err := c.CreateApp(t.Context(), e.Form["name"][0])
		if err != nil {
			t.Fatal(err)
		}
		carries(t, e.Body, a)
		p.done()
	})
	recordings(t, "releases-info", func(t *testing.T, r wire.Recording) {
		e := r.Exchanges[len(r.Exchanges)-1]
		c, _ := play(t, r)
		rel, err := c.Release(t.Context(), "myapp", path.Base(e.Path))
		if err != nil {
			t.Fatal(err)
		}
		carries(t, e.Body, rel)
	})
}

func TestContractPromote(t *testing.T) {
	recordings(t, "releases-promote", func(t *testing.T, r wire.Recording) {
		c, p := play(t, r)
		a, err := c.App(t.Context(), "myapp")
		if err != nil || a.Release != "RSEEDRELEAS" || a.Status != rack.AppRunning {
			t.Fatalf("got %v, %v", a, err)
		}
		if err := c.Promote(t.Context(), "myapp", "RNEWRELEASE", false); err != nil {
			t.Fatal(err)
		}
		p.done()
	})
	recordings(t, "releases-promote-older", func(t *testing.T, r wire.Recording) {
		c, p := play(t, r)
		err := c.Promote(t.Context(), "myapp", "ROLDRELEASE", false)
		var e *rack.Error
		if !errors.As(err, &e) || e.Message != "can not promote an older release, try rollback" {
			t.Errorf("got %v", err)
		}
		p.done()
	})
}

// How an app looked in recorded deploys leads to the verdict that the official
// client came to.
func TestContractVerdict(t *testing.T) {
	for name, want := range map[string]rack.Verdict{
		"v2-deploy-wait": rack.Live, "v3-deploy": rack.Live, "v2-deploy-on-v3-rack": rack.Live,
		"v2-deploy-rollback": rack.RolledBack, "v3-deploy-rollback": rack.RolledBack,
	} {
		r := wire.Load(t, name)
		if (r.ExitCode == 0) != (want == rack.Live) {
			t.Fatalf("%s: the client exited with %d", name, r.ExitCode)
		}
		bubble(t, name, func(t *testing.T) {
			promote := strings.Split(answered(t, r, "POST", "/promote")[0].Path, "/")
			app, release := promote[2], promote[4]
			c, _ := play(t, r)
			before, err := c.App(t.Context(), app)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Promote(t.Context(), app, release, false); err != nil {
				t.Fatal(err)
			}
			if o := c.Await(t.Context(), app, release, before.Release); o.Verdict != want {
				t.Errorf("got %+v", o)
			}
		})
	}
}
