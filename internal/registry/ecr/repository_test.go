package ecr_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/convox-ci/convox-ci/internal/registry"
	"github.com/convox-ci/convox-ci/internal/registry/ecr"
	"github.com/convox-ci/convox-ci/internal/registry/ecr/ecrtest"
)

// cache is a repository of a registry that was opened.
func (l *lab) cache(t *testing.T) *ecr.Repository {
	t.Helper()
	c, err := l.open(t).Repository("office-build-cache")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// create makes a repository, and wants it to be there already or not.
func create(t *testing.T, c *ecr.Repository, there bool) {
	t.Helper()
	if made, err := c.Create(t.Context()); err != nil || made == there {
		t.Fatalf("made: %v, %v", made, err)
	}
}

// TestReadsMakeNothing: only a push makes a repository.
func TestReadsMakeNothing(t *testing.T) {
	l := start(t)
	r, c := l.open(t), l.cache(t)
	if _, err := l.client().Image(t.Context(), r.Name()+"/web:main.B1"); !errors.Is(err, ecr.ErrNoRepository) || !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("pull: %v", err)
	}
	if _, err := c.Tags(t.Context()); !errors.Is(err, ecr.ErrNoRepository) {
		t.Errorf("tags: %v", err)
	}
	if err := c.Retain(t.Context(), 3); !errors.Is(err, ecr.ErrNoRepository) {
		t.Errorf("retain: %v", err)
	}
	for what, err := range map[string]error{
		"delete": c.Delete(t.Context()), "remove tags": r.RemoveTags(t.Context(), "web", func(string) bool { return true }), "collect": r.Collect(t.Context()),
	} {
		if err != nil {
			t.Errorf("%s of what is not there: %v", what, err)
		}
	}
	for _, name := range []string{"office/web", "office-build-cache"} {
		if there, _, _ := l.fake.Has(name); there {
			t.Errorf("%s was made", name)
		}
	}
}

// TestRepositoriesOfApps are made by the first push, and again if somebody has
// deleted them; those of other registries are not.
func TestRepositoriesOfApps(t *testing.T) {
	l := start(t)
	r := l.open(t)
	ref := r.Name() + "/web:main.B1"
	push := func() error {
		_, err := l.client().Push(t.Context(), imageOf(t, 1), ref)
		return err
	}
	for range 3 {
		if err := push(); err != nil {
			t.Fatal(err)
		}
	}
	asked := l.fake.Seen()[ecrtest.Seen{Action: "ecr:DescribeRepositories", Repository: "office/web"}]
	if made := l.fake.Seen()[ecrtest.Seen{Action: "ecr:CreateRepository", Repository: "office/web"}]; asked != 1 || made != 1 {
		t.Errorf("of three pushes %d looked for the repository and %d made it", asked, made)
	}
	gone, err := r.Repository("office/web")
	if err != nil {
		t.Fatal(err)
	}
	if err := gone.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := push(); !errors.Is(err, ecr.ErrNoRepository) {
		t.Errorf("push to what was deleted meanwhile: %v", err)
	}
	if err := push(); err != nil {
		t.Errorf("push after that: %v", err)
	}
	other := start(t) // whose registry nobody has opened
	other.fake.Endpoint = "https://" + awsHost
	if _, err := other.named().Push(t.Context(), imageOf(t, 1), awsHost+"/office/web:1"); !errors.Is(err, ecr.ErrNoRepository) {
		t.Errorf("push to a registry that is not the rack's: %v", err)
	}
}

// TestLifecycle: the policy is one that ECR takes, and removes what it should.
func TestLifecycle(t *testing.T) {
	l := start(t)
	c := l.cache(t)
	create(t, c, false)
	push := func(tag string) {
		t.Helper()
		if _, err := l.client().Push(t.Context(), imageOf(t, 1), l.host+"/office-build-cache:"+tag); err != nil {
			t.Fatal(err)
		}
	}
	want := func(when string, images int, policy string) {
		t.Helper()
		l.fake.Sweep()
		if _, n, got := l.fake.Has("office-build-cache"); n != images || got != policy {
			t.Errorf("%s: %d images are left by the policy %s", when, n, got)
		}
	}
	retain := func(days int) {
		t.Helper()
		if err := c.Retain(t.Context(), days); err != nil {
			t.Fatal(err)
		}
	}
	const rule = `{"rules":[{"rulePriority":1,"description":"expire build cache images after %[1]d days","selection":{"tagStatus":"any",` +
		`"countType":"sinceImagePushed","countUnit":"days","countNumber":%[1]d},"action":{"type":"expire"}}]}`
	push("a")
	push("b")
	push("b") // the one before has no tag any more
	l.pass(8 * 24 * time.Hour)
	push("c")
	retain(0) // which is so already
	want("without", 4, "")
	retain(30)
	want("of 30 days", 4, fmt.Sprintf(rule, 30))
	retain(7)
	want("of 7 days", 1, fmt.Sprintf(rule, 7))
	retain(0)
	want("taken away", 1, "")
	if err := c.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	create(t, c, false)
	want("of a new repository", 0, "")
}

func TestNamesOfRepositories(t *testing.T) {
	l := start(t)
	for _, name := range []string{"", "Office", "a//b", "/a", "a/", "a--b", "a:b", "ä"} {
		if _, err := l.service.Open(t.Context(), "", name); err == nil {
			t.Errorf("%q is taken for the beginning of a name", name)
		}
		if _, err := l.open(t).Repository(name); err == nil {
			t.Errorf("%q is taken for a name", name)
		}
	}
	if _, err := l.service.Open(t.Context(), "registry.example.org", "office"); err == nil {
		t.Error("a host that is none of ECR is opened")
	}
}
