//go:build !carrier

package app

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/convox-ci/convox-ci/internal/registry/ecr/ecrtest"
)

// TestRackWithARole is a rack in a job on GitHub that has nothing of AWS but
// role-to-assume: it builds, keeps images on ECR, and leaves nothing of the token or
// the credentials anywhere, neither in a log nor in an image.
func TestRackWithARole(t *testing.T) {
	l := newRoleLab(t)
	l.sts.Life = time.Minute // so that others are got all the time
	var said bytes.Buffer
	l.heard = &said
	job := l.environ
	l.serve()
	l.do(0, "apps", "create", "web")
	l.do(0, "rack", "params", "set", "BuildCache=Yes")
	build := l.do(0, "deploy", "--app", "web", "--build-args", "COLOUR=teal", l.app("one"))
	l.stop()
	l.quiet("the rack", said.String())
	l.quiet("the build", build)
	if n := len(l.sts.Sessions()); n < 2 {
		t.Errorf("%d sessions", n)
	}
	if there, images, _ := l.fake.Has("office/web"); !there || images == 0 {
		t.Error("nothing was pushed")
	}
	if !strings.Contains(said.String(), "::add-mask::") {
		t.Error("the runner was told of nothing")
	}
	l.nowhere()
	l.environ = job
	l.fake.Deny("ecr:GetAuthorizationToken")
	refused := l.do(2, "rack", "serve", "--registry", "ecr://", "--data", filepath.Join(l.dir, "data"))
	if want := "grant ecr:GetAuthorizationToken on * to arn:aws:sts::" + ecrtest.Account + ":assumed-role/web-deploy/acme-shop-7"; !strings.Contains(refused, want) {
		t.Errorf("%s\nwant: %s", refused, want)
	}
}

// nowhere looks through all files that were left, packed ones too.
func (l *roleLab) nowhere() {
	l.Helper()
	files, packed := 0, 0
	err := filepath.WalkDir(l.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		l.quiet(path, string(data))
		if z, err := gzip.NewReader(bytes.NewReader(data)); err == nil {
			packed++
			plain, err := io.ReadAll(z)
			if err != nil {
				return err
			}
			l.quiet(path+", unpacked,", string(plain))
		}
		return nil
	})
	if err != nil || files == 0 || packed == 0 {
		l.Errorf("%v after %d files, %d of them packed", err, files, packed)
	}
}
