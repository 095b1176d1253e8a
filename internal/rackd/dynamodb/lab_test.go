package dynamodb_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/smithy-go/middleware"

	"github.com/convox-ci/convox-ci/internal/rackd/dynamodb"
	"github.com/convox-ci/convox-ci/internal/rackd/vault"
)

// outside names another DynamoDB to run the tests against than dynalite.
const outside = "CONVOX_CI_TEST_DYNAMODB"

// endpoint is where the DynamoDB of the tests listens.
var endpoint string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

// run has one dynalite for all tests. It stands for DynamoDB, checks what that
// checks, and has no transactions.
func run(m *testing.M) int {
	if endpoint = os.Getenv(outside); endpoint != "" {
		return m.Run()
	}
	module, err := filepath.Abs("../../../bin/tools/dynalite/node_modules/dynalite")
	if err != nil {
		panic(err)
	}
	const program = `const server = require(process.argv[1])({createTableMs: 0, deleteTableMs: 0})
server.listen(0, "127.0.0.1", () => console.log(server.address().port))
process.stdin.on("end", () => process.exit()).resume()` // it does not outlive the tests
	cmd := exec.Command("node", "-e", program, module)
	cmd.Stderr = os.Stderr
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		fmt.Fprintln(os.Stderr, "dynalite does not start; scripts/need dynalite installs it:", err)
		return 1
	}
	defer cmd.Wait()
	defer in.Close()
	port, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		fmt.Fprintln(os.Stderr, "dynalite does not start; scripts/need dynalite installs it:", err)
		return 1
	}
	endpoint = "http://127.0.0.1:" + strings.TrimSpace(port)
	return m.Run()
}

// lab is a rack's tables, and what was asked about them.
type lab struct {
	tables dynamodb.Tables
	seal   dynamodb.Sealer

	mu    sync.Mutex
	calls map[string]bool // operation and table or index
	fault func(operation string) error
	lose  func(operation string) bool            // of the answer
	reply func(operation, request string) string // in the place of DynamoDB; "" leaves it to that
	late  bool                                   // the index shows nothing yet
}

var errKilled = errors.New("the process was killed")

// newLab has names that no other test has.
func newLab(t *testing.T) *lab {
	t.Helper()
	name := strings.NewReplacer("/", "-", ",", "", "#", "").Replace(t.Name())
	l := &lab{tables: dynamodb.TablesOf(fmt.Sprintf("%.60s-%d", name, time.Now().UnixNano())), seal: vault.Key{1, 2, 3}, calls: map[string]bool{}}
	return l
}

// init makes the tables.
func (l *lab) init(t *testing.T) *lab {
	t.Helper()
	if err := dynamodb.Init(t.Context(), l.config(), l.tables); err != nil {
		t.Fatal(err)
	}
	return l
}

// config is what a process has that uses the lab.
func (l *lab) config() aws.Config {
	return aws.Config{
		Region: "eu-central-1", BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider("key", "secret", ""),
		HTTPClient: l,
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
			})
		},
		APIOptions: []func(*middleware.Stack) error{func(stack *middleware.Stack) error {
			return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("lab", l.watch), middleware.After)
		}},
	}
}

// watch notes a call, or has it fail before it is made.
func (l *lab) watch(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
	operation := middleware.GetOperationName(ctx)
	v := reflect.ValueOf(in.Parameters).Elem()
	on := *v.FieldByName("TableName").Interface().(*string)
	if f := v.FieldByName("IndexName"); f.IsValid() && !f.IsNil() {
		on += "/index/" + f.Elem().String()
	}
	l.mu.Lock()
	l.calls[operation+" "+on] = true
	fault := l.fault
	l.mu.Unlock()
	if fault != nil {
		if err := fault(operation); err != nil {
			return middleware.InitializeOutput{}, middleware.Metadata{}, err
		}
	}
	return next.HandleInitialize(ctx, in)
}

// Do loses the answers that are to be lost, after they were given.
func (l *lab) Do(r *http.Request) (*http.Response, error) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	l.mu.Lock()
	lose, reply := l.lose, l.reply
	l.mu.Unlock()
	if reply != nil || l.late {
		request, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		text := ""
		if reply != nil {
			text = reply(operation, string(request))
		}
		if l.late && text == "" && strings.Contains(string(request), `"IndexName"`) {
			text = `{"Items": [], "Count": 0, "ScannedCount": 0}`
		}
		if text != "" {
			status := http.StatusOK
			if strings.Contains(text, "__type") {
				status = http.StatusBadRequest
			}
			return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text)), Request: r}, nil
		}
		r.Body = io.NopCloser(strings.NewReader(string(request)))
	}
	answer, err := http.DefaultClient.Do(r)
	if err == nil && lose != nil && lose(operation) {
		answer.Body.Close()
		return nil, errors.New("connection reset by peer")
	}
	return answer, err
}

// open opens the records as a new process does.
func (l *lab) open(t *testing.T) *dynamodb.Store {
	t.Helper()
	s, err := dynamodb.Open(t.Context(), dynamodb.Options{Config: l.config(), Tables: l.tables, Seal: l.seal})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// api is the SDK, for what others do with the tables.
func (l *lab) api() *sdk.Client {
	c := l.config()
	c.APIOptions, c.HTTPClient = nil, nil
	return sdk.NewFromConfig(c)
}

// killAfter has all writes fail after the first n, as those of a killed process.
func (l *lab) killAfter(n int) {
	writes := 0
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault = func(operation string) error {
		if operation != "PutItem" && operation != "UpdateItem" && operation != "DeleteItem" {
			return nil
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if writes++; writes > n {
			return errKilled
		}
		return nil
	}
}

// heal lets all calls pass.
func (l *lab) heal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault, l.lose, l.reply = nil, nil, nil
}
