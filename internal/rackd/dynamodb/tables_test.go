package dynamodb_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/convox-ci/convox-ci/internal/rackd/dynamodb"
)

// The tables are those that a v2 Rack has of its template.
func TestInit(t *testing.T) {
	l := newLab(t)
	ctx := t.Context()
	_, err := dynamodb.Open(ctx, dynamodb.Options{Config: l.config(), Tables: l.tables, Seal: l.seal})
	if fault, ok := errors.AsType[*dynamodb.Error](err); !ok || !errors.Is(err, dynamodb.ErrNoTable) || fault.Table != l.tables.Builds {
		t.Errorf("open of tables that are not there: %v", err)
	}
	for range 2 {
		must(t, dynamodb.Init(ctx, l.config(), l.tables))
	}
	for table, want := range map[string]string{
		l.tables.Builds:   "id HASH, app.created app HASH created RANGE ALL",
		l.tables.Releases: "id HASH, app.created app HASH created RANGE ALL",
		l.tables.Records:  "part HASH name RANGE",
	} {
		out := must2(l.api().DescribeTable(ctx, &sdk.DescribeTableInput{TableName: &table}))(t).Table
		got := keysIn(out.KeySchema)
		for _, x := range out.GlobalSecondaryIndexes {
			got += ", " + *x.IndexName + " " + keysIn(x.KeySchema) + " " + string(x.Projection.ProjectionType)
		}
		if got != want {
			t.Errorf("%s is %s, want %s", table, got, want)
		}
		if out.BillingModeSummary == nil || out.BillingModeSummary.BillingMode != types.BillingModePayPerRequest {
			t.Errorf("%s is paid by %v", table, out.BillingModeSummary)
		}
		if slices.ContainsFunc(out.AttributeDefinitions, func(d types.AttributeDefinition) bool { return d.AttributeType != types.ScalarAttributeTypeS }) {
			t.Errorf("keys of %s are %v", table, out.AttributeDefinitions)
		}
	}
	l.open(t)
	if want := dynamodb.TablesOf("rack"); want != (dynamodb.Tables{Builds: "rack-builds", Releases: "rack-releases", Records: "rack-records"}) {
		t.Errorf("names are %v", want)
	}
}

func keysIn(schema []types.KeySchemaElement) string {
	var words []string
	for _, k := range schema {
		words = append(words, *k.AttributeName, string(k.KeyType))
	}
	return strings.Join(words, " ")
}

// otherTable makes a table that is not ours.
func otherTable(t *testing.T, l *lab, name string, keys map[string]types.ScalarAttributeType, index ...types.GlobalSecondaryIndex) {
	t.Helper()
	in := &sdk.CreateTableInput{TableName: &name, BillingMode: types.BillingModePayPerRequest, KeySchema: hash("id"), GlobalSecondaryIndexes: index}
	for key, kind := range keys {
		in.AttributeDefinitions = append(in.AttributeDefinitions, types.AttributeDefinition{AttributeName: &key, AttributeType: kind})
	}
	_, err := l.api().CreateTable(t.Context(), in)
	must(t, err)
}

func hash(key string, ranges ...string) []types.KeySchemaElement {
	all := []types.KeySchemaElement{{AttributeName: &key, KeyType: types.KeyTypeHash}}
	for _, r := range ranges {
		all = append(all, types.KeySchemaElement{AttributeName: &r, KeyType: types.KeyTypeRange})
	}
	return all
}

