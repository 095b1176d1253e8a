package rackd_test

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/image"
	"github.com/convox-ci/convox-ci/internal/rack"
)

// claim is a sentence of the documentation of builds on a v2 Rack, with what shows
// that it holds: a function that asks this rack, or a line of a story in which
// the real program does it; or why it cannot be shown on one machine.
type claim struct {
	says  string
	show  func(*checklist)
	story string // FILE: LINE
	why   string
}

// checklist is one rack that all sentences are held against, in their order.
type checklist struct {
	*machine
	built, failed rack.Build
}

const (
	theConsole = "about the console, which calls the API that is held here"
	otherPages = "it only points to other pages"
)

// claims are all sentences, in the order of the page.
func claims() []claim {
	return append([]claim{
		{says: "Deploying or building an app creates a build.", show: showBuilt},
		{says: "A build consists of images and of metadata in the rack's database.", show: showImages},
		{says: "A build has a unique id and is associated with one or more releases.", show: showReleases},
		{says: "build creates a build; deploy promotes its release as well.", show: showNotPromoted},
		{says: "Workflows connect a repository and start builds.", why: theConsole},
		{says: "An orb builds from CI.", story: "circleci.txtar: status 0 convox-ci deploy"},
		{says: "An Action builds from CI.", story: "github.txtar: status 0 convox-ci"},
		{says: "Other CI installs the client and runs build and deploy.", story: "gitlab.txtar: status 0 convox-ci deploy"},
		{says: "builds lists all builds.", show: showList},
		{says: "A failed build has no release, and ended.", show: showFailed},
		{says: "Run it from the top directory of the app.", show: showTop},
		{says: "The client makes an archive and minds .dockerignore.", story: "dockerignore.txtar: ! image cat $REGISTRY/quiet:web.$BUILD /all/secret.txt"},
		{says: "The client uploads the archive.", show: showUploaded},
		{says: "The rack extracts the archive and reads convox.yml.", show: showManifest},
		{says: "Images are built or pulled as convox.yml says.", show: showPull},
		{says: "Images are tagged and pushed to the rack's registry.", show: showPushed},
		{says: "Images start through convox-env, which is put into each.", show: showInjected},
		{says: "The metadata of the build is saved.", show: showSaved},
		{says: "A release is made and saved.", show: showReleaseSaved},
		{says: "The release is not promoted until releases promote.", show: showPromote},
		{says: "deploy does it in one step.", story: "deploy.txtar: stdout '^Release R"},
		{says: "builds info shows one build.", show: showInfo},
		{says: "builds logs shows the log of one build.", show: showLog},
		{says: "A build is exported from one app and imported to another, also on another rack.", show: showCarried},
		{says: "builds export writes an archive.", story: "archive.txtar: status 0 convox-ci builds export $BUILD --file build.tgz"},
		{says: "builds import reads it.", story: "archive.txtar: status 0 convox-ci builds import --app other --file build.tgz"},
		{says: "An export can be piped into an import.", story: "archive.txtar: feed piped.tgz"},
		{says: "build and deploy have flags.", show: showFlags},
		{says: "--build-args sets arguments, repeatedly.", show: showArgs},
		{says: "--description is that of build and release.", show: showDescription},
		{says: "--development builds the stage of that name.", show: showDevelopment},
		{says: "--manifest names another manifest.", show: showOtherManifest},
		{says: "--no-cache builds every step anew.", show: showNoCache},
		{says: "--wildcard-domain is kept with the build.", show: showWildcard},
		{says: "ARG of a Dockerfile gets what the environment has.", show: showARG},
	}, cacheClaims()...)
}

// TestChecklist holds the rack against each sentence, or names why it cannot.
func TestChecklist(t *testing.T) {
	c := &checklist{machine: start(t, wrapped("bin/entry", ""))}
	c.make()
	for _, sentence := range claims() {
		t.Run(sentence.says, func(t *testing.T) {
			c.T = t
			switch {
			case sentence.show != nil:
				sentence.show(c)
			case sentence.story != "":
				file, line, _ := strings.Cut(sentence.story, ": ")
				text, err := os.ReadFile(filepath.Join("../../cmd/convox-ci/testdata/script", file))
				c.must(err)
				if !strings.Contains(string(text), "\n"+line) {
					t.Errorf("%s has no line that begins with %q", file, line)
				}
			case sentence.why == "":
				t.Error("a sentence is either shown, or there is a reason")
			}
		})
		c.T = t
	}
}

