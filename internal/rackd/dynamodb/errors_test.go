package dynamodb_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd/dynamodb"
)

// What AWS refuses is told in a sentence that names the table and what to do.
func TestErrors(t *testing.T) {
	for name, test := range map[string]struct {
		code, message string
		kind          error
		want          string // T stands for the table
	}{
		"no permission": {"AccessDeniedException",
			"User: arn:aws:sts::123:assumed-role/ci/x is not authorized to perform: dynamodb:GetItem on resource: arn:aws:dynamodb:eu-central-1:123:table/T because no policy allows it",
			dynamodb.ErrDenied, "DynamoDB: access denied: grant dynamodb:GetItem on the table T to arn:aws:sts::123:assumed-role/ci/x"},
		"no permission, in other words": {"AccessDeniedException", "no", dynamodb.ErrDenied, "DynamoDB: access denied: grant dynamodb:GetItem on the table T"},
		"a key that is none": {"UnrecognizedClientException", "The security token included in the request is invalid.", dynamodb.ErrNoCredentials,
			"DynamoDB: no credentials of AWS (dynamodb:GetItem on the table T): UnrecognizedClientException"},
		"a wrong secret": {"InvalidSignatureException", "The Canonical String should have been 'x-amz-security-token:TOPSECRET'", dynamodb.ErrNoCredentials,
			"DynamoDB: no credentials of AWS (dynamodb:GetItem on the table T): InvalidSignatureException"},
		"an old token": {"ExpiredTokenException", "The security token included in the request is expired", dynamodb.ErrExpired,
			"DynamoDB: the credentials have expired (dynamodb:GetItem on the table T): The security token included in the request is expired"},
		"no table": {"ResourceNotFoundException", "Requested resource not found", dynamodb.ErrNoTable,
			"DynamoDB: no such table (dynamodb:GetItem on the table T): Requested resource not found"},
		"too often": {"ThrottlingException", "Rate of requests\nexceeds the allowed throughput.", dynamodb.ErrThrottled,
			"DynamoDB: asked for more than the table allows (dynamodb:GetItem on the table T): Rate of requests exceeds the allowed throughput."},
		"anything else": {"ValidationException", "One of the values is wrong", nil,
			"DynamoDB: the answer of DynamoDB is not expected (dynamodb:GetItem on the table T): ValidationException: One of the values is wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t).init(t)
			s := l.open(t)
			calls := 0
			l.reply = func(string, string) string {
				calls++
				data, err := json.Marshal(map[string]string{"__type": "com.amazonaws.dynamodb.v20120810#" + test.code, "message": test.message})
				must(t, err)
				return string(data)
			}
			_, err := s.Build(t.Context(), "web", "BA")
			want := strings.ReplaceAll(test.want, "T ", l.tables.Builds+" ")
			want = strings.ReplaceAll(want, "T)", l.tables.Builds+")")
			if strings.HasSuffix(want, " T") {
				want = strings.TrimSuffix(want, "T") + l.tables.Builds
			}
			if err == nil || err.Error() != want || test.kind != nil && !errors.Is(err, test.kind) {
				t.Errorf("error is\n%v, want\n%s", err, want)
			}
			if again := calls > 1; again != (test.kind == dynamodb.ErrThrottled) || calls > 10 {
				t.Errorf("it was asked %d times", calls)
			}
		})
	}
}

// Each call names itself and what it was made on.
func TestErrorsNameTheCall(t *testing.T) {
	l := newLab(t).init(t)
	s, ctx := l.open(t), t.Context()
	fillBuilds(t, s.Stores())
	seen := map[string]bool{}
	for name, do := range map[string]func() error{
		"swap": func() error {
			return s.SwapBuild(ctx, rack.Build{ID: "BA", App: "web", Started: at(1)}, rack.Build{ID: "BA", App: "web"})
		},
		"add":      func() error { return s.AddRelease(ctx, rack.Release{ID: "RX", App: "web"}) },
		"list":     func() error { _, err := s.ListBuilds(ctx, "web", 0); return err },
		"drop":     func() error { return s.DropBuild(ctx, rack.Build{ID: "BA", App: "web", Started: at(1)}) },
		"app":      func() error { _, err := s.App(ctx, "web"); return err },
		"apps":     func() error { _, err := s.ListApps(ctx); return err },
		"releases": func() error { return s.RemoveReleases(ctx, "web") },
		"init":     func() error { return dynamodb.Init(ctx, l.config(), l.tables) },
	} {
		for deny := range []int{0, 1, 2, 3, 4, 5, 6, 7, 8} {
			asked, n := "", 0
			l.reply = func(operation, request string) string {
				if n++; n <= deny {
					return ""
				}
				var to struct{ TableName, IndexName string }
				must(t, json.Unmarshal([]byte(request), &to))
				asked = "dynamodb:" + operation + " on the table " + to.TableName
				if to.IndexName != "" {
					asked = "dynamodb:" + operation + " on the index " + to.IndexName + " of the table " + to.TableName
				}
				return `{"__type": "#AccessDeniedException"}`
			}
			err := do()
			l.heal()
			if err != nil && asked != "" && err.Error() != "DynamoDB: access denied: grant "+asked {
				t.Errorf("%s: %v, asked was %s", name, err, asked)
			}
			seen[asked] = true
		}
	}
	if len(seen) < 12 {
		t.Errorf("only these calls failed: %v", seen)
	}
}

