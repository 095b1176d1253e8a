package app

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

// settleVoice leaves standard output to data: JSON, an archive, a value. It comes
// before anything is said.
func (p *process) settleVoice(data bool) {
	if data {
		p.voice.Writer = p.streams.Err
	}
}

// printJSON prints data for programs. The way GitHub's old commands begin is
// written so that it means the same and begins none.
func (p *process) printJSON(v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	inert := strings.ReplaceAll(p.console.Conceal(string(text)), "##[", `\u0023#[`)
	_, err = io.WriteString(p.streams.Out, inert+"\n")
	return err
}

func (p *process) showBuilds(in workflow.ListInputs, builds []rack.Build) error {
	if in.JSON {
		shown := []rack.Build{}
		for _, b := range builds {
			shown = append(shown, withoutKey(b))
		}
		return p.printJSON(shown)
	}
	return printBuilds(p.console, builds)
}

func (p *process) showBuild(in workflow.BuildInfoInputs, b rack.Build) error {
	if in.JSON {
		return p.printJSON(withoutKey(b))
	}
	return printBuild(p.console, b)
}

// withoutKey is a build without the URL of its repository, in which v3 racks put
// their password.
func withoutKey(b rack.Build) rack.Build {
	b.Repository = ""
	return b
}

func (p *process) showReleases(in workflow.ListInputs, releases []workflow.ReleaseShown) error {
	if in.JSON {
		return p.printJSON(releases)
	}
	return printReleases(p.console, releases)
}

func (p *process) showRelease(in workflow.ReleaseInfoInputs, r workflow.ReleaseShown) error {
	if in.JSON {
		return p.printJSON(r)
	}
	return printRelease(p.console, r)
}

func (p *process) showApps(in workflow.ConnectionInputs, apps []rack.App) error {
	if in.JSON {
		return p.printJSON(append([]rack.App{}, apps...))
	}
	return printTable(p.console, "APP\tSTATUS\tGEN\tRELEASE", apps, func(a rack.App) []string {
		return []string{a.Name, a.Status, a.Generation, a.Release}
	})
}

func (p *process) showRacks(in workflow.RacksInputs, racks []rack.RackItem) error {
	if in.JSON {
		return p.printJSON(append([]rack.RackItem{}, racks...))
	}
	return printTable(p.console, "NAME\tPROVIDER\tSTATUS", racks, func(r rack.RackItem) []string {
		return []string{r.FullName(), r.Provider, r.Status}
	})
}

func (p *process) showParams(in workflow.ConnectionInputs, params map[string]string) error {
	if in.JSON {
		if params == nil {
			params = map[string]string{}
		}
		return p.printJSON(params)
	}
	return printParams(p.console, params)
}

func (p *process) showNames(_ workflow.ListEnvInputs, env map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(env)) {
		fmt.Fprintln(p.console, oneLine(name))
	}
	return nil
}

// showText prints a text that was asked for as it is.
func showText[In any](p *process) func(In, string) error {
	return func(_ In, text string) error {
		if !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		_, err := io.WriteString(p.streams.Out, text)
		return err
	}
}
