package app

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// printBuilds prints builds as the official client does.
func printBuilds(w io.Writer, builds []rack.Build) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tSTATUS\tRELEASE\tSTARTED\tELAPSED\tDESCRIPTION")
	for _, b := range builds {
		fmt.Fprintln(t, strings.Join([]string{b.ID, b.Status, b.Release, ago(time.Since(b.Started)), elapsed(b), oneLine(b.Description)}, "\t"))
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
