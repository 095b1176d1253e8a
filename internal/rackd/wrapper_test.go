package rackd_test

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/convox-ci/convox-ci/internal/bake"
	"github.com/convox-ci/convox-ci/internal/image"
	"github.com/convox-ci/convox-ci/internal/image/entry"
	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
	registries "github.com/convox-ci/convox-ci/internal/registry"
)

// convoxEnv is the program that goes into images, made as it is for a release.
var convoxEnv = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "convox-env")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	cmd := exec.Command("go", "build", "-o", filepath.Join(dir, "convox-env"), "../../cmd/convox-env")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(dir, "convox-env"))
})

// layoutEngine "builds" an image with a shell, whose entry point is that of the test.
func (m *machine) layoutEngine(config v1.Config) {
	m.engine.work = func(_ context.Context, s image.Spec, _ io.Writer) error {
		layer, err := shellLayer()
		if err != nil {
			return err
		}
		img, err := mutate.AppendLayers(empty.Image, layer)
		if err == nil {
			img, err = mutate.Config(img, config)
		}
		if err != nil {
			return err
		}
		p, err := layout.Write(s.Layout, empty.Index)
		if err != nil {
			return err
		}
		return p.AppendImage(img)
	}
}

// wrapping makes a rack that wraps, pushes and runs what is built, and has tokens.
func wrapping(t *testing.T) *machine {
	t.Helper()
	return start(t, running(t), password("s3cret"), tokens, func(c *rackd.Config) {
		program := func(string) ([]byte, error) { return convoxEnv() }
		client := &registries.Client{}
		c.Images = client
		c.Baker = &bake.Baker{Builder: c.Baker.Builder, Registry: client, Wrapper: &entry.Wrapper{Programs: program}}
	})
}

// imageOf is an image of web in the registry.
func (m *machine) imageOf(tag string) (v1.Image, *v1.ConfigFile) {
	m.Helper()
	img, err := (&registries.Client{}).Image(m.Context(), m.server.Registry+"/web:"+tag)
	m.must(err)
	config, err := img.ConfigFile()
	m.must(err)
	return img, config
}

// wrappedBuild builds a service from a Dockerfile and takes one as it is, and makes
// the release the active one.
func (m *machine) wrappedBuild() rack.Build {
	m.Helper()
	m.layoutEngine(v1.Config{Env: []string{"PATH=/bin", "OWN=image"}, Entrypoint: []string{"/bin/env", "KIND=two words"}, Cmd: []string{"id"}})
	m.pushShell("base:1", v1.Config{Env: []string{"PATH=/bin"}})
	m.post("/apps/web/releases", url.Values{"env": {"OWN=release\nSTORED=first"}})
	f := files{"Dockerfile": "FROM scratch\n", "convox.yml": "services:\n  one:\n    build: .\n    environment:\n      - OWN\n  two:\n    image: " + m.server.Registry + "/base:1\n"}
	b := m.create(url.Values{"url": {m.upload(f)}, "development": {"true"}, "no-cache": {"true"}})
	log := m.log(b.ID)
	if b = m.build(b.ID); b.Status != rack.BuildComplete || strings.Count(log, "\nInjecting: convox-env\n") != 2 {
		m.Fatalf("build is %s, log:\n%s", b.Status, log)
	}
	m.want("promote", m.post("/apps/web/releases/"+b.Release+"/promote", nil), 200, "ok\n")
	return b
}

// TestImagesStartThroughConvoxEnv: every image has it, before its entry point and
// with its command; the record of the build does not show it.
func TestImagesStartThroughConvoxEnv(t *testing.T) {
	m := wrapping(t)
	b := m.wrappedBuild()
	if want := "/bin/env 'KIND=two words'"; b.Entrypoint != want {
		t.Errorf("recorded entry point is %s, want %s", b.Entrypoint, want)
	}
	built, config := m.imageOf("one." + b.ID)
	want := v1.Config{Env: []string{"PATH=/bin", "OWN=image"}, Entrypoint: []string{"/convox-env", "/bin/env", "KIND=two words"}, Cmd: []string{"id"}}
	if d := cmp.Diff(want, config.Config); d != "" {
		t.Errorf("built (-want +got):\n%s", d)
	}
	pulled, config := m.imageOf("two." + b.ID)
	if d := cmp.Diff(v1.Config{Env: []string{"PATH=/bin"}, Entrypoint: []string{"/convox-env"}}, config.Config); d != "" {
		t.Errorf("pulled (-want +got):\n%s", d)
	}
	var last [2]string
	for i, img := range []v1.Image{built, pulled} {
		manifest, err := img.Manifest()
		m.must(err)
		last[i] = manifest.Layers[len(manifest.Layers)-1].Digest.String()
	}
	if last[0] != last[1] {
		t.Errorf("layers are %v: a registry keeps the program twice", last)
	}
	two := m.begin("two", "sleep 3600")
	m.wantMessages("no command", m.exec(two.ID, "echo started", "Entrypoint", "true"), []string{"started\n", rack.ExitPrefix + "0\n"})

	// As it is stored it goes to another app, and is wrapped no second time.
	archive := m.get("/apps/web/builds/" + b.ID + ".tgz")
	m.addApp("other")
	imported := decode[rack.Build](m, m.do("POST", "/apps/other/builds/import", nil, strings.NewReader(archive.body)))
	img, err := (&registries.Client{}).Image(t.Context(), m.server.Registry+"/other:one."+imported.ID)
	m.must(err)
	wantDigest, err := built.Digest()
	m.must(err)
	if got, err := img.Digest(); err != nil || got != wantDigest {
		t.Errorf("imported is %s, %v, want %s", got, err, wantDigest)
	}
}

