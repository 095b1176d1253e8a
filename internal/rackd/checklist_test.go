package rackd_test

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/image"
	"github.com/convox-ci/convox-ci/internal/rack"
)

// claim is a sentence of the documentation of builds on a v2 Rack, with what shows
// that it holds here, or why it cannot be shown on one machine.
type claim struct {
	says string
	show func(*checklist)
	why  string
}

// checklist is one rack that all sentences are held against, in their order.
type checklist struct {
	*machine
	built, failed rack.Build
}

const (
	onAWS      = "about AWS: its registry, its policies or the choice of its machines"
	theClients = "about a client: held by the tests of internal/workflow, internal/source and cmd/convox-ci"
	theCache   = "about the cache of build layers, a parameter of the rack"
	theConsole = "about the console, which calls the API that is held here"
)

var claims = []claim{
	{"Deploying or building an app creates a build.", showBuilt, ""},
	{"A build consists of images and of metadata in the rack's database.", showImages, ""},
	{"A build has a unique id and is associated with one or more releases.", showReleases, ""},
	{"build creates a build; deploy promotes its release as well.", showNotPromoted, ""},
	{"Workflows connect a repository and start builds.", nil, theConsole},
	{"An orb and an Action build from CI.", nil, theClients},
	{"Other CI installs the client and uses a deploy key.", nil, theClients},
	{"builds lists all builds.", showList, ""},
	{"A failed build has no release.", showFailed, ""},
	{"Run it from the top directory of the app.", nil, theClients},
	{"The client makes an archive and minds .dockerignore.", nil, theClients},
	{"The client uploads the archive.", nil, theClients},
	{"The rack extracts the archive and reads convox.yml.", showManifest, ""},
	{"Images are built or pulled as convox.yml says.", showPull, ""},
	{"Images are tagged and pushed to the rack's registry.", showPushed, ""},
	{"Images start through convox-env, which is put into each.", showInjected, ""},
	{"ECR is the registry.", nil, onAWS},
	{"The metadata of the build is saved.", showMetadata, ""},
	{"A release is made and saved.", showReleases, ""},
	{"The release is not promoted until releases promote.", showPromote, ""},
	{"builds info shows one build.", showInfo, ""},
	{"builds logs shows the log of one build.", showLog, ""},
	{"A build is exported from one app and imported to another.", nil, "TestImport and TestExport hold it with a real registry"},
	{"An export can be piped into an import.", nil, theClients},
	{"--build-args sets arguments, repeatedly.", showArgs, ""},
	{"--description is that of build and release.", showDescription, ""},
	{"--development builds the stage of that name.", showDevelopment, ""},
	{"--manifest names another manifest.", showOtherManifest, ""},
	{"--no-cache builds every step anew.", showNoCache, ""},
	{"--wildcard-domain is kept with the build.", showWildcard, ""},
	{"--wildcard-domain adds listener rules and a certificate.", nil, onAWS},
	{"ARG of a Dockerfile gets what the environment has.", showARG, ""},
	{"The persistent cache survives across builds.", nil, theCache},
	{"Layers go to a repository of their own and are reused.", nil, theCache},
	{"It is enabled for the rack, not for a build.", nil, theCache},
	{"rack params set BuildCache=Yes enables it.", nil, theCache},
	{"ec2 uses buildx, fargate uses Kaniko.", nil, onAWS},
	{"Without buildx there is a warning.", nil, onAWS},
	{"Images of the cache are kept, or expire by policy.", nil, theCache},
	{"Apps of generation 1 do not use the persistent cache.", showGeneration1, ""},
}

// TestChecklist holds the rack against each sentence, or names why it cannot.
func TestChecklist(t *testing.T) {
	c := &checklist{machine: start(t, wrapped("bin/entry", ""))}
	c.make()
	for _, sentence := range claims {
		t.Run(sentence.says, func(t *testing.T) {
			if (sentence.show == nil) == (sentence.why == "") {
				t.Fatal("a sentence is either shown, or there is a reason")
			}
			if sentence.show == nil {
				t.Log(sentence.why)
				return
			}
			c.T = t
			sentence.show(c)
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

func showMetadata(c *checklist) {
	c.hold("metadata", c.built.Manifest != "" && c.built.Logs != "" && c.built.Release != "" && c.built.GitSHA == "0123abc" && c.built.Entrypoint == "bin/entry ''")
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

func showGeneration1(c *checklist) {
	c.must(c.stores.Apps.SwapApp(c.Context(), rack.App{}, rack.App{Name: "old", Generation: "1", Status: rack.AppRunning}))
	a := c.post("/apps/old/builds", url.Values{"url": {"object://old/tmp/a"}})
	c.hold("refused", a.status == 400 && strings.Contains(a.body, "generation 1 is not supported"))
	c.want("no build", c.get("/apps/old/builds"), 200, "[]\n")
}
