package app

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

// printTable prints a line for each of the records, under a head of columns that
// tabs part.
func printTable[T any](w io.Writer, head string, records []T, columns func(T) []string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, head)
	for _, r := range records {
		fmt.Fprintln(t, strings.Join(columns(r), "\t"))
	}
	return t.Flush()
}

// printBuilds prints builds as the official client does.
func printBuilds(w io.Writer, builds []rack.Build) error {
	return printTable(w, "ID\tSTATUS\tRELEASE\tSTARTED\tELAPSED\tDESCRIPTION", builds, func(b rack.Build) []string {
		return []string{b.ID, b.Status, b.Release, ago(time.Since(b.Started)), elapsed(b), oneLine(b.Description)}
	})
}

// printReleases prints releases as the official client does.
func printReleases(w io.Writer, releases []workflow.ReleaseShown) error {
	return printTable(w, "ID\tSTATUS\tBUILD\tCREATED\tDESCRIPTION", releases, func(r workflow.ReleaseShown) []string {
		return []string{r.ID, activeness(r), r.Build, ago(time.Since(r.Created)), oneLine(r.Description)}
	})
}

// printParams prints parameters as the official client does: without a head,
// which would be taken for one.
func printParams(w io.Writer, params map[string]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, name := range slices.Sorted(maps.Keys(params)) {
		fmt.Fprintln(t, oneLine(name)+"\t"+oneLine(params[name]))
	}
	return t.Flush()
}

func activeness(r workflow.ReleaseShown) string {
	if r.Active {
		return "active"
	}
	return ""
}

// printRelease prints one release, a line a field.
func printRelease(w io.Writer, r workflow.ReleaseShown) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range [][2]string{
		{"Id", r.ID}, {"Status", activeness(r)}, {"Build", r.Build}, {"Created", r.Created.Format(time.RFC3339)},
		{"Description", oneLine(r.Description)}, {"Variables", strings.Join(r.Variables, " ")},
	} {
		fmt.Fprintln(t, f[0]+"\t"+f[1])
	}
	return t.Flush()
}

// printBuild prints one build, a line a field.
func printBuild(w io.Writer, b rack.Build) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fields := [][2]string{
		{"Id", b.ID}, {"Status", b.Status}, {"Release", b.Release}, {"Description", oneLine(b.Description)},
		{"Started", ago(time.Since(b.Started))}, {"Elapsed", elapsed(b)}, {"Commit", b.GitSHA}, {"Reason", oneLine(b.Reason)},
	}
	for i, f := range fields {
		if f[1] != "" || i < 6 { // the last two are ours
			fmt.Fprintln(t, f[0]+"\t"+f[1])
		}
	}
	return t.Flush()
}

// oneLine keeps a text of others from breaking a table, or from commanding the
// terminal.
func oneLine(text string) string {
	printable := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && !unicode.IsSpace(r) {
			return -1
		}
		return r
	}, text)
	return strings.Join(strings.Fields(printable), " ")
}

// elapsed is how long a build took, in whole seconds; "" until it ended.
func elapsed(b rack.Build) string {
	if b.Ended.IsZero() {
		return ""
	}
	return b.Ended.Sub(b.Started).Truncate(time.Second).String()
}

// ago says how long something is past, in its largest unit.
func ago(d time.Duration) string {
	const day = 24 * time.Hour
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{365 * day, "year"}, {30 * day, "month"}, {7 * day, "week"}, {day, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if n := int(d / u.unit); n == 1 {
			return "1 " + u.name + " ago"
		} else if n > 1 {
			return fmt.Sprintf("%d %ss ago", n, u.name)
		}
	}
	return "less than a minute ago"
}
