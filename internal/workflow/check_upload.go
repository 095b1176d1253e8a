package workflow

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/convox-ci/convox-ci/internal/ci"
	"github.com/convox-ci/convox-ci/internal/manifest"
	"github.com/convox-ci/convox-ci/internal/source"
)

// Subjects of findings about the upload.
const (
	aboutUpload = "upload"
	aboutIgnore = "dockerignore"
)

// largeUpload is the bytes of an archive from which it is worth a word. Each build
// sends it anew, and a balancer before a rack may end a request after four minutes:
// with this much that takes half a megabyte a second.
const largeUpload = 100 << 20

// Upload is what a build would send.
type Upload struct {
	Files   int           `json:"files"`   // regular files
	Bytes   int64         `json:"bytes"`   // their sizes added up
	Packed  int64         `json:"packed"`  // bytes of the archive
	Biggest []source.Path `json:"biggest"` // at most 10 files and folders, the biggest first
}

// String says how much it is, as an upload does.
func (u Upload) String() string {
	return files(u.Files) + ", " + size(u.Bytes) + ", packed to " + size(u.Packed)
}

// Heaviest lists the biggest paths, a line each.
func (u Upload) Heaviest() []string {
	var lines []string
	for _, p := range u.Biggest {
		lines = append(lines, size(p.Bytes)+"  "+p.Name)
	}
	return lines
}

// upload packs the source as a build would and looks at what comes out. Its error
// is the end of ctx.
func (r *Report) upload(ctx context.Context, s Source, text []byte, m *manifest.Manifest) error {
	keep := s.keep(text)
	say := func(level ci.Level, subject, text string) {
		r.add(Finding{Level: level, Subject: subject, Text: text})
	}
	survey, err := source.Look(ctx, string(s.Context), source.Options{Keep: keep, Warn: func(text string) { say(ci.LevelWarning, aboutUpload, text) }})
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil: // it would end the upload as well
		say(ci.LevelError, aboutUpload, err.Error())
		return nil
	}
	if survey.Doubles.Count > 0 {
		say(ci.LevelNotice, aboutUpload, "further names of files (hard links) are sent as files of their own, which other clients of a Rack lose: "+survey.Doubles.String())
	}
	if tooMuch := large(survey.Packed); tooMuch != "" {
		say(ci.LevelWarning, aboutUpload, tooMuch)
	}
	r.ignored(s, m, keep)
	r.Upload = &Upload{Files: survey.Files, Bytes: survey.Bytes, Packed: survey.Packed, Biggest: survey.Biggest}
	return nil
}

// large says what speaks against an archive of so many bytes, "" for nothing.
func large(packed int64) string {
	if packed < largeUpload {
		return ""
	}
	return size(packed) + " are sent with each build, and balancers end what takes too long; " + ignoreFile + " can leave out what the build does not need"
}

// ignored finds the rules that would leave out what a rack needs. Our uploads keep
// that, those of the official clients do not.
func (r *Report) ignored(s Source, m *manifest.Manifest, keep []string) {
	needed := []string{s.within()}
	if m != nil {
		needed = append(needed, m.Dockerfiles()...)
	}
	for _, file := range needed {
		rule, ok, err := source.IgnoredBy(string(s.Context), file)
		if err != nil || !ok || !s.has(file) {
			continue
		}
		f := Finding{Level: ci.LevelWarning, Subject: aboutIgnore, Text: fmt.Sprintf("the rule %q leaves out %s", rule.Text, file),
			File: filepath.ToSlash(filepath.Join(string(s.Context), ignoreFile)), Line: rule.Line}
		if slices.Contains(keep, file) {
			f.Text += ", which is sent all the same; the official clients leave it out, and the build then fails"
		} else { // its name comes of a variable that only the rack knows when it is packed
			f.Level, f.Text = ci.LevelError, f.Text+", which the build needs"
		}
		r.add(f)
	}
}

// has tells whether there is a file of that name in the source.
func (s Source) has(file string) bool {
	if !filepath.IsLocal(filepath.FromSlash(file)) {
		return false
	}
	_, err := os.Lstat(filepath.Join(string(s.Context), filepath.FromSlash(file)))
	return err == nil
}
