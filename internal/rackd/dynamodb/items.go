package dynamodb

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// texts are the attributes of an item that this package knows, all of them texts.
// Those that others add are neither read nor changed.
type texts map[string]string

// set leaves out what is empty, as a v2 Rack does.
func (t texts) set(name, value string) {
	if value != "" {
		t[name] = value
	}
}

// have tells whether an item is there and has some texts.
func (t texts) have(some texts) bool {
	for name, value := range some {
		if t[name] != value {
			return false
		}
	}
	return t != nil
}

const (
	changeName  = "change"  // a random mark of each write
	droppedName = "dropped" // of a build: the drop that takes it away
	pendingName = "pending" // of a build in the trash: it may not be dropped yet
	piecesOf    = "-pieces" // behind the name of a text: where it is
)

// known has the names of all texts. What is not stored of them is a part of what
// a write is conditional on.
var known = []string{
	"id", "app", "status", "created", "wildcard-domain", "ended", "description", "git-sha", "entrypoint", "manifest", "logs", "release",
	"reason", "process", "repository", "build", "env", "part", "name", "record", "sealed", changeName, droppedName, pendingName,
}

// fixed are the texts that have to be in the item itself.
var fixed = []string{"id", "app", "created", "part", "name", changeName, droppedName, pendingName}

// place is where an item is.
type place struct {
	table string
	key   texts
}

func (s *Store) buildAt(id string) place   { return place{s.tables.Builds, texts{"id": id}} }
func (s *Store) releaseAt(id string) place { return place{s.tables.Releases, texts{"id": id}} }

// at is a place in the table that a v2 Rack does not have.
func (s *Store) at(part, name string) place {
	return place{s.tables.Records, texts{"part": part, "name": name}}
}

// maxKeyBytes is the length of the longest key, in bytes: nothing is under a longer one.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
const maxKeyBytes = 1024

// possible tells whether there can be an item at all: DynamoDB refuses to look for
// another.
func (p place) possible() bool {
	for _, key := range p.key {
		if !possible(key) {
			return false
		}
	}
	return true
}

func possible(key string) bool { return key != "" && len(key) <= maxKeyBytes }

func text(value string) types.AttributeValue { return &types.AttributeValueMemberS{Value: value} }

func (t texts) item() map[string]types.AttributeValue {
	item := map[string]types.AttributeValue{}
	for name, value := range t {
		item[name] = text(value)
	}
	return item
}

// textsOf reads an item; nil stays nil.
func textsOf(item map[string]types.AttributeValue, c call) (texts, error) {
	if item == nil {
		return nil, nil
	}
	t := texts{}
	for name, value := range item {
		if !slices.Contains(known, strings.TrimSuffix(name, piecesOf)) {
			continue
		}
		s, ok := value.(*types.AttributeValueMemberS)
		if !ok {
			return nil, c.failed(ErrDamaged, "its attribute "+name+" is no text")
		}
		t[name] = s.Value
	}
	return t, nil
}

// random is a text that nobody has used before.
func random() string { return rand.Text() }

// get reads an item as it is now, nil if there is none.
func (s *Store) get(ctx context.Context, at place) (texts, error) {
	if !at.possible() {
		return nil, nil
	}
	c := call{"GetItem", at.table, ""}
	out, err := s.api.GetItem(ctx, &dynamodb.GetItemInput{TableName: &at.table, Key: at.key.item(), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return nil, explain(ctx, err, c)
	}
	return textsOf(out.Item, c)
}

// put stores an item in the place of any other.
func (s *Store) put(ctx context.Context, at place, t texts) error {
	item := maps.Clone(t)
	maps.Copy(item, at.key)
	_, err := s.api.PutItem(ctx, &dynamodb.PutItemInput{TableName: &at.table, Item: item.item()})
	if err != nil {
		return explain(ctx, err, call{"PutItem", at.table, ""})
	}
	return nil
}

// remove removes an item that has some texts, and returns what it was, nil if there
// is no such item.
func (s *Store) remove(ctx context.Context, at place, has texts) (texts, error) {
	if !at.possible() {
		return nil, nil
	}
	c := call{"DeleteItem", at.table, ""}
	e := &expression{}
	e.equal(at.key)
	e.equal(has)
	out, err := s.api.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName: &at.table, Key: at.key.item(), ConditionExpression: e.condition(), ExpressionAttributeNames: e.names,
		ExpressionAttributeValues: e.values, ReturnValues: types.ReturnValueAllOld,
	})
	if isRefused(err) {
		return nil, nil
	}
	if err != nil {
		return nil, explain(ctx, err, c)
	}
	return textsOf(out.Attributes, c)
}

