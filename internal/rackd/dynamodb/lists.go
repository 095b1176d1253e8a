package dynamodb

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"golang.org/x/sync/errgroup"
)

// listing is the builds or the releases of an app.
type listing struct {
	store *Store
	table string
	part  string // of the third table, where they are written down
	app   string
}

func (s *Store) buildsOf(app string) listing {
	return listing{s, s.tables.Builds, "builds/" + app, app}
}

func (s *Store) releasesOf(app string) listing {
	return listing{s, s.tables.Releases, "releases/" + app, app}
}

// entry says that there is a record, or was.
type entry struct{ created, id string }

// of tells whether a record is the one of the entry, and of an app. There may be
// entries of times that it had before.
func (e entry) of(app string, item texts) bool {
	return item != nil && item["app"] == app && item["created"] == e.created
}

func (l listing) at(e entry) place { return l.store.at(l.part, e.created+"/"+e.id) }

// add writes down that there will be a record, of a build or of none.
func (l listing) add(ctx context.Context, e entry, build string) error {
	t := texts{"id": e.id}
	t.set("build", build)
	return l.store.put(ctx, l.at(e), t)
}

// forget takes back what add wrote.
func (l listing) forget(ctx context.Context, e entry) error {
	_, err := l.store.remove(ctx, l.at(e), nil)
	return err
}

// source asks for entries, the latest first, page by page.
type source struct {
	store *Store
	in    *dynamodb.QueryInput
	read  func(texts) entry
	page  []entry
	ended bool
}

// ours asks for what this package has written down, as it is now.
func (l listing) ours() *source {
	in := l.store.inPart(l.part)
	in.ScanIndexForward = aws.Bool(false)
	return &source{store: l.store, in: in, read: func(t texts) entry {
		created, id, _ := strings.Cut(t["name"], "/")
		return entry{created, id}
	}}
}

// theirs asks the index of a v2 Rack, which may be a moment late.
func (l listing) theirs() *source {
	e := &expression{}
	e.equal(texts{"app": l.app})
	index := createdIndex
	in := &dynamodb.QueryInput{TableName: &l.table, IndexName: &index, ScanIndexForward: aws.Bool(false), KeyConditionExpression: e.condition(),
		ProjectionExpression: aws.String(e.name("id") + ", " + e.name("created")), ExpressionAttributeValues: e.values}
	in.ExpressionAttributeNames = e.names
	return &source{store: l.store, in: in, read: func(t texts) entry { return entry{t["created"], t["id"]} }}
}

// only leaves out what does not have a text.
func (q *source) only(name, value string) {
	e := &expression{names: q.in.ExpressionAttributeNames, values: q.in.ExpressionAttributeValues}
	e.equal(texts{name: value})
	q.in.FilterExpression = e.condition()
}

// peek is the next entry; there may be none.
func (q *source) peek(ctx context.Context) (entry, bool, error) {
	for len(q.page) == 0 && !q.ended {
		out, err := q.store.api.Query(ctx, q.in)
		if err != nil {
			return entry{}, false, explain(ctx, err, queryCall(q.in))
		}
		q.in.ExclusiveStartKey, q.ended = out.LastEvaluatedKey, out.LastEvaluatedKey == nil
		for _, item := range out.Items {
			t, err := textsOf(item, queryCall(q.in))
			if err != nil {
				return entry{}, false, err
			}
			q.page = append(q.page, q.read(t))
		}
	}
	if len(q.page) == 0 {
		return entry{}, false, nil
	}
	return q.page[0], true, nil
}

// sources are both, none for what cannot be the name of an app.
func (l listing) sources() []*source {
	if !possible(l.app) {
		return nil
	}
	return []*source{l.ours(), l.theirs()}
}

// next takes the latest entry of all sources.
func next(ctx context.Context, from []*source) (latest entry, ok bool, err error) {
	var of *source
	for _, q := range from {
		e, there, err := q.peek(ctx)
		if err != nil {
			return latest, false, err
		}
		if there && (of == nil || e.created > latest.created) {
			latest, of = e, q
		}
	}
	if of != nil {
		of.page = of.page[1:]
	}
	return latest, of != nil, nil
}

// atOnce is how many records are read at the same time: a list is as slow as a
// reading or two, and other calls still find a connection.
const atOnce = 16

// list reads the latest records, at most limit of them, all if limit is 0. load
// reads one, and tells whether it is there and of the time of its entry.
func list[T any](ctx context.Context, l listing, limit int, load func(context.Context, entry) (T, bool, error)) ([]T, error) {
	type found struct {
		entry
		record T
		ok     bool
	}
	from, seen := l.sources(), map[entry]bool{}
	for _, q := range from {
		if limit > 0 {
			q.in.Limit = aws.Int32(int32(min(limit, 1000))) // more than that fits into no page
		}
	}
	var all []found
	for more := true; more && (limit == 0 || len(all) < limit); {
		var batch []found
		for limit == 0 && len(batch) < atOnce || limit > 0 && len(batch) < min(atOnce, limit-len(all)) {
			e, ok, err := next(ctx, from)
			if err != nil {
				return nil, err
			}
			if more = ok; !more {
				break
			}
			if !seen[e] {
				seen[e] = true
				batch = append(batch, found{entry: e})
			}
		}
		loads, ctx := errgroup.WithContext(ctx)
		for i := range batch {
			loads.Go(func() (err error) {
				batch[i].record, batch[i].ok, err = load(ctx, batch[i].entry)
				return err
			})
		}
		if err := loads.Wait(); err != nil {
			return nil, err
		}
		all = append(all, slices.DeleteFunc(batch, func(f found) bool { return !f.ok })...)
	}
	slices.SortStableFunc(all, func(a, b found) int { return cmp.Or(cmp.Compare(b.created, a.created), cmp.Compare(a.id, b.id)) })
	var records []T
	for _, f := range all {
		records = append(records, f.record)
	}
	return records, nil
}

// each calls f with all entries. f may remove them.
func (l listing) each(ctx context.Context, f func(entry) error) error {
	return eachOf(ctx, l.sources(), f)
}

// eachOf does it with the entries of some sources.
func eachOf(ctx context.Context, from []*source, f func(entry) error) error {
	for {
		e, ok, err := next(ctx, from)
		if err != nil || !ok {
			return err
		}
		if err := f(e); err != nil {
			return err
		}
	}
}
