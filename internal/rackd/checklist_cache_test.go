package rackd_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/convox-ci/convox-ci/internal/image"
	"github.com/convox-ci/convox-ci/internal/rack"
)

// cacheClaims are the sentences about the persistent cache and the parameters of
// the rack. That layers come back from the repository when all else is gone is a
// matter of a real builder, in buildcache.txtar.
func cacheClaims() []claim {
	return []claim{
		{says: "--no-cache concerns the layers that one machine keeps.", show: showNoCacheAlone},
		{says: "The persistent cache survives across builds.", story: "buildcache.txtar: stdout ' CACHED$'"},
		{says: "Layers go to a repository of their own and are reused.", show: showOwnRepository},
		{says: "Unchanged stages are not built again.", story: "buildcache.txtar: cmp stdout first"},
		{says: "It is enabled for the rack, not for a build.", show: showRackLevel},
		{says: "rack params set BuildCache=Yes enables it.", show: showEnabled},
		{says: "The repository RACK-build-cache is made, and the builder pointed at it.", show: showRepositoryMade},
		{says: "Layers are written to it and read from it by later builds.", show: showWrittenAndRead},
		{says: "It works with both values of BuildMethod.", show: showBothMethods},
		{says: "ec2: layers are pushed to and pulled from a registry.", story: "buildcache.txtar: stdout 'exporting cache to registry'"},
		{says: "fargate: a builder that keeps nothing reads the repository.", show: showFargate},
		{says: "fargate caches less.", why: "about Kaniko: this rack builds with BuildKit whatever the method is"},
		{says: "The builder can do it as it comes.", show: showNoWarning},
		{says: "A builder that cannot: one warning, and the build goes on without.", show: showOneWarning},
		{says: "--no-cache takes nothing for that build.", show: func(c *checklist) { showWithout(c, "ec2", true) }},
		{says: "fargate, --no-cache: the repository is skipped entirely.", show: func(c *checklist) { showWithout(c, "fargate", false) }},
		{says: "ec2, --no-cache: no reading, but writing.", show: func(c *checklist) { showWithout(c, "ec2", true) }},
		{says: "By default its images are kept for ever.", show: showKept},
		{says: "Two more parameters say what is removed.", show: showCompanions},
		{says: "BuildCacheCleanup is No by default.", show: func(c *checklist) {
			showDefault(c, "BuildCacheCleanup", "No", []string{"Yes"}, []string{"yes", "", "1"})
		}},
		{says: "BuildCacheRetentionDays is 30 by default, 1 to 365.", show: func(c *checklist) {
			showDefault(c, "BuildCacheRetentionDays", "30", []string{"1", "365"}, []string{"0", "366", "-1", "x", "1.5", ""})
		}},
		{says: "Both are set in one call.", show: showOneCall},
		{says: "BuildCacheCleanup=No: nothing expires, whatever the days are.", show: showNoExpiry},
		{says: "Apps of generation 1 do not use the persistent cache.", show: showGeneration1},
		{says: "No repository is made for them.", show: showNothingForGeneration1},
		{says: "See also releases, Dockerfile, rolling updates, CI.", why: otherPages},
	}
}

const cacheRef = "127.0.0.1:5000/office-build-cache:"

// asked is what the builder of a rack with a cache is asked for in one build, after
// parameters were set. There are layers of an earlier build.
func (c *checklist) asked(form url.Values, params ...string) (image.Spec, string, *repository) {
	c.Helper()
	r := &repository{tags: []string{"other.1"}}
	m, engine := cached(c.T, r)
	for _, p := range params {
		m.set(p)
	}
	log := m.log(m.create(form).ID)
	return engine.specs[0], log, r
}

func showNoCacheAlone(c *checklist) {
	s, _, _ := c.asked(url.Values{"no-cache": {"true"}})
	c.hold("no cache", s.NoCache && s.Cache.To == "" && len(s.Cache.From) == 0)
	s, _, _ = c.asked(nil)
	c.hold("the builder's own", !s.NoCache && s.Cache.To == "")
}

func showOwnRepository(c *checklist) {
	s, _, _ := c.asked(nil, "BuildCache=Yes")
	c.hold("its own repository", strings.HasPrefix(s.Cache.To, cacheRef+"web.") && slices.Contains(s.Cache.From, cacheRef+"other.1"))
}

func showRackLevel(c *checklist) {
	s, _, r := c.asked(url.Values{"BuildCache": {"Yes"}, "build-cache": {"true"}, "parameters": {"BuildCache=Yes"}})
	c.hold("not by a build", s.Cache.To == "" && !strings.Contains(r.taken(), "create"))
}

func showEnabled(c *checklist) {
	m, _ := cached(c.T, &repository{})
	m.want("set", m.set("BuildCache=Yes"), 200, "ok\n")
	c.hold("parameter", decode[rack.System](m, m.get("/system")).Parameters["BuildCache"] == "Yes")
	for _, value := range []string{"yes", "true", "YES", ""} {
		a := m.set("BuildCache=" + value)
		c.hold("another value", a.status == 500 && strings.HasPrefix(a.body, "ValidationError: Parameter 'BuildCache' must be one of AllowedValues"))
	}
}

func showRepositoryMade(c *checklist) {
	s, _, r := c.asked(nil, "BuildCache=Yes")
	c.hold("made and pointed at", r.taken() == "create" && strings.HasPrefix(s.Cache.To, cacheRef))
}