// make makes the builds that most sentences are about: one that is complete, with
// everything a build can be asked for, and one that failed.
func (c *checklist) make() {
	c.Helper()
	decode[rack.Release](c.machine, c.post("/apps/web/releases", url.Values{"env": {"FROM_ENV=1\nOTHER=2"}}))
	source := files{
		"convox.yml": "services: {}\n", "other.yml": "services:\n  one:\n    build: .\n  two:\n    image: nginx\n",
		"Dockerfile": "FROM scratch AS development\nARG NAME\nARG FROM_ENV\nFROM scratch\n",
	}
	c.built = c.create(url.Values{
		"url": {c.upload(source)}, "manifest": {"other.yml"}, "description": {"a description"}, "git-sha": {"0123abc"},
		"build-args": {"NAME=a,UNUSED=b"}, "development": {"true"}, "no-cache": {"true"}, "wildcard-domain": {"true"},
	})
	c.log(c.built.ID)
	c.built = c.build(c.built.ID)
	c.failed = c.create(url.Values{"manifest": {"none.yml"}})
	c.log(c.failed.ID)
	c.failed = c.build(c.failed.ID)
}

// hold fails the test unless a condition holds.
func (c *checklist) hold(what string, ok bool) {
	c.Helper()
	if !ok {
		c.Errorf("%s: the build is %+v", what, c.built)
	}
}

func showBuilt(c *checklist) {
	c.hold("complete", c.built.Status == rack.BuildComplete && c.built.App == "web" && !c.built.Ended.Before(c.built.Started))
}

func showInjected(c *checklist) {
	log := c.log(c.built.ID)
	for _, service := range []string{"one", "two"} {
		_, after, tagged := strings.Cut(log, " convox/web:"+service+"."+c.built.ID+"\n")
		c.hold("injected", tagged && strings.HasPrefix(after, "Injecting: convox-env\nRunning: docker tag "))
	}
}

// pushed tells whether the image of a service was.
func (c *checklist) pushed(service string) bool {
	c.registry.mu.Lock()
	defer c.registry.mu.Unlock()
	return slices.Contains(c.registry.refs, "127.0.0.1:5000/web:"+service+"."+c.built.ID)
}

func showImages(c *checklist) { c.hold("images", c.pushed("one") && c.pushed("two")) }

func showReleases(c *checklist) {
	c.hold("id", regexp.MustCompile(`^B[A-Z]{10}$`).MatchString(c.built.ID))
	again := decode[rack.Release](c.machine, c.post("/apps/web/releases", url.Values{"build": {c.built.ID}}))
	first := decode[rack.Release](c.machine, c.get("/apps/web/releases/"+c.built.Release))
	c.hold("releases", again.ID != first.ID && again.Build == c.built.ID && first.Build == c.built.ID)
}

func showNotPromoted(c *checklist) { c.hold("active release", c.app().Release == "") }

func showList(c *checklist) {
	list := decode[[]rack.Build](c.machine, c.get("/apps/web/builds"))
	c.hold("list", len(list) == 2 && list[0].ID == c.failed.ID && list[1].ID == c.built.ID)
}

func showFailed(c *checklist) {
	c.hold("failed", c.failed.Status == rack.BuildFailed && c.failed.Release == "" && !c.failed.Ended.IsZero())
}

func showManifest(c *checklist) {
	b := c.create(nil)
	c.log(b.ID)
	c.hold("manifest", c.build(b.ID).Manifest == plain["convox.yml"])
}

func showPull(c *checklist) {
	log := c.log(c.built.ID)
	c.hold("built and pulled", strings.Contains(log, "Building: .\n") && strings.Contains(log, "\nRunning: docker pull nginx\n"))
}

func showPushed(c *checklist) {
	to := "127.0.0.1:5000/web:one." + c.built.ID
	log := c.log(c.built.ID)
	c.hold("pushed", strings.Contains(log, "\nRunning: docker tag convox/web:one."+c.built.ID+" "+to+"\nRunning: docker push "+to+"\n"))
}

func showPromote(c *checklist) {
	c.want("promote", c.post("/apps/web/releases/"+c.built.Release+"/promote", nil), 200, "ok\n")
	c.hold("active release", c.app().Release == c.built.Release)
}

func showInfo(c *checklist) {
	got := decode[rack.Build](c.machine, c.get("/apps/web/builds/"+c.built.ID))
	c.hold("info", got == c.built && got.GitSHA == "0123abc")
	c.want("none", c.get("/apps/web/builds/BNONE"), 404, "build not found: BNONE\n")
}

