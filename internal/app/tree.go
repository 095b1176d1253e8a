package app

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/convox-ci/convox-ci/internal/workflow"
)

// commands is the tree of commands. Flags are made from the input structs, so
// that their names are those of the inputs.
func (p *process) commands() *cobra.Command {
	root := group("convox-ci", "Builds and deploys apps to Convox Racks from any CI",
		verb(p, "build", "Build an app", "context", onOwn(p, p.build)),
		verb(p, "deploy", "Build an app and promote the release", "context", onOwn(p, only(workflow.Deploy))),
		verb(p, "promote", "Promote a release and wait until it is live", "release", on(p, only(workflow.Promote))),
		verb(p, "rollback", "Promote a copy of an earlier release", "to", on(p, only(workflow.Rollback))),
		verb(p, "run", "Run a command once and end with its exit status", "service command...", on(p, workflow.Run)),
		verb(p, "logs", "Print the log of an app", "", on(p, workflow.Logs)),
		verb(p, "check", "Look at what a deploy needs, and change nothing", "context", p.check),
		verb(p, "login", "Give the key to the later steps of the job", "", on(p, workflow.Login)),
		p.postCommand(),
		p.buildsCommands(), p.releasesCommands(), p.envCommands(), p.appsCommands(),
		verb(p, "racks", "List the racks of a console", "", on(p, shown(workflow.Racks, p.showRacks))),
		group("rack", "A Rack as a whole", verb(p, "serve", "Be a Rack on this machine", "", p.serve),
			verb(p, "init", "Make the tables and the bucket that rack serve keeps things in on AWS", "", p.initRack), p.paramsCommands(),
			verb(p, "token", "Print a token of a Rack, to be used as the password of the user jwt", "", on(p, shown(workflow.Token, showText[workflow.TokenInputs](p))))),
		&cobra.Command{Use: "version", Short: "Print the version", Args: refuseArguments, RunE: func(*cobra.Command, []string) error {
			fmt.Fprintln(p.console, version())
			return nil
		}},
	)
	root.Long = "Builds and deploys apps to Convox Racks from any CI.\n\n" +
		"Every flag is also an input: --no-cache is INPUT_NO-CACHE, INPUT_NO_CACHE, PLUGIN_NO_CACHE\n" +
		"or CONVOX_NO_CACHE in the environment. A flag wins over the environment."
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetOut(p.console)
	root.SetErr(p.console)
	root.SetFlagErrorFunc(flagError)
	return root
}

func (p *process) buildsCommands() *cobra.Command {
	builds := verb(p, "builds", "List the builds of an app", "", on(p, shown(workflow.Builds, p.showBuilds)))
	builds.AddCommand(
		verb(p, "info", "Show a build", "build", on(p, shown(workflow.BuildInfo, p.showBuild))),
		verb(p, "logs", "Print the log of a build", "build", on(p, workflow.BuildLogs)),
		verb(p, "cancel", "End a build that runs", "build", on(p, workflow.CancelBuild)),
		verb(p, "export", "Write a build to an archive", "build", p.exportBuild),
		verb(p, "import", "Make a build of an archive", "", onOwn(p, only(workflow.ImportBuild))),
		verb(p, "copy", "Copy a build to another app, also on another rack", "build", p.copyBuild),
	)
	return builds
}

func (p *process) releasesCommands() *cobra.Command {
	releases := verb(p, "releases", "List the releases of an app", "", on(p, shown(workflow.Releases, p.showReleases)))
	releases.AddCommand(
		verb(p, "info", "Show a release", "release", on(p, shown(workflow.ReleaseInfo, p.showRelease))),
		verb(p, "manifest", "Print the manifest of a release", "release", on(p, shown(workflow.ReleaseManifest, showText[workflow.ReleaseManifestInputs](p)))),
	)
	return releases
}

func (p *process) envCommands() *cobra.Command {
	env := verb(p, "env", "List the names of an app's variables", "", on(p, shown(workflow.Env, p.showNames)))
	env.AddCommand(
		verb(p, "get", "Print the value of a variable, or of all", "name", on(p, shown(workflow.EnvGet, showText[workflow.EnvGetInputs](p)))),
		verb(p, "set", "Change variables, which makes a release", "set-env...", onOwn(p, only(workflow.EnvSet))),
	)
	return env
}

func (p *process) paramsCommands() *cobra.Command {
	params := verb(p, "params", "List the parameters of a rack", "", on(p, shown(workflow.RackParams, p.showParams)))
	params.AddCommand(verb(p, "set", "Change parameters of a rack, all that are given or none", "set-params...", on(p, only(workflow.SetRackParams))))
	return params
}

func (p *process) appsCommands() *cobra.Command {
	apps := verb(p, "apps", "List the apps of a rack", "", on(p, shown(workflow.Apps, p.showApps)))
	apps.AddCommand(verb(p, "create", "Create an app", "app", on(p, only(workflow.CreateApp))))
	return apps
}
