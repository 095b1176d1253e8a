package dynamodb

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// Guest reads and writes builds and releases in the tables of a v2 Rack as that does
// itself: it knows of no third table, adds no attributes, and leaves environments to
// whoever keeps the objects. What is written is what the Rack would have written.
type Guest struct{ store *Store }

// Visit uses the tables of a v2 Rack; Tables.Records is not looked at. It asks
// nothing.
func Visit(config aws.Config, tables Tables) *Guest {
	return &Guest{&Store{api: newAPI(config), tables: tables}}
}

// Build returns a build of an app as it is now, or an error that is
// [rack.ErrNotFound].
func (g *Guest) Build(ctx context.Context, app, id string) (rack.Build, error) {
	item, err := g.store.get(ctx, g.store.buildAt(id))
	if err != nil {
		return rack.Build{}, err
	}
	if item == nil || item["app"] != app {
		return rack.Build{}, rack.ErrNotFound
	}
	return buildOf(item), nil
}

// AddBuild stores a new build, or returns an error that is [rack.ErrConflict] if
// there is one with its id.
func (g *Guest) AddBuild(ctx context.Context, b rack.Build) error {
	return g.add(ctx, g.store.buildAt(b.ID), buildTexts(b))
}

// AddRelease stores a new release without its environment, under the terms of
// AddBuild.
func (g *Guest) AddRelease(ctx context.Context, r rack.Release) error {
	return g.add(ctx, g.store.releaseAt(r.ID), releaseTexts(r))
}

// add stores an item where none is. A write whose answer was lost is made once more
// by the SDK, and refused for what it has itself stored.
func (g *Guest) add(ctx context.Context, at place, t texts) error {
	err := g.store.insert(ctx, at, t)
	if err == nil || !isRefused(err) {
		return explainUnlessNil(ctx, err, call{"PutItem", at.table, ""})
	}
	return g.unlessStored(ctx, at, t)
}

// ReplaceBuild changes a build from what it was read as, as long as it is neither
// complete nor failed; otherwise it returns an error that is [rack.ErrConflict]. Only
// what differs is written, and nothing is emptied: all else stays as others have
// written it meanwhile.
func (g *Guest) ReplaceBuild(ctx context.Context, was, next rack.Build) error {
	at, before, t := g.store.buildAt(next.ID), buildTexts(was), buildTexts(next)
	maps.DeleteFunc(t, func(name, value string) bool { return name == "id" || before[name] == value })
	if len(t) == 0 {
		return nil
	}
	e := &expression{}
	var sets []string
	for _, name := range slices.Sorted(maps.Keys(t)) {
		sets = append(sets, e.name(name)+" = "+e.value(text(t[name])))
	}
	status := e.name("status")
	e.terms = []string{"attribute_exists(" + e.name("id") + ")",
		status + " IN (" + e.value(text(rack.BuildCreated)) + ", " + e.value(text(rack.BuildRunning)) + ")"}
	_, err := g.store.api.UpdateItem(ctx, &dynamodb.UpdateItemInput{TableName: &at.table, Key: at.key.item(),
		UpdateExpression: aws.String("SET " + strings.Join(sets, ", ")), ConditionExpression: e.condition(),
		ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values})
	if err == nil || !isRefused(err) {
		return explainUnlessNil(ctx, err, call{"UpdateItem", at.table, ""})
	}
	return g.unlessStored(ctx, at, t)
}

// unlessStored is a conflict unless an item has the texts that were to be stored.
func (g *Guest) unlessStored(ctx context.Context, at place, t texts) error {
	now, err := g.store.get(ctx, at)
	switch {
	case err != nil:
		return err
	case now == nil:
		return rack.ErrNotFound
	case !now.have(t):
		return rack.ErrConflict
	}
	return nil
}

func explainUnlessNil(ctx context.Context, err error, c call) error {
	if err == nil {
		return nil
	}
	return explain(ctx, err, c)
}

// Release returns a release of an app as it is now, without its environment, or an
// error that is [rack.ErrNotFound].
func (g *Guest) Release(ctx context.Context, app, id string) (r rack.Release, err error) {
	item, err := g.store.get(ctx, g.store.releaseAt(id))
	if err != nil {
		return r, err
	}
	if item == nil || item["app"] != app {
		return r, rack.ErrNotFound
	}
	return plainRelease(item), nil
}

// Newest is the release of an app that was made last, as a v2 Rack finds it: by an
// index that shows a write a moment late. ok is false for an app without any.
func (g *Guest) Newest(ctx context.Context, app string) (r rack.Release, ok bool, err error) {
	latest := g.store.releasesOf(app).theirs()
	latest.in.Limit = aws.Int32(1)
	e, ok, err := latest.peek(ctx)
	if err != nil || !ok {
		return r, false, err
	}
	r, err = g.Release(ctx, app, e.id)
	return r, err == nil, err
}
