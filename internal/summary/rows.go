package summary

import (
	"fmt"
	"strings"
	"time"
)

const (
	maxName  = 200 // bytes of a name, an id or a subject; the longest that mean something are image references
	maxWords = 1 << 10
	maxItems = 20 // images and addresses that are listed, one for each service of a large app
)

// row is a line of the table: a label, and either a text or a time.
type row struct {
	label string
	text  string // as others may have written it; or else
	words string // in our words
	below string // of others too, behind the text and on a line of its own where there is room
	link  string // of the text
	took  time.Duration
	share float64 // of the longest phase; 0 for what is no phase
}

// rows are all that is known; r.mu is held.
func (r *Report) rows() []row {
	v := r.values
	list := []row{
		{label: "App", text: v["app"]}, {label: "Rack", text: v["rack"]},
		{label: "Build", text: v["build"]}, {label: "Release", text: v["release"]}, {label: "In place of", text: v["previous-release"]},
		{label: "Process", text: v["process"]},
	}
	for _, u := range r.urls[:min(len(r.urls), maxItems)] {
		list = append(list, row{label: "URL", text: u, link: u})
	}
	list = append(list, r.times()...)
	list = append(list, row{label: "Uploaded", words: r.upload}, row{label: "Build steps", words: cached(r.built)})
	list = append(list, r.images()...)
	list = append(list, row{label: "Commit", text: r.commit()}, row{label: "Branch", text: r.Run.Branch},
		row{label: "Started by", text: r.Run.Actor}, row{label: "Run", text: r.Run.Link, link: r.Run.Link})
	known := list[:0]
	for _, line := range list {
		if line.text != "" || line.words != "" || line.share > 0 {
			known = append(known, line)
		}
	}
	return known
}

// times are the phases, with their share of the longest one.
func (r *Report) times() []row {
	longest := time.Duration(1)
	for _, p := range r.phases {
		longest = max(longest, p.Took)
	}
	var list []row
	for _, p := range r.phases {
		list = append(list, row{label: p.Name, took: p.Took, share: max(float64(p.Took)/float64(longest), 1e-9)})
	}
	return list
}

// cached tells how much of a build came from the cache.
func cached(b Built) string {
	if b.Steps == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d from the cache", b.Cached, b.Steps)
}

// images are those whose digests are known: a name alone says what the id of the
// build says.
func (r *Report) images() []row {
	var list []row
	for _, i := range r.built.Images {
		if i.Digest != "" && len(list) < maxItems {
			list = append(list, row{label: "Image", text: i.Ref, below: i.Digest})
		}
	}
	return list
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