// TestProcessFetchesItsEnvironment from the rack itself, with a token that reads.
func TestProcessFetchesItsEnvironment(t *testing.T) {
	m := wrapping(t)
	m.wrappedBuild()
	stored := decode[rack.Release](m, m.post("/apps/web/releases", url.Values{"env": {"OWN=stored\nSTORED=second\nHIDDEN=not listed"}}))
	given := decode[struct{ Token string }](m, m.post("/system/jwt/token", url.Values{"role": {"read"}, "durationInHour": {"1"}}))
	begin := func(token string) rack.Process {
		return m.begin("one", "sleep 3600", "Environment", url.Values{
			"CONVOX_ENV_URL": {m.url + "/apps/web/releases/" + stored.ID + "/env"}, "CONVOX_ENV_VARS": {"OWN,STORED"}, "CONVOX_ENV_TOKEN": {token}, "GIVEN": {"with the process"},
		}.Encode())
	}
	const show = `echo "$OWN, $STORED, $HIDDEN, $GIVEN, $SERVICE, $KIND, $CONVOX_ENV_TOKEN$CONVOX_ENV_URL"`
	p := begin(given.Token)
	m.wantMessages("with the entry point", m.exec(p.ID, show, "Entrypoint", "true"), []string{"stored, second, , with the process, one, two words, \n", rack.ExitPrefix + "0\n"})
	m.wantMessages("without", m.exec(p.ID, show), []string{"stored, second, , with the process, one, , \n", rack.ExitPrefix + "0\n"})
	m.wantMessages("status", m.exec(p.ID, "exit 42"), []string{"", rack.ExitPrefix + "42\n"})
	m.wantMessages("the password opens nothing", m.exec(begin("s3cret").ID, show),
		[]string{"ERROR: could not fetch convox env: " + m.host + " answers 401 Unauthorized\n", rack.ExitPrefix + "1\n"})
}

// TestEnvironmentOfARelease is what a process fetches.
func TestEnvironmentOfARelease(t *testing.T) {
	m := start(t, password("s3cret"), tokens)
	r := decode[rack.Release](m, m.post("/apps/web/releases", url.Values{"env": {"B=2\nA=1"}}))
	m.want("environment", m.get("/apps/web/releases/"+r.ID+"/env"), 200, "A=1\nB=2")
	m.want("no release", m.get("/apps/web/releases/RNONE/env"), 404, "release not found: RNONE\n")
	m.want("no app", m.get("/apps/none/releases/"+r.ID+"/env"), 404, "app not found: none\n")
	m.password = "wrong"
	m.want("nobody", m.get("/apps/web/releases/"+r.ID+"/env"), 401, "invalid authentication\n")
}

// unwrapped is a wrapper of images that are not there.
type unwrapped struct{ entrypoint []string }

func (u unwrapped) Entrypoint(string) ([]string, error) { return u.entrypoint, nil }
func (unwrapped) Wrap(string) error                     { return nil }

// wrapped makes a rack say what it says of images with an entry point.
func wrapped(entrypoint ...string) func(*rackd.Config) {
	return func(c *rackd.Config) { c.Baker.Wrapper = unwrapped{entrypoint} }
}

