package summary_test

import (
	"flag"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/summary"
)

var update = flag.Bool("update", false, "write the golden files")

const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// key is a secret of the tests, hidden as the mask of a run would hide it.
const key = "hunter2<hunter2>"

func conceal(text string) string { return strings.ReplaceAll(text, key, "***") }

// deployed is a report of a deploy, with what all of them know.
func deployed(phases ...time.Duration) *summary.Report {
	r := &summary.Report{Run: summary.Run{Verb: "deploy", Subject: "Show prices", Branch: "main", Actor: "ada"}}
	note(r, "app", "shop", "rack", "acme/production", "git-sha", "89abcdef0123456789abcdef0123456789abcdef", "build", "BABCDEFGHIJ")
	r.Upload("41 files, 3.2 MB, packed to 1.1 MB")
	names := []string{"env", "upload", "build", "before-promote", "promote", "after-promote"}
	for i, d := range phases {
		if d == 0 {
			continue
		}
		end := r.Begin(names[i])
		time.Sleep(d)
		end()
	}
	return r
}

func note(r *summary.Report, pairs ...string) {
	for i := 0; i < len(pairs); i += 2 {
		r.Note(pairs[i], pairs[i+1])
	}
}

const hostile = "a`b|c</td></table></details><img src=x onerror=alert(1)> @octocat #1 [x](https://evil.example) ![y](z) www.evil.example\n\n# heading\n```\n\x1b[31mred\x1b[0m \u202ereversed &lt; " + key

// reports are those of the golden files.
var reports = map[string]func() *summary.Report{
	"deployed": func() *summary.Report {
		r := deployed(230*time.Millisecond, 1100*time.Millisecond, 93*time.Second, 4*time.Second, 40*time.Second, 2*time.Second)
		r.Build(summary.Built{Cached: 7, Steps: 12, Images: []summary.Image{
			{Ref: "registry.example/shop:web.BABCDEFGHIJ", Digest: digest}, {Ref: "registry.example/shop:job.BABCDEFGHIJ"},
		}})
		r.URLs([]string{"https://shop-web.acme.example"})
		note(r, "release", "RABCDEFGHIJ", "previous-release", "RZYXWVUTSRQ", "status", "complete", "promoted", "true", "duration", "140",
			"url", "https://shop-web.acme.example")
		return r
	},
	"failed": func() *summary.Report {
		r := deployed(0, 1100*time.Millisecond, 12*time.Second)
		r.Build(summary.Built{Cached: 2, Steps: 5, Tail: "#5 [2/2] RUN make test\n#5 0.155 tests: 1 of 9 failed\n#5 ERROR: exit code: 1\n------\nDockerfile:4\n"})
		note(r, "status", "failed", "promoted", "false", "reason", "build BABCDEFGHIJ failed: exit code: 1", "duration", "13")
		return r
	},
	"failed-late": func() *summary.Report {
		r := deployed(0, 1100*time.Millisecond, 12*time.Second)
		var log strings.Builder
		for i := range 25 {
			fmt.Fprintf(&log, "#5 %d.000 line %d\n", i, i)
		}
		r.Build(summary.Built{Cached: 2, Steps: 5, Tail: log.String()})
		note(r, "status", "failed", "promoted", "false", "reason", "build BABCDEFGHIJ failed: exit code: 1", "duration", "13")
		return r
	},
	"rolled-back": func() *summary.Report {
		r := deployed(0, 800*time.Millisecond, 61*time.Second, 0, 5*time.Minute)
		note(r, "release", "RABCDEFGHIJ", "previous-release", "RZYXWVUTSRQ", "status", "rolled-back", "promoted", "false",
			"reason", "the rack undid the update; RZYXWVUTSRQ is active as before", "duration", "362")
		return r
	},
	"cancelled": func() *summary.Report {
		r := deployed(0, 800*time.Millisecond, 7*time.Second)
		r.Build(summary.Built{Steps: 3, Tail: "#4 [1/3] FROM base"})
		note(r, "status", "cancelled", "promoted", "false", "reason", "build BABCDEFGHIJ was cancelled: cancelled by signal: terminated", "duration", "8")
		return r
	},
	"hostile": func() *summary.Report {
		r := &summary.Report{Run: summary.Run{Verb: "deploy", Subject: hostile, Branch: hostile, Actor: hostile}}
		for _, name := range []string{"app", "rack", "git-sha", "build", "release", "previous-release", "reason", "status", "promoted", "process", "duration"} {
			note(r, name, hostile)
		}
		note(r, "status", "failed")
		r.URLs([]string{"https://x.example/\"><script>", "https://user:pass@x.example", "ftp://x.example", hostile})
		r.Build(summary.Built{Images: []summary.Image{{Ref: hostile, Digest: hostile}}, Tail: hostile + "\n</pre></details>\n" + hostile})
		return r
	},
	"nothing": func() *summary.Report { return &summary.Report{} },
}

