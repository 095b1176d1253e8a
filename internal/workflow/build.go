package workflow

import (
	"context"
	"io"
	"strings"

	"github.com/convox-ci/convox-ci/internal/buildlog"
	"github.com/convox-ci/convox-ci/internal/options"
	"github.com/convox-ci/convox-ci/internal/rack"
)

// BuildInputs are the inputs of build.
type BuildInputs struct {
	Target
	Source
	BuildArgs      options.Pairs  `env:"build-args" usage:"NAME=VALUE a line, for the ARG lines of the Dockerfiles; a bare NAME takes its value from the environment"`
	NoCache        options.Switch `env:"no-cache" usage:"build every step anew"`
	WildcardDomain options.Switch `env:"wildcard-domain" usage:"route *.APP-SERVICE.HOST to the services as well (v2 racks)"`
	Development    bool           `env:"development" envDefault:"false" usage:"stop at the stage named development"`
	Description    string         `env:"description" usage:"description of the build and its release (default: build SHA SUBJECT of the commit)"`
	GitSHA         string         `env:"git-sha" usage:"commit recorded on the build (default: that of the CI run, else of the checkout)"`
	External
	OldNames
	BuildLimits
	Telling
}

// BuildFailedError says that a build ended without a release.
type BuildFailedError struct {
	ID     string
	Reason string // as the rack says, "" if it does not
	Tail   string // the last lines of the log
	File   string // Dockerfile that the log points at, as a person would open it; "" if it does not
	Line   int    // of the file, from 1
}

func (e *BuildFailedError) Error() string {
	if e.Reason == "" {
		return "build " + e.ID + " failed"
	}
	return "build " + e.ID + " failed: " + e.Reason
}

// Build makes a build of a directory and follows it to its end. The outputs
// build and release are written as soon as there are such, status at the end.
func Build(ctx context.Context, j Job, in BuildInputs) (rack.Build, error) {
	ctx, done := limited(ctx, "timeout", in.Timeout)
	defer done()
	b, err := j.build(ctx, in)
	j.finish(ctx, err)
	return b, err
}

// build is the part that deploy shares.
func (j Job) build(ctx context.Context, in BuildInputs) (rack.Build, error) {
	keep, err := j.inspect(in.Source)
	if err != nil {
		return rack.Build{}, err
	}
	app := rack.App{Name: in.App, Generation: "2"} // which estates are of
	if !in.keyless() {
		if app, err = j.Rack.App(ctx, in.App); err != nil {
			return rack.Build{}, err
		}
	}
	o, unheeded := j.options(ctx, in).For(app)
	for _, line := range unheeded {
		j.Log.Warn(line)
	}
	j.Output("git-sha", o.GitSHA)
	if in.External.External {
		return j.buildOnsite(ctx, in, app, o)
	}
	object, err := j.upload(ctx, in, keep)
	if err != nil {
		return rack.Build{}, err
	}
	defer j.Report.Begin("build")()
	b, err := j.start(ctx, in, object, o)
	if err != nil {
		return b, err
	}
	return j.follow(ctx, in, b)
}

// start begins the build. One that was begun while the run was cancelled is
// ended.
func (j Job) start(ctx context.Context, in BuildInputs, object rack.Object, o rack.BuildOptions) (rack.Build, error) {
	done := j.awaiting("the rack to begin the build")
	b, err := j.Rack.StartBuild(ctx, in.App, object.URL, o)
	done()
	if b.ID != "" {
		b.App = in.App
		j.Output("build", b.ID)
		j.remember(rememberedBuild, b.ID)
		j.printf("Build:   %s", b.ID)
	}
	if err != nil && b.ID != "" {
		return b, j.abandonBuild(ctx, b, err)
	}
	return b, err
}

// options are what the rack is told of a build.
func (j Job) options(ctx context.Context, in BuildInputs) rack.BuildOptions {
	c := j.Commit(ctx, string(in.Context))
	o := rack.BuildOptions{
		BuildArgs: list(in.BuildArgs), Description: in.Description, Development: in.Development,
		GitSHA: in.GitSHA, NoCache: in.NoCache.IsOn(), WildcardDomain: pointer(in.WildcardDomain),
	}
	if o.GitSHA == "" {
		o.GitSHA = c.SHA
	}
	if o.Description == "" {
		o.Description = c.Description()
	}
	if m := in.within(); m != defaultManifest {
		o.Manifest = m
	}
	return o
}

// follow watches a build: its log is printed as foreign text, its record
// decides.
func (j Job) follow(ctx context.Context, in BuildInputs, begun rack.Build) (rack.Build, error) {
	ctx, done := limited(ctx, "build-timeout", in.BuildTimeout)
	defer done()
	end := j.Log.Group("Build log of " + begun.ID)
	defer end()
	quiet := j.awaiting("build " + begun.ID)
	var b rack.Build
	var log buildlog.Log
	err := j.Log.Foreign(func(w io.Writer) (err error) {
		b, err = j.Rack.Watch(ctx, in.App, begun.ID, io.MultiWriter(w, &log))
		return err
	})
	quiet()
	end()
	if b.Release != "" { // known even where the log could not be printed to its end
		j.Output("release", b.Release)
	}
	j.tell(begun.ID, &log, err == nil && b.Status == rack.BuildComplete)
	if err != nil {
		return b, j.abandonBuild(ctx, b, err)
	}
	j.remember(rememberedBuild, "")
	if b.Status != rack.BuildComplete {
		return b, in.failed(b, &log)
	}
	j.printf("Release: %s", b.Release)
	return b, nil
}

// Check finds everything that is wrong with the inputs before anything is done,
// reads old names, and gives build args without a value that of lookup.
func (in *BuildInputs) Check(lookup func(string) (string, bool)) error {
	target := in.Target.Check
	if in.keyless() {
		target = in.Target.checkKeyless
	}
	return options.Join(target(lookup), in.checkBuild(lookup))
}

// checkBuild is Check for all but the target.
func (in *BuildInputs) checkBuild(lookup func(string) (string, bool)) error {
	contradictions := in.readOldNames()
	resolved, missing := in.BuildArgs.Resolve("build-args", lookup)
	if missing == nil {
		in.BuildArgs = resolved
	}
	return options.Join(in.Source.check(), contradictions, missing, in.External.check(lookup), in.checkArgs())
}

// checkArgs refuses build args that a rack cannot be told. This machine can.
func (in *BuildInputs) checkArgs() error {
	if in.External.External {
		return nil
	}
	return refuseCommas(in.BuildArgs)
}

// refuseCommas refuses what racks cannot be told: they take the list of build
// arguments apart at every comma.
func refuseCommas(args options.Pairs) error {
	found := &options.Error{}
	for _, a := range args {
		if strings.Contains(a.Value, ",") {
			found.Problems = append(found.Problems, options.Problem{Input: "build-args", Value: a.Key,
				Message: "holds a comma, at which a Rack would cut its value in two", Accepted: []string{"values without commas"}})
		}
	}
	if len(found.Problems) == 0 {
		return nil
	}
	return found
}

// list is how a rack is told the build args.
func list(args options.Pairs) []string {
	var list []string
	for _, a := range args {
		list = append(list, a.Key+"="+a.Value)
	}
	return list
}

// pointer is how a rack is told a choice that may be left to it.
func pointer(s options.Switch) *bool {
	if !s.IsSet() {
		return nil
	}
	on := s.IsOn()
	return &on
}
