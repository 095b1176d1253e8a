package dynamodb_test

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd/disk"
	"github.com/convox-ci/convox-ci/internal/rackd/dynamodb"
	"github.com/convox-ci/convox-ci/internal/rackd/vault"
)

// textsIn are the texts of an item.
func textsIn(item map[string]types.AttributeValue) map[string]string {
	t := map[string]string{}
	for name, value := range item {
		if s, ok := value.(*types.AttributeValueMemberS); ok {
			t[name] = s.Value
		}
	}
	return t
}

// putForeign puts an item as a v2 Rack does: whole, in the place of what was there.
func putForeign(t *testing.T, l *lab, table string, texts map[string]string, tags string) {
	t.Helper()
	item := map[string]types.AttributeValue{}
	for name, value := range texts {
		item[name] = &types.AttributeValueMemberS{Value: value}
	}
	if tags != "" {
		item["tags"] = &types.AttributeValueMemberB{Value: []byte(tags)}
	}
	_, err := l.api().PutItem(t.Context(), &sdk.PutItemInput{TableName: &table, Item: item})
	must(t, err)
}

func getForeign(t *testing.T, l *lab, table, id string) map[string]types.AttributeValue {
	t.Helper()
	out, err := l.api().GetItem(t.Context(), &sdk.GetItemInput{
		TableName: &table, Key: map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: id}}, ConsistentRead: aws.Bool(true),
	})
	must(t, err)
	return out.Item
}

func v2Build() (map[string]string, rack.Build) {
	return map[string]string{
			"id": "BABCDEFGHIJ", "app": "web", "status": "complete", "created": "20260102.030401.123456789", "wildcard-domain": "true",
			"ended": "20260102.030402.123456789", "description": "one", "git-sha": "0123abc", "entrypoint": "/bin/sh -c 'a b'",
			"manifest": "services:\n", "logs": "object://web/build/BABCDEFGHIJ/logs", "release": "RABCDEFGHIJ",
		}, rack.Build{
			ID: "BABCDEFGHIJ", App: "web", Status: rack.BuildComplete, Started: at(1), WildcardDomain: true, Ended: at(2), Description: "one",
			GitSHA: "0123abc", Entrypoint: "/bin/sh -c 'a b'", Manifest: "services:\n", Logs: "object://web/build/BABCDEFGHIJ/logs", Release: "RABCDEFGHIJ",
		}
}

func TestBuildsOfAnotherRack(t *testing.T) {
	l := newLab(t).init(t)
	s, ctx := l.open(t), t.Context()
	item, want := v2Build()
	putForeign(t, l, l.tables.Builds, item, `{"task":"arn:task"}`)
	if got, err := s.Build(ctx, "web", want.ID); err != nil || got != want {
		t.Errorf("read %v, %s", err, cmp.Diff(want, got))
	}
	if got := must2(s.ListBuilds(ctx, "web", 1))(t); !cmp.Equal(got, []rack.Build{want}) {
		t.Errorf("listed %v", got)
	}
	next := want
	next.Description, next.Logs = "two", ""
	must(t, s.SwapBuild(ctx, want, next))
	got := getForeign(t, l, l.tables.Builds, want.ID)
	if tags, ok := got["tags"].(*types.AttributeValueMemberB); !ok || string(tags.Value) != `{"task":"arn:task"}` {
		t.Errorf("the tags of the other rack are %v", got["tags"])
	}
	item["description"] = "two"
	delete(item, "logs")
	texts := textsIn(got)
	delete(texts, "change")
	if d := cmp.Diff(item, texts); d != "" {
		t.Errorf("attributes (-want +got):\n%s", d)
	}

	// The least of a build, which is what a record of an old Rack may have, with a time that is none.
	putForeign(t, l, l.tables.Builds, map[string]string{"id": "BB", "app": "web", "created": "20260102.030409.000000000", "ended": "soon"}, "")
	least := must2(s.Build(ctx, "web", "BB"))(t)
	if want := (rack.Build{ID: "BB", App: "web", Started: at(9).Truncate(1e9)}); least != want {
		t.Errorf("read %+v", least)
	}
	next = least
	next.Status = rack.BuildFailed
	must(t, s.SwapBuild(ctx, least, next))
	if got := must2(s.ListBuilds(ctx, "web", 0))(t); len(got) != 2 || got[0] != next {
		t.Errorf("listed %v", got)
	}
	must(t, s.DropBuild(ctx, next))
	must(t, s.RemoveBuilds(ctx, "web"))
	if all := scan(t, l, l.tables.Builds); len(all) > 0 {
		t.Errorf("left: %v", all)
	}
}

