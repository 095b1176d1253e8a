package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// createdIndex is the index by which a v2 Rack lists, and its keys.
const createdIndex = "app.created"

// table is a table and its keys, all of which are texts: that of the items, and
// with it one that they are in order by.
type table struct {
	name   string
	keys   []string
	listed bool // it has createdIndex
}

func (t Tables) all() []table {
	return []table{
		{t.Builds, []string{"id"}, true},
		{t.Releases, []string{"id"}, true},
		{t.Records, []string{"part", "name"}, false},
	}
}

// TableError says that a table is not what it has to be.
type TableError struct {
	Table string
	Has   string // what it has
	Wants string // what it has to have
}

func (e *TableError) Error() string {
	return fmt.Sprintf("the table %s of DynamoDB has %s, and %s is needed: name another table", e.Table, e.Has, e.Wants)
}

func (t table) describe(ctx context.Context, api *dynamodb.Client) (*types.TableDescription, error) {
	out, err := api.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &t.name})
	if err != nil {
		return nil, explain(ctx, err, call{"DescribeTable", t.name, ""})
	}
	return out.Table, nil
}

// check compares a table that is there with what it has to be. It may have more
// indexes.
func (t table) check(there *types.TableDescription) error {
	if has, wants := keysIn(there.KeySchema, there.AttributeDefinitions), keysOf(t.keys); has != wants {
		return &TableError{t.name, "the key " + has, wants}
	}
	if !t.listed {
		return nil
	}
	wants := "the index " + createdIndex + " by " + keysOf(createdKeys()) + " with all attributes"
	i := slices.IndexFunc(there.GlobalSecondaryIndexes, func(x types.GlobalSecondaryIndexDescription) bool {
		return aws.ToString(x.IndexName) == createdIndex
	})
	if i < 0 {
		return &TableError{t.name, "no index " + createdIndex, wants}
	}
	index := there.GlobalSecondaryIndexes[i]
	if has := keysIn(index.KeySchema, there.AttributeDefinitions); has != keysOf(createdKeys()) {
		return &TableError{t.name, "the index " + createdIndex + " by " + has, wants}
	}
	if index.Projection == nil || index.Projection.ProjectionType != types.ProjectionTypeAll {
		return &TableError{t.name, "the index " + createdIndex + " without all attributes", wants}
	}
	return nil
}

func createdKeys() []string { return strings.Split(createdIndex, ".") }

// keysOf names keys that are texts, keysIn those of a table that is there.
func keysOf(keys []string) string {
	var words []string
	for _, key := range keys {
		words = append(words, key+" (S)")
	}
	return strings.Join(words, ", ")
}

func keysIn(schema []types.KeySchemaElement, kinds []types.AttributeDefinition) string {
	slices.SortStableFunc(schema, func(a, b types.KeySchemaElement) int { return strings.Compare(string(a.KeyType), string(b.KeyType)) }) // HASH, RANGE
	var words []string
	for _, key := range schema {
		kind := "?"
		for _, k := range kinds {
			if aws.ToString(k.AttributeName) == aws.ToString(key.AttributeName) {
				kind = string(k.AttributeType)
			}
		}
		words = append(words, aws.ToString(key.AttributeName)+" ("+kind+")")
	}
	return strings.Join(words, ", ")
}

// create makes the table as a v2 Rack does. Another may be as fast.
func (t table) create(ctx context.Context, api *dynamodb.Client) error {
	in := &dynamodb.CreateTableInput{TableName: &t.name, BillingMode: types.BillingModePayPerRequest, KeySchema: schema(t.keys)}
	keys := t.keys
	if t.listed {
		keys = slices.Concat(keys, createdKeys())
		name := createdIndex
		in.GlobalSecondaryIndexes = []types.GlobalSecondaryIndex{{
			IndexName: &name, KeySchema: schema(createdKeys()), Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll},
		}}
	}
	for _, key := range keys {
		in.AttributeDefinitions = append(in.AttributeDefinitions, types.AttributeDefinition{AttributeName: &key, AttributeType: types.ScalarAttributeTypeS})
	}
	_, err := api.CreateTable(ctx, in)
	if _, there := errors.AsType[*types.ResourceInUseException](err); there || err == nil {
		return nil
	}
	return explain(ctx, err, call{"CreateTable", t.name, ""})
}

func schema(keys []string) []types.KeySchemaElement {
	kinds := []types.KeyType{types.KeyTypeHash, types.KeyTypeRange}
	var all []types.KeySchemaElement
	for i, key := range keys {
		all = append(all, types.KeySchemaElement{AttributeName: &key, KeyType: kinds[i]})
	}
	return all
}

const (
	// readyTimeout is how long a new table may take; it is seconds as a rule.
	readyTimeout = 5 * time.Minute
	// readyPoll is the time between two looks at it.
	readyPoll = 2 * time.Second
)

// wait returns when the table can be used, if it is what it has to be.
func (t table) wait(ctx context.Context, api *dynamodb.Client) error {
	ready := dynamodb.NewTableExistsWaiter(api, func(o *dynamodb.TableExistsWaiterOptions) {
		o.MinDelay, o.MaxDelay = readyPoll, readyPoll
	})
	out, err := ready.WaitForOutput(ctx, &dynamodb.DescribeTableInput{TableName: &t.name}, readyTimeout)
	if err != nil {
		return explain(ctx, err, call{"DescribeTable", t.name, ""})
	}
	return t.check(out.Table)
}
