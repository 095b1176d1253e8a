// Command size builds the binary as it is released, prints what it weighs and
// which of the module's packages bring the weight.
package main

import (
	"cmp"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// maxConvoxEnv is what convox-env may weigh in bytes: it goes into every image of
// every app.
const maxConvoxEnv = 7 << 20

// heavy is the weight, in bytes, from which a package needs a reason.
const heavy = 5 << 20

const module = "github.com/convox-ci/convox-ci/internal/"

// probe is a package and what of it a program would use.
type probe struct {
	pkg, use string
	reason   string // why it may weigh what it does
}

var probes = []probe{
	{"image/buildkit/embedded", "embedded.Start", "the whole BuildKit daemon: building with nothing but runc on the machine"},
	{"image/buildkit", "buildkit.DialDocker", "BuildKit's client with gRPC and the progress display; the engine behind Docker takes nothing less"},
	{"registry", "registry.Embedded", "the storage of the reference registry, and the client that moves images"},
	{"registry/ecr", "(*ecr.Service).Open", "the SDK of AWS, as far as ECR goes, and what moves images"},
	{"rack", "(*rack.Client).Watch", "net/http with TLS, and WebSocket on top"},
	{"rackd", "(*rackd.Server).Handler", "net/http and WebSocket, with the reader of manifests"},
	{"rackd/disk", "disk.Open", ""},
	{"rackd/dynamodb", "dynamodb.Open", "the SDK of AWS, as far as DynamoDB goes"},
	{"rackd/s3", "s3.New", ""},
	{"rackd/kms", "kms.Open", "the SDK of AWS, as far as KMS goes"},
	{"source", "source.Pack", ""},
	{"manifest", "manifest.Load", ""},
	{"ci", "ci.Open", ""},
	{"options", "options.Parse", ""},
	{"commit", "commit.Read", ""},
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "size:", err)
		os.Exit(1)
	}
}

func run() error {
	// Below the module, since its internal packages are used; with a dot, since
	// "./..." shall not find it.
	dir, err := os.MkdirTemp(".", ".size-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	released := filepath.Join(dir, "released")
	if err := weighReleased(released); err != nil {
		return err
	}
	if err := image(released); err != nil {
		return err
	}
	env, err := build(filepath.Join(dir, "convox-env"), "./cmd/convox-env")
	if err != nil {
		return err
	}
	fmt.Printf("convox-env, in the images of apps: %s\n", mb(env))
	if env > maxConvoxEnv {
		return fmt.Errorf("convox-env weighs more than %s", mb(maxConvoxEnv))
	}
	whole, err := build(filepath.Join(dir, "whole"), "./cmd/convox-ci")
	if err != nil {
		return err
	}
	fmt.Printf("the whole program that it carries, unpacked and without convox-env: %s\n\n", mb(whole))
	return weigh(dir)
}

// weighReleased prints what a user downloads.
func weighReleased(path string) error {
	cmd := exec.Command("scripts/build", path)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("scripts/build: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	packed, err := gzipped(path)
	if err != nil {
		return err
	}
	fmt.Printf("convox-ci as it is released: %s, with gzip: %s\n", mb(info.Size()), mb(packed))
	return nil
}

// weigh builds a program around each package, beside an empty one.
func weigh(dir string) error {
	empty, err := program(dir, "empty", `package main; func main() {}`)
	if err != nil {
		return err
	}
	type row struct {
		probe
		size int64
	}
	var rows []row
	for i, p := range probes {
		text := fmt.Sprintf("package main\nimport (\n\t\"fmt\"\n\t%q\n)\nfunc main() { fmt.Println(%s) }\n", module+p.pkg, p.use)
		size, err := program(dir, fmt.Sprint("p", i), text)
		if err != nil {
			return err
		}
		rows = append(rows, row{p, size - empty})
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(b.size, a.size) })
	fmt.Println("what a program with that package alone weighs more than an empty one:")
	var unexplained []string
	for _, r := range rows {
		why := ""
		if r.size > heavy {
			why = r.reason
			if why == "" {
				unexplained = append(unexplained, r.pkg)
			}
		}
		fmt.Printf("%9s  %-24s %s\n", mb(r.size), r.pkg, why)
	}
	if unexplained != nil {
		return fmt.Errorf("over %s without a reason: %s", mb(heavy), strings.Join(unexplained, ", "))
	}
	return nil
}

// program builds a main package of one file and returns its size.
func program(dir, name, text string) (int64, error) {
	source := filepath.Join(dir, name)
	if err := os.Mkdir(source, 0o700); err != nil {
		return 0, err
	}
	if err := os.WriteFile(filepath.Join(source, "main.go"), []byte(text), 0o600); err != nil {
		return 0, err
	}
	return build(source+".out", "./"+source)
}

// build builds as releases are built.
func build(out, pkg string) (int64, error) {
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", out, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("go build %s: %w", pkg, err)
	}
	info, err := os.Stat(out)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func gzipped(path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var n counter
	w, err := gzip.NewWriterLevel(&n, gzip.BestCompression)
	if err != nil {
		return 0, err
	}
	if _, err := io.Copy(w, f); err != nil {
		return 0, err
	}
	err = w.Close()
	return int64(n), err
}

// counter counts what is written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

func mb(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/(1<<20)) }
