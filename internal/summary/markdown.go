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
	head := fmt.Sprintf("<h2>%s %s</h2>\n\n<p>%s</p>\n", r.verdict().mark, r.title(conceal.code), r.opening(conceal))
	rest := ""
	if next := r.next(); next != nil {
		rest = fmt.Sprintf("\nTo see more:\n\n<pre>%s</pre>\n", xml.Replace(conceal.line(strings.Join(next, " "), 3*maxName)))
	}
	rest += conceal.table(r.rows()) + chart(r.times()) + conceal.images(r.images())
	return head + conceal.tail(r.built.Tail, maxMarkdown-len(head)-len(rest)) + rest
}

// table has what is known, a line each.
func (conceal Conceal) table(rows []row) string {
	if len(rows) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("\n<table>\n")
	for _, line := range rows {
		b.WriteString(conceal.row(line))
	}
	b.WriteString("</table>\n")
	return b.String()
}

// opening says how it ended, after which time and why.
func (r *Report) opening(conceal Conceal) string {
	words := r.verdict().words
	html := fmt.Sprintf("<b>%s</b>%s", xml.Replace(strings.ToUpper(words[:1])+words[1:]), xml.Replace(r.lasted()))
	if reason := r.values["reason"]; reason != "" {
		return html + ": " + conceal.code(reason, maxWords)
	}
	return html
}

// row renders a line of the table.
func (conceal Conceal) row(line row) string {
	html := conceal.code(line.text, 2*maxName)
	if line.words != "" {
		html = xml.Replace(conceal.line(line.words, maxName))
	}
	if link := conceal.href(line.link); link != "" {
		html = fmt.Sprintf("<a href=\"%s\">%s</a>", link, link)
	}
	for _, p := range line.more {
		html += " " + xml.Replace(p.words)
		if p.text != "" {
			html += " " + conceal.code(p.text, 2*maxName)
		}
	}
	return fmt.Sprintf("<tr><th align=\"left\">%s</th><td>%s</td></tr>\n", xml.Replace(line.label), html)
}

// chart shows where the time went.
func chart(times []timed) string {
	if len(times) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("\n<table>\n")
	for _, t := range times {
		fmt.Fprintf(&b, "<tr><th align=\"left\">%s</th><td align=\"right\">%s</td><td>%s</td></tr>\n", xml.Replace(t.Name), seconds(t.Took), bar(t.share))
	}
	b.WriteString("</table>\n")
	return b.String()
}

// images folds the images away, which are long and few people look for.
func (conceal Conceal) images(list []Image) string {
	if len(list) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("\n<details><summary>Images, by name and digest</summary>\n\n<table>\n")
	for _, i := range list {
		fmt.Fprintf(&b, "<tr><td>%s<br>%s</td></tr>\n", conceal.code(i.Ref, 2*maxName), conceal.code(i.Digest, maxName))
	}
	b.WriteString("</table>\n\n</details>\n")
	return b.String()
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

// tail has the last lines of a log, as many as fit into size from the end. Those
// that say why a build failed are at its very end, so the others are folded away.
func (conceal Conceal) tail(log string, size int) string {
	const fold, unfold = "\n<details><summary>The %d lines before</summary>\n\n", "\n</details>\n"
	const head, pre, end = "\n<p>The end of the log of the build:</p>\n", "\n<pre>\n", "</pre>\n"
	const digits, open = 10, 20 // lines, of which a window of usual height has more
	size -= len(fold+unfold+head) + 2*len(pre+end) + digits
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
	html, before := head, max(0, len(shown)-open)
	if before > 0 {
		html += fmt.Sprintf(fold, before) + pre[1:] + strings.Join(shown[:before], "") + end + unfold
	}
	return html + pre + strings.Join(shown[before:], "") + end
}

// maxTailLine is how many bytes of a line of a log are shown.
const maxTailLine = 2 << 10