func showLog(c *checklist) {
	key, stored := strings.CutPrefix(c.built.Logs, "object://web/")
	c.hold("logs", stored && c.log(c.built.ID) == c.get("/apps/web/objects/"+key).body)
	if log := c.log(c.failed.ID); !strings.HasSuffix(log, "\n") || !strings.HasPrefix(log, "ERROR: reading manifest none.yml: ") {
		c.Errorf("log of the build that failed: %q", log)
	}
}

// spec is what the builder was asked for first.
func (c *checklist) spec() image.Spec {
	c.engine.mu.Lock()
	defer c.engine.mu.Unlock()
	return c.engine.specs[0]
}

func showArgs(c *checklist) {
	c.hold("arguments", slices.Contains(c.spec().Args, "NAME=a") && !slices.Contains(c.spec().Args, "UNUSED=b"))
}

func showARG(c *checklist) {
	c.hold("arguments", slices.Contains(c.spec().Args, "FROM_ENV=1") && !slices.Contains(c.spec().Args, "OTHER=2"))
}

func showDescription(c *checklist) {
	r := decode[rack.Release](c.machine, c.get("/apps/web/releases/"+c.built.Release))
	c.hold("description", c.built.Description == "a description" && r.Description == "a description")
}

func showDevelopment(c *checklist)   { c.hold("target", c.spec().Target == "development") }
func showNoCache(c *checklist)       { c.hold("no cache", c.spec().NoCache) }
func showOtherManifest(c *checklist) { c.hold("manifest", strings.Contains(c.built.Manifest, "two:")) }

func showWildcard(c *checklist) { c.hold("wildcard domain", c.built.WildcardDomain) }

// showFlags: all at once they are those of one build.
func showFlags(c *checklist) {
	s := c.spec()
	c.hold("flags", len(s.Args) > 1 && s.Target != "" && s.NoCache && c.built.Description != "" && c.built.WildcardDomain && c.built.GitSHA != "")
}

func showTop(c *checklist) {
	b := c.create(url.Values{"url": {c.upload(files{"app/convox.yml": plain["convox.yml"], "app/Dockerfile": plain["Dockerfile"]})}})
	c.hold("a manifest below the top", strings.HasPrefix(c.log(b.ID), "ERROR: reading manifest convox.yml: ") && c.build(b.ID).Status == rack.BuildFailed)
}

func showUploaded(c *checklist) {
	app, key, ok := parsed(c.upload(plain))
	a := c.get("/apps/" + app + "/objects/" + key)
	c.hold("archive", ok && a.status == 200 && strings.HasPrefix(a.body, "\x1f\x8b"))
}

// parsed takes the URL of an object apart.
func parsed(object string) (app, key string, ok bool) {
	rest, ok := strings.CutPrefix(object, "object://")
	app, key, _ = strings.Cut(rest, "/")
	return app, key, ok
}

func showSaved(c *checklist) {
	next := c.killed()
	c.hold("saved", next.build(c.built.ID) == c.built && next.build(c.failed.ID) == c.failed && next.log(c.built.ID) == c.log(c.built.ID))
}

func showReleaseSaved(c *checklist) {
	was := c.get("/apps/web/releases/" + c.built.Release)
	c.hold("saved", was.status == 200 && c.killed().get("/apps/web/releases/"+c.built.Release).body == was.body)
}

func showCarried(c *checklist) {
	from, to := store(c.T), store(c.T)
	a, b := start(c.T, from.use), start(c.T, to.use)
	b.addApp("other")
	was := built(a, from, "BAAAAAAAAAA")
	got := decode[rack.Build](b, b.bring("other", []byte(a.get("/apps/web/builds/"+was.ID+".tgz").body)))
	c.hold("carried", got.ID != was.ID && got.App == "other" && got.Release != "" && got.Manifest == was.Manifest &&
		to.digest("other:one."+got.ID) == from.digest("web:one."+was.ID))
}

func showGeneration1(c *checklist) {
	c.must(c.stores.Apps.SwapApp(c.Context(), rack.App{}, rack.App{Name: "old", Generation: "1", Status: rack.AppRunning}))
	a := c.post("/apps/old/builds", url.Values{"url": {"object://old/tmp/a"}})
	c.hold("refused", a.status == 400 && strings.Contains(a.body, "generation 1 is not supported"))
	c.want("no build", c.get("/apps/old/builds"), 200, "[]\n")
}
