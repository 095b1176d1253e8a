package dynamodb

import (
	"context"
	"maps"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
)

var _ rackd.Trash = (*Store)(nil)

// trashPart has the builds that were dropped and still have images or a log.
const trashPart = "trash"

func (s *Store) trashAt(d drop) place { return s.at(trashPart, d.app+"/"+d.id+"/"+d.mark) }

// DropBuild implements [rackd.Trash].
//
// First the build is put into the trash as one that may not be dropped yet, and the
// drop is written down for those who read releases. The write that decides marks the
// build as dropped, if it is still what it was: from then on it is not there for any
// reader, and is in the trash. Its releases are removed after that, by whoever sees
// the mark first: one who reads releases looks for drops afterwards, finishes those
// that are decided, and reads again. So does one who lists the trash after a process
// was killed.
func (s *Store) DropBuild(ctx context.Context, old rack.Build) error {
	at := s.buildAt(old.ID)
	for {
		was, err := s.load(ctx, at)
		if err != nil {
			return err
		}
		if !holdsBuild(was, old) {
			return rack.ErrConflict
		}
		d := drop{old.App, old.ID, random()}
		if err := s.begin(ctx, d); err != nil {
			return err
		}
		trash, made, err := s.split(ctx, was, was.whole)
		if err != nil {
			return err
		}
		trash[pendingName] = "true"
		if err := s.put(ctx, s.trashAt(d), trash); err != nil {
			return err
		}
		marked := maps.Clone(was.item)
		marked[droppedName] = d.mark
		ok, err := s.write(ctx, at, was.item, marked)
		if err != nil {
			return err // it may be marked all the same
		}
		if ok {
			return s.finish(ctx, d)
		}
		if dropped, err := s.abandon(ctx, d); dropped || err != nil {
			return err
		}
		if err := s.removePieces(ctx, made...); err != nil {
			return err
		} // then look again: what has changed may mean the same
	}
}

// abandon takes back a drop that was not decided, or tells that it was, and that
// another has finished it.
func (s *Store) abandon(ctx context.Context, d drop) (dropped bool, err error) {
	was, err := s.remove(ctx, s.trashAt(d), texts{pendingName: "true"})
	if err != nil {
		return false, err
	}
	if was == nil {
		if now, err := s.get(ctx, s.trashAt(d)); now != nil || err != nil {
			return now != nil && now[pendingName] == "", err
		}
	}
	return false, s.end(ctx, d, false)
}

// finish does what is left to do of a drop that is decided. Several may do it at
// once, and again.
func (s *Store) finish(ctx context.Context, d drop) error {
	releases := s.releasesOf(d.app)
	of := releases.sources()
	for _, q := range of {
		q.only("build", d.id)
	}
	err := eachOf(ctx, of, func(e entry) error { return s.removeRelease(ctx, e, texts{"app": d.app, "build": d.id}) })
	if err != nil {
		return err
	}
	if err := s.settle(ctx, d); err != nil {
		return err
	}
	if err := s.end(ctx, d, true); err != nil {
		return err
	}
	builds := s.buildsOf(d.app)
	entries := builds.ours()
	entries.only("id", d.id)
	if err := eachOf(ctx, []*source{entries}, func(e entry) error { return builds.forget(ctx, e) }); err != nil {
		return err
	}
	_, err = s.remove(ctx, s.buildAt(d.id), texts{droppedName: d.mark})
	return err
}

// settle makes a build in the trash one that is dropped for sure, if it is still there.
func (s *Store) settle(ctx context.Context, d drop) error {
	at := s.trashAt(d)
	e := &expression{}
	e.equal(at.key)
	_, err := s.api.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &at.table, Key: at.key.item(), UpdateExpression: aws.String("REMOVE " + e.name(pendingName)),
		ConditionExpression: e.condition(), ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values,
	})
	if err != nil && !isRefused(err) {
		return explain(ctx, err, call{"UpdateItem", at.table, ""})
	}
	return nil
}

// decided finishes a drop if it is decided and not finished, and tells so. gone says
// that the build is not there.
func (s *Store) decided(ctx context.Context, d drop) (done, gone bool, err error) {
	item, err := s.get(ctx, s.buildAt(d.id))
	if err != nil {
		return false, false, err
	}
	if at, ok := dropOf(item); ok && at == d {
		return true, true, s.finish(ctx, d)
	}
	return false, item == nil, nil
}

// Dropped implements [rackd.Trash].
func (s *Store) Dropped(ctx context.Context) (all []rack.Build, err error) {
	err = s.inTrash(ctx, s.inPart(trashPart), func(d drop, item texts) error {
		if item[pendingName] != "" {
			if dropped, err := s.clear(ctx, d); !dropped || err != nil {
				return err
			}
		}
		r, err := s.load(ctx, s.trashAt(d))
		if err == nil && r.exists() {
			all = append(all, buildOf(r.whole))
		}
		return err
	})
	return all, err
}

// clear tells whether a build was dropped of which that was not sure. A drop of which
// nothing can come any more is taken back: its build is gone, and no other has its marks.
func (s *Store) clear(ctx context.Context, d drop) (dropped bool, err error) {
	done, gone, err := s.decided(ctx, d)
	switch {
	case done || err != nil:
		return done, err
	case gone:
		return s.abandon(ctx, d)
	}
	now, err := s.get(ctx, s.trashAt(d))
	return now != nil && now[pendingName] == "", err
}

// ForgetBuild implements [rackd.Trash].
func (s *Store) ForgetBuild(ctx context.Context, b rack.Build) error {
	in := s.inPart(trashPart)
	e := &expression{names: in.ExpressionAttributeNames, values: in.ExpressionAttributeValues}
	prefix := "begins_with(" + e.name("name") + ", " + e.value(text(b.App+"/"+b.ID+"/")) + ")"
	in.KeyConditionExpression = aws.String(*in.KeyConditionExpression + " AND " + prefix)
	return s.inTrash(ctx, in, func(d drop, item texts) error {
		// One that is not pending may still be marked, if somebody was killed.
		done, _, err := s.decided(ctx, d)
		if err != nil || item[pendingName] != "" && !done {
			return err
		}
		was, err := s.remove(ctx, s.trashAt(d), nil)
		if err != nil {
			return err
		}
		return s.removePieces(ctx, piecesIn(was)...)
	})
}

// inTrash calls each with what a question about the trash finds.
func (s *Store) inTrash(ctx context.Context, in *dynamodb.QueryInput, each func(drop, texts) error) error {
	return s.query(ctx, in, func(item map[string]types.AttributeValue) error {
		t, err := textsOf(item, queryCall(in))
		if err != nil {
			return err
		}
		d, err := s.dropIn(t)
		if err != nil {
			return err
		}
		return each(d, t)
	})
}
