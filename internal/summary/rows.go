package summary

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	maxName  = 200 // bytes of a name, an id or a subject; the longest that mean something are image references
	maxWords = 1 << 10
	maxItems = 20 // images and addresses that are listed, one for each service of a large app
)

// row is a line of the table: a label, a text or words, and what is said of it.
type row struct {
	label string
	text  string // as others may have written it; or else
	words string // in our words
	link  string // of the text
	more  []phrase
}

// phrase goes on from the text of a row: words of ours, and perhaps a text of others.
type phrase struct{ words, text string }

// rows are all that is known beside times and images; r.mu is held.
func (r *Report) rows() []row {
	v := r.values
	list := []row{
		{label: "Release", text: v["release"], more: after(r.place(), v["previous-release"])},
		{label: "Build", text: v["build"], more: cached(r.built)},
		{label: "Process", text: v["process"]},
	}
	for _, u := range r.urls[:min(len(r.urls), maxItems)] {
		list = append(list, row{label: "URL", text: u, link: u})
	}
	list = append(list, row{label: "Uploaded", words: r.upload},
		row{label: "Commit", text: r.commit(), more: append(after("on", r.Run.Branch), after("by", r.Run.Actor)...)})
	return slices.DeleteFunc(list, func(line row) bool { return line.text == "" && line.words == "" })
}

// place is what the release is to the one before.
func (r *Report) place() string {
	if r.values["promoted"] == "true" {
		return "in place of"
	}
	return "to take the place of"
}

// after is a text of others behind words of ours, nothing at all if there is no text.
func after(words, text string) []phrase {
	if text == "" {
		return nil
	}
	return []phrase{{words, text}}
}

// timed is a phase with its share of the longest one.
type timed struct {
	Phase
	share float64
}

// times are the phases; r.mu is held.
func (r *Report) times() []timed {
	longest := time.Duration(1)
	for _, p := range r.phases {
		longest = max(longest, p.Took)
	}
	var list []timed
	for _, p := range r.phases {
		list = append(list, timed{p, float64(p.Took) / float64(longest)})
	}
	return list
}

// cached tells how much of a build came from the cache.
func cached(b Built) []phrase {
	if b.Steps == 0 {
		return nil
	}
	return []phrase{{words: fmt.Sprintf("with %d of %d steps from the cache", b.Cached, b.Steps)}}
}

// images are those whose digests are known: a name alone says what the id of the
// build says.
func (r *Report) images() []Image {
	list := slices.DeleteFunc(slices.Clone(r.built.Images), func(i Image) bool { return i.Digest == "" })
	return list[:min(len(list), maxItems)]
}

// commit is the id of the commit, and the beginning of its message.
func (r *Report) commit() string {
	const short = 10 // digits of an id, as in the description of a build
	id := r.values["git-sha"]
	if len(id) > short && strings.Trim(id, "0123456789abcdef") == "" { // what is no id may be a secret, which is not cut
		id = id[:short]
	}
	return strings.TrimSpace(id + " " + r.Run.Subject)
}

// bars are from one eighth of a block to a whole one.
var bars = []string{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"}

// bar draws a share, of at least an eighth of a block.
func bar(share float64) string {
	const blocks, parts = 20, 8
	n := max(1, int(share*blocks*parts+0.5))
	return strings.Repeat("█", n/parts) + bars[n%parts]
}

// seconds prints a time for a person.
func seconds(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return strings.TrimSuffix(d.Round(time.Second).String(), "0s")
}
