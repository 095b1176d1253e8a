package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// drop is one attempt to drop a build. The mark is its own.
type drop struct{ app, id, mark string }

// dropOf is the drop that takes a build away.
func dropOf(build texts) (drop, bool) {
	return drop{build["app"], build["id"], build[droppedName]}, build[droppedName] != ""
}

// dropIn is the drop that has put a build into the trash.
func (s *Store) dropIn(trash texts) (drop, error) {
	d := drop{app: trash["app"], id: trash["id"]}
	mark, ok := strings.CutPrefix(trash["name"], d.app+"/"+d.id+"/")
	if !ok {
		at := s.at(trashPart, trash["name"])
		return d, call{"Query", at.table, ""}.failed(ErrDamaged, fmt.Sprintf("%s is the build %s of %s", at, d.id, d.app))
	}
	d.mark = mark
	return d, nil
}

// The drops of an app are one item with a set and a number.
const (
	droppingPart = "dropping"
	underWay     = "under-way" // the set: those that may not be finished
	finished     = "finished"  // how many were finished
)

// member is a drop in the set.
func (d drop) member() types.AttributeValue {
	return &types.AttributeValueMemberSS{Value: []string{d.id + "/" + d.mark}}
}

// begin writes down that a drop is under way.
func (s *Store) begin(ctx context.Context, d drop) error {
	e := &expression{}
	return s.note(ctx, d, e, "ADD "+e.name(underWay)+" "+e.value(d.member()))
}

// end writes down that it is not any more, and that it was finished, if it was.
func (s *Store) end(ctx context.Context, d drop, done bool) error {
	e := &expression{}
	change := "DELETE " + e.name(underWay) + " " + e.value(d.member())
	if done {
		change += " ADD " + e.name(finished) + " " + e.value(&types.AttributeValueMemberN{Value: "1"})
	}
	return s.note(ctx, d, e, change)
}

func (s *Store) note(ctx context.Context, d drop, e *expression, change string) error {
	at := s.at(droppingPart, d.app)
	_, err := s.api.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &at.table, Key: at.key.item(), UpdateExpression: &change,
		ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values,
	})
	if err != nil {
		return explain(ctx, err, call{"UpdateItem", at.table, ""})
	}
	return nil
}

// drops are those of an app at a moment.
type drops struct {
	finished string
	underWay []drop
}

func (s *Store) drops(ctx context.Context, app string) (all drops, err error) {
	at := s.at(droppingPart, app)
	if !at.possible() {
		return all, nil
	}
	out, err := s.api.GetItem(ctx, &dynamodb.GetItemInput{TableName: &at.table, Key: at.key.item(), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return all, explain(ctx, err, call{"GetItem", at.table, ""})
	}
	if n, ok := out.Item[finished].(*types.AttributeValueMemberN); ok {
		all.finished = n.Value
	}
	if set, ok := out.Item[underWay].(*types.AttributeValueMemberSS); ok {
		for _, member := range set.Value {
			i := strings.LastIndex(member, "/")
			all.underWay = append(all.underWay, drop{app, member[:max(i, 0)], member[i+1:]})
		}
	}
	return all, nil
}

// settled reads releases of an app so that all releases of a build are there or none.
// While a drop that is decided is not finished some may be removed and others not:
// then it is finished, and read again. If one was finished during the reading, it is
// read again too.
func (s *Store) settled(ctx context.Context, app string, read func() error) error {
	for {
		before, err := s.drops(ctx, app)
		if err != nil {
			return err
		}
		answer := read()
		if answer != nil && !errors.Is(answer, rack.ErrNotFound) {
			return answer
		}
		after, err := s.drops(ctx, app)
		if err != nil {
			return err
		}
		for _, d := range after.underWay {
			if _, err := s.clear(ctx, d); err != nil {
				return err
			}
		}
		if len(after.underWay) > 0 { // one that was not decided when it was looked at may have been finished before
			if after, err = s.drops(ctx, app); err != nil {
				return err
			}
		}
		if after.finished == before.finished {
			return answer
		}
	}
}
