package main

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/convox-ci/convox-ci/internal/image/buildkit/actionscache/actionscachetest"
)

// actionsCache starts a stand-in for the cache service of GitHub Actions, and tells the
// story what a runner tells actions. "actionscache has PREFIX..." holds its entries
// against the beginnings of keys: each is there, and "!" says that none is.
func actionsCache(ts *testscript.TestScript, neg bool, args []string) {
	s := storyOf(ts)
	if len(args) > 0 && args[0] == "has" {
		for _, prefix := range args[1:] {
			has := slices.ContainsFunc(s.cache.Entries(), func(e actionscachetest.Entry) bool { return strings.HasPrefix(e.Key, prefix) })
			if has == neg {
				ts.Fatalf("an entry with a key like %s: %v", prefix, has)
			}
		}
		return
	}
	if neg || len(args) > 0 {
		ts.Fatalf("usage: actionscache, or [!] actionscache has PREFIX...")
	}
	s.cache = actionscachetest.New()
	server := httptest.NewServer(s.cache)
	ts.Defer(server.Close)
	for name, value := range s.cache.Environ(server.URL, "refs/heads/main") {
		ts.Setenv(name, value)
	}
	fmt.Fprintln(ts.Stdout(), "the cache is at", server.URL)
}