// TestRecordedEntrypoint is one line for a shell.
func TestRecordedEntrypoint(t *testing.T) {
	for want, words := range map[string][]string{
		"":                                   nil,
		"''":                                 {""},
		"bin/entry ''":                       {"bin/entry", ""},
		`/bin/sh -c 'echo '\''hi'\'' $X'`:    {"/bin/sh", "-c", "echo 'hi' $X"},
		"a '~' '*' '#b' 'c\nd' 'é' A=b:c,@%": {"a", "~", "*", "#b", "c\nd", "é", "A=b:c,@%"},
	} {
		m := start(t, wrapped(words...))
		b := m.create(nil)
		m.log(b.ID)
		got := m.build(b.ID).Entrypoint
		if got != want {
			t.Errorf("%q: recorded %s, want %s", words, got, want)
		}
		out, err := exec.Command("sh", "-c", `printf '%s\0' `+got).Output()
		if back := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"); err != nil || len(words) > 0 && !slices.Equal(back, words) {
			t.Errorf("%q: a shell reads %q, %v", words, back, err)
		}
	}
}

// TestLogOfFargate is the whole log of a build whose method that is.
func TestLogOfFargate(t *testing.T) {
	m := start(t, wrapped("a"), func(c *rackd.Config) { c.Images = &registries.Client{} })
	m.must(m.stores.Registries.PutRegistry(t.Context(), rack.Registry{Server: "registry.invalid", Username: "ann", Password: "s3cret"}))
	m.want("method", m.set("BuildMethod=fargate"), 200, "ok\n")
	b := m.create(nil)
	ref := "127.0.0.1:5000/web:one." + b.ID
	want := "Building: .\n#1 from scratch\n#2 done\nInjecting: convox-env\nRunning: tag and push " + ref + "\nPushed " + ref + "\nImage: " + ref + "@" + digest(ref) + "\n"
	if log := m.log(b.ID); log != want {
		t.Errorf("log is\n%s", log)
	}
	b = m.create(url.Values{"url": {m.upload(files{"convox.yml": "services:\n  - one\n"})}})
	if log := m.log(b.ID); !strings.HasPrefix(log, "ERROR: loading manifest: ") {
		t.Errorf("log of a wrong manifest is %q", log)
	}
}

// sequence writes down what is stored of builds, in its order.
type sequence struct {
	mu   sync.Mutex
	done []string
}

func (s *sequence) note(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = append(s.done, what)
}

type (
	notedObjects struct {
		rackd.Objects
		*sequence
	}
	notedBuilds struct {
		rackd.Builds
		*sequence
	}
	notedReleases struct {
		rackd.Releases
		*sequence
	}
)

func (n notedObjects) PutObject(ctx context.Context, app, key string, r io.Reader) error {
	if strings.HasPrefix(key, "build/") {
		n.note("log")
	}
	return n.Objects.PutObject(ctx, app, key, r)
}

func (n notedBuilds) SwapBuild(ctx context.Context, old, next rack.Build) error {
	what := next.Status
	for name, changed := range map[string]bool{
		" manifest": old.Manifest != next.Manifest, " entrypoint": old.Entrypoint != next.Entrypoint,
		" ended+logs": old.Ended != next.Ended && old.Logs != next.Logs, " release": old.Release != next.Release,
	} {
		if changed {
			what += name
		}
	}
	n.note(what)
	return n.Builds.SwapBuild(ctx, old, next)
}

func (n notedReleases) AddRelease(ctx context.Context, r rack.Release) error {
	n.note("new release")
	return n.Releases.AddRelease(ctx, r)
}

// TestOrderOfCompletion is what clients rely on: who sees a status finds all that
// belongs to it.
func TestOrderOfCompletion(t *testing.T) {
	s := &sequence{}
	m := start(t, wrapped("a"), func(c *rackd.Config) {
		c.Stores.Objects, c.Stores.Builds, c.Stores.Releases = notedObjects{c.Stores.Objects, s}, notedBuilds{c.Stores.Builds, s}, notedReleases{c.Stores.Releases, s}
	})
	good := m.create(nil)
	m.log(good.ID)
	want := []string{"running", "running manifest", "running entrypoint", "log", "running ended+logs", "new release", "complete release"}
	if d := cmp.Diff(want, s.done); d != "" {
		t.Errorf("a build that is complete (-want +got):\n%s", d)
	}
	s.done = nil
	bad := m.create(url.Values{"manifest": {"none.yml"}})
	m.log(bad.ID)
	if d := cmp.Diff([]string{"running", "log", "failed ended+logs"}, s.done); d != "" {
		t.Errorf("a build that failed (-want +got):\n%s", d)
	}
	events := "build:create app=web id=" + good.ID + " release_id=" + m.build(good.ID).Release + "\n" +
		"build:create app=web id=" + bad.ID + " error=reading manifest none.yml: there is no such file in the source\n"
	if log := m.rest(m.socket("/system/logs", http.Header{"Follow": {"false"}})); log != events {
		t.Errorf("the rack tells %q", log)
	}
}