// What we write has the attributes of a v2 Rack, all of them texts, and the few that
// are our own.
func TestBuildsForAnotherRack(t *testing.T) {
	l := newLab(t).init(t)
	s, ctx := l.open(t), t.Context()
	want, build := v2Build()
	build.Process, build.Repository, build.Reason = "build-x", "host/app", "exit status 1"
	must(t, s.SwapBuild(ctx, rack.Build{}, build))
	maps.Copy(want, map[string]string{"process": "build-x", "repository": "host/app", "reason": "exit status 1"})
	item := getForeign(t, l, l.tables.Builds, build.ID)
	got := textsIn(item)
	if len(got) != len(item) || len(got["change"]) < 20 {
		t.Errorf("item is %v", item)
	}
	delete(got, "change")
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("attributes (-want +got):\n%s", d)
	}
	must(t, s.SwapBuild(ctx, rack.Build{}, rack.Build{ID: "BB", App: "web"}))
	got = textsIn(getForeign(t, l, l.tables.Builds, "BB"))
	delete(got, "change")
	if d := cmp.Diff(map[string]string{"id": "BB", "app": "web", "created": "00010101.000000.000000000", "wildcard-domain": "false"}, got); d != "" {
		t.Errorf("attributes (-want +got):\n%s", d)
	}
	out, err := l.api().Query(ctx, &sdk.QueryInput{
		TableName: &l.tables.Builds, IndexName: aws.String("app.created"), ScanIndexForward: aws.Bool(false), Limit: aws.Int32(10),
		KeyConditionExpression: aws.String("app = :app"), ExpressionAttributeValues: map[string]types.AttributeValue{":app": &types.AttributeValueMemberS{Value: "web"}},
	})
	must(t, err)
	if len(out.Items) != 2 || textsIn(out.Items[0])["manifest"] != build.Manifest {
		t.Errorf("a v2 Rack lists %v", out.Items)
	}
}

// A v2 Rack writes a build anew without what it does not know. No swap overlooks
// that, whatever was the same before and after.
func TestForeignWritesAreConflicts(t *testing.T) {
	l := newLab(t).init(t)
	s, ctx := l.open(t), t.Context()
	item, build := v2Build()
	build.Process = "build-x"
	must(t, s.SwapBuild(ctx, rack.Build{}, build))
	next := build
	next.Status = rack.BuildFailed
	raced := false
	l.fault = func(operation string) error {
		if operation == "UpdateItem" && !raced { // between our reading and our writing
			raced = true
			putForeign(t, l, l.tables.Builds, item, "")
		}
		return nil
	}
	if err := s.SwapBuild(ctx, build, next); err == nil || !raced {
		t.Errorf("the write of the other rack was overlooked: %v", err)
	}
	build.Process, next.Process = "", ""
	raced = false // now what it writes is what we have read
	must(t, s.SwapBuild(ctx, build, next))
	if got := must2(s.Build(ctx, "web", build.ID))(t); got != next || !raced {
		t.Errorf("read %+v", got)
	}

	// One that keeps our mark, and changes one attribute that was not there.
	raced = false
	kept := textsIn(getForeign(t, l, l.tables.Builds, build.ID))
	kept["reason"] = "by hand"
	item = kept
	if err := s.SwapBuild(ctx, next, build); err == nil {
		t.Error("a write that kept the mark was overlooked")
	}
}

