package commit_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/commit"
)

// checkout makes a repository with one commit and returns its id.
func checkout(t *testing.T) (dir, sha string, environ []string) {
	t.Helper()
	dir = t.TempDir()
	environ = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "GIT_CONFIG_NOSYSTEM=1"}
	run := func(args ...string) string {
		cmd := exec.Command("git", append([]string{"-c", "user.name=a", "-c", "user.email=a@example.org"}, args...)...)
		cmd.Dir, cmd.Env = dir, environ
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	run("init", "-q")
	if err := os.WriteFile(filepath.Join(dir, "a"), []byte("1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	run("add", "a")
	run("commit", "-q", "-m", "first, with a comma\n\nand a body")
	return dir, run("rev-parse", "HEAD")[:40], environ
}

func TestReadAsksGit(t *testing.T) {
	dir, sha, environ := checkout(t)
	got := commit.Read(t.Context(), dir, commit.Commit{}, environ)
	want := commit.Commit{SHA: sha, Subject: "first, with a comma"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if got, want := got.Description(), "build "+sha[:10]+" first, with a comma"; got != want {
		t.Errorf("description %q, want %q", got, want)
	}
}

func TestReadOfAnotherUsersCheckout(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to give a checkout to another user")
	}
	dir, sha, environ := checkout(t)
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, 12345, 12345)
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := commit.Read(t.Context(), dir, commit.Commit{}, environ); got.SHA != sha {
		t.Errorf("got %+v, want sha %s", got, sha)
	}
}

func TestWhatTheCISystemSaidWins(t *testing.T) {
	dir, _, environ := checkout(t)
	said := commit.Commit{SHA: "0123456789abcdef0123456789abcdef01234567", Subject: "head of the pull request"}
	if d := cmp.Diff(said, commit.Read(t.Context(), dir, said, environ)); d != "" {
		t.Error(d)
	}
}

func TestDirtyTreeHasNoDescription(t *testing.T) {
	for _, stage := range []bool{false, true} {
		dir, sha, environ := checkout(t)
		if err := os.WriteFile(filepath.Join(dir, "a"), []byte("2\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if stage {
			cmd := exec.Command("git", "add", "a")
			cmd.Dir, cmd.Env = dir, environ
			if err := cmd.Run(); err != nil {
				t.Fatal(err)
			}
		}
		got := commit.Read(t.Context(), dir, commit.Commit{}, environ)
		if !got.Dirty || got.SHA != sha || got.Description() != "" {
			t.Errorf("staged %v: got %+v with description %q", stage, got, got.Description())
		}
	}
}

func TestOutsideACheckout(t *testing.T) {
	said := commit.Commit{SHA: "0123456789abcdef0123456789abcdef01234567"}
	got := commit.Read(t.Context(), t.TempDir(), said, []string{"PATH=" + os.Getenv("PATH"), "GIT_CEILING_DIRECTORIES=" + os.TempDir()})
	if got != said {
		t.Errorf("got %+v, want %+v", got, said)
	}
	if got, want := got.Description(), "build 0123456789"; got != want {
		t.Errorf("description %q, want %q", got, want)
	}
}