func TestNoCredentials(t *testing.T) {
	l := newLab(t)
	c := l.config()
	c.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{}, errors.New("no role is attached")
	})
	_, err := dynamodb.Open(t.Context(), dynamodb.Options{Config: c, Tables: l.tables, Seal: l.seal})
	want := "DynamoDB: no credentials of AWS (dynamodb:DescribeTable on the table " + l.tables.Builds + "): no role is attached"
	if !errors.Is(err, dynamodb.ErrNoCredentials) || err.Error() != want {
		t.Errorf("error is %v, want %s", err, want)
	}
	c = l.config()
	c.BaseEndpoint = aws.String("http://127.0.0.1:1")
	if err := dynamodb.Init(t.Context(), c, l.tables); err == nil || !strings.HasPrefix(err.Error(), "DynamoDB cannot be asked (dynamodb:DescribeTable on the table "+l.tables.Builds+"): ") {
		t.Errorf("nobody listens: %v", err)
	}
	gone := errors.New("the build was cancelled")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	if err := dynamodb.Init(ctx, l.config(), l.tables); !errors.Is(err, gone) {
		t.Errorf("cancelled: %v", err)
	}
}

// What something else has stored wrong is told with its place, and never waited for.
func TestDamage(t *testing.T) {
	l := newLab(t).init(t)
	s, ctx := l.open(t), t.Context()
	fillRack(t, s.Stores())
	fillLong(t, s.Stores())
	change := func(table string, key map[string]string, name string, value types.AttributeValue) {
		t.Helper()
		in := &sdk.UpdateItemInput{TableName: &table, Key: map[string]types.AttributeValue{}, UpdateExpression: aws.String("SET #n = :v"),
			ExpressionAttributeNames: map[string]string{"#n": name}, ExpressionAttributeValues: map[string]types.AttributeValue{":v": value}}
		for k, v := range key {
			in.Key[k] = &types.AttributeValueMemberS{Value: v}
		}
		_, err := l.api().UpdateItem(ctx, in)
		must(t, err)
	}
	check := func(err error, want string) {
		t.Helper()
		if !errors.Is(err, dynamodb.ErrDamaged) || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want one with %s", err, want)
		}
	}
	change(l.tables.Builds, map[string]string{"id": "BL"}, "manifest-pieces", &types.AttributeValueMemberS{Value: "nowhere/2"})
	_, err := s.Build(ctx, "web", "BL")
	check(err, `pieces of a text of "BL" in the table `+l.tables.Builds+" are missing")
	change(l.tables.Builds, map[string]string{"id": "BL"}, "reason", &types.AttributeValueMemberN{Value: "1"})
	_, err = s.ListBuilds(ctx, "web", 0)
	check(err, "its attribute reason is no text")
	change(l.tables.Records, map[string]string{"part": "rack", "name": "parameters"}, "record", &types.AttributeValueMemberS{Value: "{"})
	_, err = s.Parameters(ctx)
	check(err, `the record of "rack parameters" in the table `+l.tables.Records)
	change(l.tables.Records, map[string]string{"part": "registries", "name": "x"}, "sealed", &types.AttributeValueMemberS{Value: "{}"})
	_, err = s.ListRegistries(ctx)
	check(err, "has no sealed credentials")
	change(l.tables.Records, map[string]string{"part": "trash", "name": "x"}, "app", &types.AttributeValueMemberS{Value: "web"})
	_, err = s.Dropped(ctx)
	check(err, `"trash x" in the table`)
	// Of what cannot be there nothing is asked.
	for _, id := range []string{"", strings.Repeat("B", 3000)} {
		for what, err := range map[string]error{
			"build":             must3(s.Build(ctx, "web", id)),
			"release":           must3(s.Release(ctx, "web", id)),
			"release of no app": must3(s.Release(ctx, id, "RL")),
			"app":               must3(s.App(ctx, id)),
		} {
			if !errors.Is(err, rack.ErrNotFound) {
				t.Errorf("%s %.10q: %v", what, id, err)
			}
		}
		if all, err := s.ListReleases(ctx, id, 0); err != nil || len(all) > 0 {
			t.Errorf("releases of %.10q: %v, %v", id, all, err)
		}
	}
}

func must3[T any](_ T, err error) error { return err }
