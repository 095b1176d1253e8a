package summary

import (
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"
)

// maxMarkdown bounds the Markdown of a report in bytes, far below the 1 MiB above
// which GitHub shows nothing of it.
//
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#step-isolation-and-limits
const maxMarkdown = 256 << 10

// Markdown renders the report for a page of a CI system. The table is HTML: its
// cells are no Markdown, so that nothing in them can be taken for such. All that
// others have written is in code elements besides, in which GitHub looks for no
// mentions and links.
func (r *Report) Markdown(conceal Conceal) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	v := r.verdict()
	verb, app, rack := r.title()
	fmt.Fprintf(&b, "## %s %s of %s", v.mark, encode(verb), conceal.code(app, maxName))
	if rack != "" {
		fmt.Fprintf(&b, " on %s", conceal.code(rack, maxName))
	}
	b.WriteString("\n\n")
	if reason := r.values["reason"]; reason != "" {
		fmt.Fprintf(&b, "> [!CAUTION]\n> %s\n\n", conceal.code(reason, maxWords))
	}
	b.WriteString("<table>\n" + cells("Verdict", v.mark+" "+encode(v.words+r.after())))
	for _, line := range r.rows() {
		b.WriteString(conceal.row(line))
	}
	b.WriteString("</table>\n")
	if next := r.next(); next != nil {
		fmt.Fprintf(&b, "\nTo see more:\n\n<pre>%s</pre>\n", encode(conceal.line(strings.Join(next, " "), 3*maxName)))
	}
	b.WriteString(conceal.tail(r.built.Tail, maxMarkdown-b.Len()))
	return b.String()
}

// cells is a row of the table with one wide cell.
func cells(label, html string) string {
	return fmt.Sprintf("<tr><th align=\"left\">%s</th><td colspan=\"2\">%s</td></tr>\n", encode(label), html)
}

// row renders a line of the table.
func (conceal Conceal) row(line row) string {
	if line.share > 0 {
		return fmt.Sprintf("<tr><th align=\"left\">%s</th><td align=\"right\">%s</td><td>%s</td></tr>\n",
			encode(line.label), seconds(line.took), bar(line.share))
	}
	switch link := conceal.href(line.link); {
	case line.words != "":
		return cells(line.label, encode(conceal.line(line.words, maxName)))
	case link != "":
		return cells(line.label, fmt.Sprintf("<a href=\"%s\">%s</a>", link, link))
	}
	return cells(line.label, conceal.code(line.text, 2*maxName))
}

// href is a URL as the value of an attribute; "" if it is none that a browser
// should be sent to.
func (conceal Conceal) href(link string) string {
	u, err := url.Parse(link)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || len(u.String()) > maxName {
		return ""
	}
	return encode(conceal.line(u.String(), maxName))
}

// code is a text of others within a line.
func (conceal Conceal) code(text string, limit int) string {
	return "<code>" + encode(conceal.line(text, limit)) + "</code>"
}

// encode writes what could mean something to Markdown, HTML or GitHub as the
// number of its character, which means nothing to any of them.
func encode(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r < utf8.RuneSelf && !plain(byte(r)) {
			fmt.Fprintf(&b, "&#%d;", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

func plain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == ' ' || c == '-'
}

// tail folds the last lines of a log away, as many as fit into size from the end.
func (conceal Conceal) tail(log string, size int) string {
	const head, foot = "\n<details><summary>Last %d lines of the log of the build</summary>\n\n<pre>\n", "</pre>\n\n</details>\n"
	const digits = 10
	size -= len(head) + len(foot) + digits
	lines := strings.Split(conceal(log), "\n")
	from, used := len(lines), 0
	for ; from > 0; from-- {
		lines[from-1] = encode(conceal.line(lines[from-1], maxTailLine)) + "\n"
		if used += len(lines[from-1]); used > size {
			break
		}
	}
	shown := lines[from:]
	if log == "" || len(shown) == 0 {
		return ""
	}
	return fmt.Sprintf(head, len(shown)) + strings.Join(shown, "") + foot
}

// maxTailLine is how many bytes of a line of a log are shown.
const maxTailLine = 2 << 10
