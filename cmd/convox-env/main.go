// Command convox-env stands before what an image starts: it adds the stored
// environment of the app to its own, and becomes the command that is given to it.
package main

import (
	"context"
	"os"

	_ "golang.org/x/crypto/x509roots/fallback" // for images without certificates

	"github.com/convox-ci/convox-ci/internal/convoxenv"
)

func main() {
	os.Exit(convoxenv.Main(context.Background(), os.Args[1:], os.Environ(), os.Stderr))
}