func TestReleasesOfAnotherRack(t *testing.T) {
	l := newLab(t).init(t)
	ctx := t.Context()
	objects, err := disk.Open(t.TempDir(), "the test")
	must(t, err)
	defer objects.Close()
	open := func() *dynamodb.Store {
		s, err := dynamodb.Open(ctx, dynamodb.Options{Config: l.config(), Tables: l.tables, Seal: l.seal, Environments: objects})
		must(t, err)
		return s
	}
	s := open()
	item := map[string]string{"id": "RABCDEFGHIJ", "app": "web", "created": "20260102.030401.123456789", "build": "BABCDEFGHIJ", "description": "one", "manifest": "services:\n"}
	putForeign(t, l, l.tables.Releases, item, "")
	putForeign(t, l, l.tables.Releases, map[string]string{"id": "20260418101514", "app": "rack", "created": "20260102.030409.123456789"}, "") // a version of the rack
	want := rack.Release{ID: "RABCDEFGHIJ", App: "web", Build: "BABCDEFGHIJ", Description: "one", Manifest: "services:\n", Created: at(1)}
	check := func(env string) {
		t.Helper()
		want.Env = env
		if got := must2(s.Release(ctx, "web", want.ID))(t); got != want {
			t.Errorf("read %+v", got)
		}
		if got := must2(s.ListReleases(ctx, "web", 0))(t); !cmp.Equal(got, []rack.Release{want}) {
			t.Errorf("listed %+v", got)
		}
	}
	check("")
	must(t, objects.PutObject(ctx, "web", "releases/RABCDEFGHIJ/env", strings.NewReader("A=old and plain")))
	check("A=old and plain")

	// What we add has its environment where the other rack looks for it, too.
	ours := rack.Release{ID: "RB", App: "web", Build: "BB", Env: "A=secret", Created: at(2)}
	must(t, s.AddRelease(ctx, ours))
	kept := textsIn(getForeign(t, l, l.tables.Releases, "RB"))
	object, err := objects.OpenObject(ctx, "web", "releases/RB/env")
	must(t, err)
	data := make([]byte, 4096)
	n, _ := object.Read(data)
	must(t, object.Close())
	if string(data[:n]) != kept["env"] || strings.Contains(kept["env"], "secret") {
		t.Errorf("the object is %q, the attribute %q", data[:n], kept["env"])
	}
	delete(kept, "env")
	delete(kept, "change")
	if d := cmp.Diff(map[string]string{"id": "RB", "app": "web", "build": "BB", "created": "20260102.030402.123456789"}, kept); d != "" {
		t.Errorf("attributes (-want +got):\n%s", d)
	}
	// An envelope of the other rack, made of ours: it is the same form.
	must(t, objects.PutObject(ctx, "web", "releases/RABCDEFGHIJ/env", strings.NewReader(envelopeFor(t, l, "RABCDEFGHIJ"))))
	got := must2(s.ListReleases(ctx, "web", 0))(t)
	want.Env = "B=sealed"
	if !cmp.Equal(got, []rack.Release{ours, want}) {
		t.Errorf("listed %+v", got)
	}
	// With another key one of ours cannot be read, and one of the other rack is what is stored, as that reads it.
	l.seal = vault.Key{9}
	if _, err := open().Release(ctx, "web", "RB"); !errors.Is(err, vault.ErrSealed) || strings.Contains(err.Error(), "secret") {
		t.Errorf("with another key: %v", err)
	}
	if got, err := open().Release(ctx, "web", want.ID); err != nil || !strings.HasPrefix(got.Env, "{") || !cmp.Equal(got.Created, want.Created) {
		t.Errorf("with another key: %v, %+v", err, got)
	}
	must(t, s.RemoveReleases(ctx, "web"))
	if _, err := objects.OpenObject(ctx, "web", "releases/RB/env"); err == nil {
		t.Error("the environment stays after its release")
	}
	if all := scan(t, l, l.tables.Releases); len(all) != 1 {
		t.Errorf("left: %v", all)
	}
}

// envelopeFor is a sealed environment of a release, taken out of a table.
func envelopeFor(t *testing.T, l *lab, id string) string {
	t.Helper()
	other := newLab(t).init(t)
	other.seal = l.seal
	must(t, other.open(t).AddRelease(t.Context(), rack.Release{ID: id, App: "web", Env: "B=sealed", Created: at(1)}))
	return textsIn(getForeign(t, other, other.tables.Releases, id))["env"]
}
