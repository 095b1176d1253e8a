package rackd

import (
	"context"
	"regexp"
	"strings"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// recordEntrypoint records what an image of a build starts with. There is one
// such text for a build: of several images, that of the last one stays.
func (s *Server) recordEntrypoint(ctx context.Context, j job, words []string) error {
	_, err := s.updateBuild(ctx, j.app, j.id, func(b *rack.Build) { b.Entrypoint = commandLine(words) })
	return err
}

// plainWord is a word that means itself to a shell.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// commandLine joins words so that a POSIX shell takes them apart again.
// https://pubs.opengroup.org/onlinepubs/9699919799/utilities/V3_chap02.html#tag_18_02
func commandLine(words []string) string {
	var all []string
	for _, word := range words {
		if !plainWord.MatchString(word) {
			word = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
		all = append(all, word)
	}
	return strings.ToValidUTF8(strings.Join(all, " "), "\uFFFD")
}