func TestOtherTablesAreRefused(t *testing.T) {
	const s, n = types.ScalarAttributeTypeS, types.ScalarAttributeTypeN
	const wants = "the index app.created by app (S), created (S) with all attributes is needed: name another table"
	index := func(kind types.ProjectionType, keys ...types.KeySchemaElement) types.GlobalSecondaryIndex {
		return types.GlobalSecondaryIndex{IndexName: aws.String("app.created"), KeySchema: keys, Projection: &types.Projection{ProjectionType: kind}}
	}
	for name, test := range map[string]struct {
		make func(l *lab, name string)
		want string
	}{
		"numbers": {func(l *lab, name string) { otherTable(t, l, name, map[string]types.ScalarAttributeType{"id": n}) },
			"the key id (N), and id (S) is needed: name another table"},
		"no index": {func(l *lab, name string) { otherTable(t, l, name, map[string]types.ScalarAttributeType{"id": s}) },
			"no index app.created, and " + wants},
		"another index": {func(l *lab, name string) {
			otherTable(t, l, name, map[string]types.ScalarAttributeType{"id": s, "app": s}, index(types.ProjectionTypeAll, hash("app")...))
		}, "the index app.created by app (S), and " + wants},
		"an index of keys": {func(l *lab, name string) {
			otherTable(t, l, name, map[string]types.ScalarAttributeType{"id": s, "app": s, "created": s}, index(types.ProjectionTypeKeysOnly, hash("app", "created")...))
		}, "the index app.created without all attributes, and " + wants},
	} {
		l := newLab(t)
		test.make(l, l.tables.Releases)
		want := "the table " + l.tables.Releases + " of DynamoDB has " + test.want
		if err := dynamodb.Init(t.Context(), l.config(), l.tables); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
		if _, err := l.api().DescribeTable(t.Context(), &sdk.DescribeTableInput{TableName: &l.tables.Builds}); err == nil {
			t.Errorf("%s: other tables were made all the same", name)
		}
		l.tables.Builds = l.tables.Releases
		if _, err := dynamodb.Open(t.Context(), dynamodb.Options{Config: l.config(), Tables: l.tables, Seal: l.seal}); err == nil || err.Error() != want {
			t.Errorf("%s: open: %v", name, err)
		}
	}
}

// Two may make the tables at once.
func TestInitOfTwo(t *testing.T) {
	l := newLab(t)
	once := false
	l.fault = func(operation string) error {
		if operation == "CreateTable" && !once {
			once = true
			return dynamodb.Init(context.Background(), func() aws.Config { c := l.config(); c.APIOptions = nil; return c }(), l.tables)
		}
		return nil
	}
	must(t, dynamodb.Init(t.Context(), l.config(), l.tables))
	if !once {
		t.Error("no table was made")
	}
}

// The calls that are made are those that a policy has to allow, each of them where it
// has to.
func TestPermissions(t *testing.T) {
	l := newLab(t).init(t)
	s := l.open(t)
	ctx := t.Context()
	for range 2 {
		fillRack(t, s.Stores())
		fillLong(t, s.Stores())
		fillBuilds(t, s.Stores())
		b := must2(s.ListBuilds(ctx, "web", 0))(t)
		next := b[0]
		next.Status = "running"
		must(t, s.SwapBuild(ctx, b[0], next))
		must(t, s.DropBuild(ctx, next))
		read(t, s, 0)
		must(t, errors.Join(s.ForgetBuild(ctx, next), s.RemoveBuilds(ctx, "web"), s.RemoveReleases(ctx, "web"), s.RemoveApp(ctx, "web"), s.RemoveRegistry(ctx, "a.example")))
	}
	var want []string
	index := "/index/app.created"
	on := map[string][]string{dynamodb.OnBuilds: {l.tables.Builds}, dynamodb.OnReleases: {l.tables.Releases}, dynamodb.OnRecords: {l.tables.Records},
		dynamodb.OnIndexes: {l.tables.Builds + index, l.tables.Releases + index}}
	for _, p := range dynamodb.Permissions() {
		action, ok := strings.CutPrefix(p.Action, "dynamodb:")
		if !ok || p.For == "" {
			t.Errorf("permission %+v", p)
		}
		for _, o := range p.On {
			for _, table := range on[o] {
				want = append(want, action+" "+table)
			}
		}
	}
	for _, w := range want {
		if !l.calls[w] {
			t.Errorf("%s is allowed and not used", w)
		}
		delete(l.calls, w)
	}
	for c := range l.calls {
		t.Errorf("%s is used and not allowed", c)
	}
}