// isRefused tells whether a condition did not hold.
func isRefused(err error) bool {
	_, ok := errors.AsType[*types.ConditionalCheckFailedException](err)
	return ok
}

// write stores next in the place of what was read, nil for nothing, and tells
// whether that was still so. next gets a mark of its own: a write whose answer was
// lost is made once more by the SDK, and refused for what it has itself stored.
func (s *Store) write(ctx context.Context, at place, was, next texts) (bool, error) {
	next = maps.Clone(next)
	maps.Copy(next, at.key)
	next[changeName] = random()
	var err error
	operation := "UpdateItem"
	if was == nil {
		operation, err = "PutItem", s.insert(ctx, at, next)
	} else {
		err = s.update(ctx, at, was, next)
	}
	if err == nil {
		return true, nil
	}
	if !isRefused(err) {
		return false, explain(ctx, err, call{operation, at.table, ""})
	}
	now, err := s.get(ctx, at)
	return now[changeName] == next[changeName], err
}

func (s *Store) insert(ctx context.Context, at place, next texts) error {
	e := &expression{}
	e.absent(slices.Sorted(maps.Keys(at.key))...)
	_, err := s.api.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &at.table, Item: next.item(), ConditionExpression: e.condition(), ExpressionAttributeNames: e.names,
	})
	return err
}

func (s *Store) update(ctx context.Context, at place, was, next texts) error {
	e := &expression{}
	e.equal(was)
	var sets, removals []string
	for _, name := range slices.Concat(known, suffixed(known)) {
		before, stored := was[name]
		after, wanted := next[name]
		if !stored {
			e.absent(name)
		}
		switch {
		case wanted && (!stored || before != after):
			sets = append(sets, e.name(name)+" = "+e.value(text(after)))
		case stored && !wanted:
			removals = append(removals, e.name(name))
		}
	}
	change := "SET " + strings.Join(sets, ", ") // never nothing: the mark is new
	if len(removals) > 0 {
		change += " REMOVE " + strings.Join(removals, ", ")
	}
	_, err := s.api.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &at.table, Key: at.key.item(), UpdateExpression: &change, ConditionExpression: e.condition(),
		ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values,
	})
	return err
}

func suffixed(names []string) (all []string) {
	for _, name := range names {
		if !slices.Contains(fixed, name) {
			all = append(all, name+piecesOf)
		}
	}
	return all
}

// expression is a condition in the language of DynamoDB, in which names and values
// stand apart from the text.
type expression struct {
	terms  []string
	names  map[string]string
	values map[string]types.AttributeValue
}

func (e *expression) name(name string) string {
	if e.names == nil {
		e.names = map[string]string{}
	}
	for short, long := range e.names {
		if long == name {
			return short
		}
	}
	short := "#" + strconv.Itoa(len(e.names))
	e.names[short] = name
	return short
}

func (e *expression) value(value types.AttributeValue) string {
	if e.values == nil {
		e.values = map[string]types.AttributeValue{}
	}
	short := ":" + strconv.Itoa(len(e.values))
	e.values[short] = value
	return short
}

func (e *expression) equal(t texts) {
	for _, name := range slices.Sorted(maps.Keys(t)) {
		e.terms = append(e.terms, e.name(name)+" = "+e.value(text(t[name])))
	}
}

func (e *expression) absent(names ...string) {
	for _, name := range names {
		e.terms = append(e.terms, "attribute_not_exists("+e.name(name)+")")
	}
}

func (e *expression) condition() *string { return aws.String(strings.Join(e.terms, " AND ")) }