func TestGolden(t *testing.T) {
	for name, make := range reports {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // the clock is the bubble's
				r := make()
				golden(t, name+".md", r.Markdown(conceal))
				golden(t, name+".txt", r.Text(conceal))
				sound(t, r.Markdown(conceal))
			})
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got); go test ./internal/summary -update writes it:\n%s", name, d)
	}
}

// ours are the tags that a summary may have.
var ours = regexp.MustCompile(`</?(?:table|tr|details|summary|pre|code|p|b|h2)>|<th align="left">|</th>|<td align="right">|<td>|</td>|<br>|<a href="[^"<>]*">|</a>`)

// frame is all Markdown that a summary may have outside of blocks of HTML.
var frame = regexp.MustCompile(`^(?:|To see more:)$`)

// sound fails unless a summary is UTF-8 of limited length, all of whose tags are
// ours and closed, in which no text of others is outside of blocks of HTML, and
// that has no secret, neither as it is nor as a browser would show it.
func sound(t *testing.T, markdown string) {
	t.Helper()
	if !utf8.ValidString(markdown) || len(markdown) > 256<<10 {
		t.Errorf("%d bytes, valid: %v", len(markdown), utf8.ValidString(markdown))
	}
	text := ours.ReplaceAllString(markdown, "")
	if i := strings.IndexByte(text, '<'); i >= 0 {
		t.Errorf("a tag that is not ours: %.100q", text[i:])
	}
	for _, tag := range []string{"table", "tr", "td", "th", "details", "summary", "pre", "code", "p", "b", "h2", "a"} {
		open := len(regexp.MustCompile(`<`+tag+`[ >]`).FindAllString(markdown, -1))
		if closed := strings.Count(markdown, "</"+tag+">"); open != closed {
			t.Errorf("%d of <%s>, %d of </%[2]s>", open, tag, closed)
		}
	}
	for _, form := range []string{markdown, html.UnescapeString(text)} {
		if strings.Contains(form, key) {
			t.Errorf("the secret is in it: %.300q", form)
		}
	}
	end := "" // of the block of HTML that a line is in
	for line := range strings.Lines(markdown) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case end == "" && strings.HasPrefix(line, "<pre>"):
			end = "</pre>"
		case end == "" && strings.HasPrefix(line, "<"):
			end = "\n"
		case end == "" && !frame.MatchString(line):
			t.Errorf("read as Markdown: %.300q", line)
		}
		if end == "</pre>" && strings.Contains(line, end) || end == "\n" && line == "" {
			end = ""
		}
	}
	if end == "</pre>" {
		t.Error("a pre element is open at the end")
	}
}

// FuzzMarkdown: whatever others have written, the summary is sound, and so is the
// text for logs: no control characters but the ends of its own lines.
func FuzzMarkdown(f *testing.F) {
	f.Add("shop", "acme/production", "failed: x", "line one\nline two", "https://x.example", "failed", 3)
	f.Add(hostile, hostile, hostile, hostile, hostile, "failed", 30)
	f.Add("hunter2<hun\x1b[0mter2>", "\xff"+key, key+"\xff", "hunter2<\nhunter2>"+key, "http://x/"+key, "unknown", 1)
	f.Fuzz(func(t *testing.T, app, rack, reason, log, link, status string, n int) {
		r := &summary.Report{Run: summary.Run{Verb: "deploy", Subject: reason, Branch: rack, Actor: app}}
		note(r, "app", app, "rack", rack, "reason", reason, "status", status, "build", log, "release", app, "git-sha", link, "promoted", "false", "duration", rack)
		many := max(0, min(n, 500, 64<<10/(len(log)+1)))
		var images []summary.Image
		var urls []string
		for range many {
			images = append(images, summary.Image{Ref: log, Digest: link})
			urls = append(urls, link)
		}
		r.URLs(urls)
		r.Build(summary.Built{Images: images, Tail: strings.Repeat(log+"\n", many)})
		sound(t, r.Markdown(conceal))
		text := r.Text(conceal)
		if !utf8.ValidString(text) || strings.Contains(text, key) || strings.ContainsAny(text, "\x1b\r\x00") || strings.Count(text, "\n") > 60 {
			t.Errorf("%.300q", text)
		}
	})
}

// The longest of everything fits.
func TestLimit(t *testing.T) {
	r := &summary.Report{Run: summary.Run{Verb: "deploy", Subject: strings.Repeat("<", 1<<20)}}
	note(r, "app", "shop", "build", "B", "status", "failed", "reason", strings.Repeat("\"", 1<<20))
	r.Build(summary.Built{Tail: strings.Repeat(strings.Repeat("'", 10_000)+"\n", 1000) + "the last line"})
	got := r.Markdown(conceal)
	sound(t, got)
	if len(got) < 200<<10 || !strings.Contains(got, "the last line") {
		t.Errorf("%d bytes of 256 KiB", len(got))
	}
}

func TestNilReportTakesEverything(t *testing.T) {
	var r *summary.Report
	r.Note("a", "b")
	r.Begin("x")()
	r.Upload("x")
	r.URLs(nil)
	r.Build(summary.Built{})
	if r.Value("a") != "" {
		t.Error("it keeps something")
	}
}
