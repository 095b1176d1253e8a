package summary

import (
	"fmt"
	"net/url"
	"strings"
)

// maxMarkdown bounds the Markdown of a report in bytes, far below the 1 MiB above
// which GitHub shows nothing of it.
//
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#step-isolation-and-limits
const maxMarkdown = 256 << 10

// Markdown renders the report for a page of a CI system. All that others have
// written stands in blocks of HTML, which are no Markdown up to the next empty
// line, or in a pre element up to its end; and there in elements in which GitHub
// looks for no mentions and links.
//
// https://spec.commonmark.org/0.31.2/#html-blocks
func (r *Report) Markdown(conceal Conceal) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	v := r.verdict()
	fmt.Fprintf(&b, "<h2>%s %s</h2>\n\n", v.mark, r.title(conceal.code))
	if reason := r.values["reason"]; reason != "" {
		fmt.Fprintf(&b, "<p><b>Reason:</b> %s</p>\n\n", conceal.code(reason, maxWords))
	}
	b.WriteString("<table>\n" + cells("Verdict", v.mark+" "+xml.Replace(v.words+r.after())))
	for _, line := range r.rows() {
		b.WriteString(conceal.row(line))
	}
	b.WriteString("</table>\n")
	if next := r.next(); next != nil {
		fmt.Fprintf(&b, "\nTo see more:\n\n<pre>%s</pre>\n", xml.Replace(conceal.line(strings.Join(next, " "), 3*maxName)))
	}
	b.WriteString(conceal.tail(r.built.Tail, maxMarkdown-b.Len()))
	return b.String()
}

// cells is a row of the table with one wide cell.
func cells(label, html string) string {
	return fmt.Sprintf("<tr><th align=\"left\">%s</th><td colspan=\"2\">%s</td></tr>\n", xml.Replace(label), html)
}

// row renders a line of the table.
func (conceal Conceal) row(line row) string {
	if line.share > 0 {
		return fmt.Sprintf("<tr><th align=\"left\">%s</th><td align=\"right\">%s</td><td>%s</td></tr>\n",
			xml.Replace(line.label), seconds(line.took), bar(line.share))
	}
	switch link := conceal.href(line.link); {
	case line.words != "":
		return cells(line.label, xml.Replace(conceal.line(line.words, maxName)))
	case link != "":
		return cells(line.label, fmt.Sprintf("<a href=\"%s\">%s</a>", link, link))
	}
	html := conceal.code(line.text, 2*maxName)
	if line.below != "" {
		html += "<br>" + conceal.code(line.below, maxName)
	}
	return cells(line.label, html)
}

// href is a URL as the value of an attribute; "" if it is none that a browser
// should be sent to.
func (conceal Conceal) href(link string) string {
	u, err := url.Parse(link)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || len(u.String()) > maxName {
		return ""
	}
	return xml.Replace(conceal.line(u.String(), maxName))
}

// code is a text of others within a line.
func (conceal Conceal) code(text string, limit int) string {
	return "<code>" + xml.Replace(conceal.line(text, limit)) + "</code>"
}

// xml has the five characters that mean something to HTML. It is how GitHub's
// runner knows a secret in HTML as well: it masks what is in the file, too.
var xml = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&apos;")

// tail folds the last lines of a log away, as many as fit into size from the end.
func (conceal Conceal) tail(log string, size int) string {
	const head, foot = "\n<details><summary>Last %d lines of the log of the build</summary>\n\n<pre>\n", "</pre>\n\n</details>\n"
	const digits = 10
	size -= len(head) + len(foot) + digits
	lines := strings.Split(conceal(strings.TrimRight(log, "\n")), "\n")
	from, used := len(lines), 0
	for ; from > 0; from-- {
		lines[from-1] = xml.Replace(conceal.line(lines[from-1], maxTailLine)) + "\n"
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
