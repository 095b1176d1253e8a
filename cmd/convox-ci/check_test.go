package main

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// setVariables makes a release of an app with an environment, as its owner does
// before the first deploy.
func setVariables(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: variables APP NAME=VALUE...")
	}
	u := url.URL{Scheme: "http", User: url.UserPassword("convox", key), Host: ts.Getenv("RACK_HOST"), Path: "/apps/" + args[0] + "/releases"}
	res, err := http.PostForm(u.String(), url.Values{"env": {strings.Join(args[1:], "\n")}})
	ts.Check(err)
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		ts.Fatalf("setting variables: %s", res.Status)
	}
}

// fingerprint sets a variable to a sum of all files below a directory, their names
// and contents.
func fingerprint(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: fingerprint VARIABLE DIR")
	}
	sum := sha256.New()
	ts.Check(filepath.WalkDir(ts.MkAbs(args[1]), func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%s %v\n", name, d.Type())
		if !d.Type().IsRegular() {
			return nil
		}
		content, err := os.ReadFile(name)
		fmt.Fprintf(sum, "%d %x\n", len(content), sha256.Sum256(content))
		return err
	}))
	ts.Setenv(args[0], fmt.Sprintf("%x", sum.Sum(nil)))
}
