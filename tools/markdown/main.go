// Command markdown turns GitHub's Markdown into a page that looks as it does there:
// markdown <in.md >out.html. It is for the pictures alone: HTML passes as it is,
// where GitHub takes out what it does not know.
package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"os"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer/html"
)

//go:embed github.css
var style string

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "markdown:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	text, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	var body bytes.Buffer
	if err := goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithRendererOptions(html.WithUnsafe())).Convert(text, &body); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "<!doctype html>\n<meta charset=\"utf-8\">\n<style>%s</style>\n%s", style, &body)
	return err
}