func showWrittenAndRead(c *checklist) {
	r := &repository{}
	m, engine := cached(c.T, r)
	m.set("BuildCache=Yes")
	m.log(m.create(nil).ID)
	to := engine.specs[0].Cache.To
	r.tags = []string{strings.TrimPrefix(to, cacheRef)}
	m.log(m.create(nil).ID)
	next := engine.specs[1].Cache
	c.hold("written, then read", to != "" && next.To == to && slices.Equal(next.From, []string{to}))
}

func showBothMethods(c *checklist) {
	for _, method := range []string{"ec2", "fargate"} {
		s, _, _ := c.asked(nil, "BuildCache=Yes", "BuildMethod="+method)
		c.hold(method, s.Cache.To != "" && len(s.Cache.From) == 1 && !s.NoCache)
	}
}

func showFargate(c *checklist) {
	s, _, _ := c.asked(nil, "BuildMethod=fargate")
	c.hold("keeps nothing", s.NoCache)
	s, _, _ = c.asked(nil, "BuildMethod=fargate", "BuildCache=Yes")
	c.hold("reads", !s.NoCache && slices.Equal(s.Cache.From, []string{cacheRef + "other.1"}))
}

func showNoWarning(c *checklist) {
	_, log, _ := c.asked(nil, "BuildCache=Yes")
	c.hold("no warning", !strings.Contains(log, "WARNING"))
}

func showOneWarning(c *checklist) {
	m, engine := cached(c.T, &repository{})
	engine.unable = true
	m.set("BuildCache=Yes")
	several := files{"convox.yml": "services:\n  one:\n    build: a\n  two:\n    build: b\n  three:\n    image: nginx\n", "a/Dockerfile": "FROM scratch\n", "b/Dockerfile": "FROM scratch\n"}
	b := m.create(url.Values{"url": {m.upload(several)}})
	log := m.log(b.ID)
	c.hold("one warning, before all else", strings.HasPrefix(log, withoutCache+"Building: ") && strings.Count(log, "WARNING") == 1)
	c.hold("goes on", m.build(b.ID).Status == rack.BuildComplete && len(engine.specs) == 2 && engine.specs[0].Cache.To == "" && !engine.specs[0].NoCache)
}

// showWithout is a build without the cache while the rack has one.
func showWithout(c *checklist, method string, writes bool) {
	s, _, _ := c.asked(url.Values{"no-cache": {"true"}}, "BuildCache=Yes", "BuildMethod="+method)
	c.hold(method, s.NoCache && len(s.Cache.From) == 0 && (s.Cache.To != "") == writes)
}

func showKept(c *checklist) {
	_, _, r := c.asked(nil, "BuildCache=Yes")
	c.hold("nothing expires", !strings.Contains(r.taken(), "expire"))
}

func showCompanions(c *checklist) {
	p := decode[rack.System](c.machine, c.get("/system")).Parameters
	c.hold("parameters", p["BuildCache"] == "No" && p["BuildCacheCleanup"] != "" && p["BuildCacheRetentionDays"] != "")
}

// showDefault is a parameter with its value at first, and others.
func showDefault(c *checklist, name, value string, good, bad []string) {
	m, _ := cached(c.T, &repository{})
	now := func() string { return decode[rack.System](m, m.get("/system")).Parameters[name] }
	c.hold("at first", now() == value)
	for _, v := range bad {
		a := m.set(name + "=" + v)
		c.hold(fmt.Sprintf("%q", v), a.status == 500 && strings.HasPrefix(a.body, "ValidationError: Parameter '"+name+"' must be ") && now() == value)
	}
	for _, v := range good {
		m.want(v, m.set(name+"="+v), 200, "ok\n")
		c.hold(v, now() == v)
	}
}

func showOneCall(c *checklist) {
	r := &repository{}
	m, _ := cached(c.T, r)
	m.set("BuildCache=Yes")
	r.taken()
	a := m.set("BuildCacheCleanup=Yes", "BuildCacheRetentionDays=0")
	p := decode[rack.System](m, m.get("/system")).Parameters
	c.hold("all or nothing", a.status == 500 && p["BuildCacheCleanup"] == "No" && r.taken() == "")
	m.want("both", m.set("BuildCacheCleanup=Yes", "BuildCacheRetentionDays=7"), 200, "ok\n")
	p = decode[rack.System](m, m.get("/system")).Parameters
	c.hold("both", p["BuildCacheCleanup"] == "Yes" && p["BuildCacheRetentionDays"] == "7" && r.taken() == "create, retain 7")
}

func showNoExpiry(c *checklist) {
	_, _, r := c.asked(nil, "BuildCacheRetentionDays=1", "BuildCache=Yes")
	c.hold("nothing expires", r.taken() == "create")
}

// showNothingForGeneration1: what such an app asks for reaches neither the builder
// nor the repository.
func showNothingForGeneration1(c *checklist) {
	r := &repository{}
	m, engine := cached(c.T, r)
	m.set("BuildCache=Yes")
	r.taken()
	m.must(m.stores.Apps.SwapApp(m.Context(), rack.App{}, rack.App{Name: "old", Generation: "1", Status: rack.AppRunning}))
	a := m.post("/apps/old/builds", url.Values{"url": {"object://old/tmp/a"}})
	c.hold("refused", a.status == 400 && r.taken() == "" && len(engine.specs) == 0)
}
