//go:build !carrier

package app

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/convox-ci/convox-ci/internal/estate/estatetest"
	"github.com/convox-ci/convox-ci/internal/registry/ecr/ecrtest"
)

const (
	repoARN  = "arn:aws:ecr:us-east-1:123456789012:repository/office/web"
	stackARN = "arn:aws:cloudformation:us-east-1:123456789012:stack/"
)

// faultRow is a row of the table of faults.
type faultRow struct {
	name   string
	meets  []hurdle
	set    func(l *faultsLab) (unset func()) // what the stand-ins are told beside that; nil for nothing
	status int
	want   string   // the error, all of it; "" for none
	says   []string // what the lines are that begin with WARNING or tell of a new try
	became string
}

func deniedAt(action, on string, call string, a func(string, string) answer) faultRow {
	return faultRow{name: "denied " + call, meets: []hurdle{{call: call, answer: a("AccessDeniedException", denies(action, on))}}}
}

func json400(code, message string) answer { return inJSON(http.StatusBadRequest, code, message) }
func query403(_, message string) answer {
	return inQuery(http.StatusForbidden, "AccessDenied", message)
}
func registry403(_, message string) answer {
	return byRegistry(http.StatusForbidden, "DENIED", message)
}
func xml403(_, message string) answer { return inXML(http.StatusForbidden, "AccessDenied", message) }

// faultRows is the table.
func faultRows(l *faultsLab) []faultRow {
	rows := []faultRow{
		{name: "none"},
		deniedAt("cloudformation:DescribeStacks", stackARN+"office/*", "cloudformation:DescribeStacks office", query403),
		deniedAt("cloudformation:DescribeStacks", stackARN+"office-web/*", "cloudformation:DescribeStacks office-web", query403),
		deniedAt("cloudformation:ListStackResources", stackARN+"office-web/*", "cloudformation:ListStackResources", query403),
		deniedAt("kms:GenerateDataKey", l.key, "kms:GenerateDataKey", json400),
		deniedAt("kms:Decrypt", l.key, "kms:Decrypt", json400),
		deniedAt("ecr:GetAuthorizationToken", "*", "ecr:GetAuthorizationToken", json400),
		deniedAt("dynamodb:Query", "x", "dynamodb:Query app.created", inDynamo),
		deniedAt("dynamodb:GetItem", "x", "dynamodb:GetItem office-releases", inDynamo),
		deniedAt("dynamodb:GetItem", "x", "dynamodb:GetItem office-builds", inDynamo),
		deniedAt("dynamodb:PutItem", "x", "dynamodb:PutItem office-builds", inDynamo),
		deniedAt("dynamodb:PutItem", "x", "dynamodb:PutItem office-releases", inDynamo),
		deniedAt("dynamodb:UpdateItem", "x", "dynamodb:UpdateItem office-builds", inDynamo),
		deniedAt("s3:GetObject", `"arn:aws:s3:::`+appBucket+`/releases/R/env"`, "s3:GetObject releases/", xml403),
		deniedAt("s3:PutObject", `"arn:aws:s3:::`+appBucket+`/releases/R/env"`, "s3:PutObject releases/", xml403),
		deniedAt("s3:PutObject", `"arn:aws:s3:::`+appBucket+`/build/B/logs"`, "s3:PutObject build/", xml403),
		deniedAt("s3:ListBucket", `"arn:aws:s3:::`+rackBucket+`"`, "s3:ListBucket", xml403),
		deniedAt("sns:Publish", l.topic, "sns:Publish", func(_, m string) answer { return inQuery(403, "AuthorizationError", m) }),
	}
	for _, action := range strings.Fields("BatchCheckLayerAvailability InitiateLayerUpload UploadLayerPart CompleteLayerUpload PutImage") {
		rows = append(rows, deniedAt("ecr:"+action, repoARN, "ecr:"+action, registry403))
	}
	rows = append(rows, deniedAt("kms:GenerateDataKey", l.key, "s3:PutObject build/", xml403))
	rows[len(rows)-1].name = "bucket key"
	const expired = "The security token included in the request is expired"
	all := func(after int) []hurdle {
		return []hurdle{{call: "cloudformation:", answer: inQuery(403, "ExpiredToken", expired)}, {call: "kms:", answer: json400("ExpiredTokenException", expired)},
			{call: "dynamodb:", after: after, answer: inDynamo("ExpiredTokenException", expired)}, {call: "s3:", answer: inXML(400, "ExpiredToken", "The provided token has expired.")},
			{call: "sns:", answer: inQuery(403, "ExpiredToken", expired)}, {call: "ecr:GetAuthorizationToken", answer: json400("ExpiredTokenException", expired)}}
	}
	rows = append(rows,
		faultRow{name: "credentials expired", meets: all(0)},
		faultRow{name: "credentials expired kms", meets: []hurdle{{call: "kms:", answer: json400("ExpiredTokenException", expired)}}},
		faultRow{name: "credentials expired ecr", meets: []hurdle{{call: "ecr:GetAuthorizationToken", answer: json400("ExpiredTokenException", expired)}}},
		faultRow{name: "credentials expired s3", meets: []hurdle{{call: "s3:", answer: inXML(400, "ExpiredToken", "The provided token has expired.")}}},
		faultRow{name: "credentials expired dynamodb", meets: []hurdle{{call: "dynamodb:", answer: inDynamo("ExpiredTokenException", expired)}}},
		faultRow{name: "credentials expired later", meets: []hurdle{{call: "s3:PutObject", answer: inXML(400, "ExpiredToken", "The provided token has expired.")},
			{call: "dynamodb:", after: 5, answer: inDynamo("ExpiredTokenException", expired)}}},
		faultRow{name: "unknown key", meets: []hurdle{{call: "cloudformation:", answer: inQuery(403, "InvalidClientTokenId", "The security token included in the request is invalid.")}}},

		faultRow{name: "token expired", set: func(l *faultsLab) func() {
			gone := false
			l.within = func(call string) {
				if call == "ecr:UploadLayerPart" && !gone {
					gone = true
					time.Sleep(12 * time.Hour)
					l.ahead.Add(int64(12 * time.Hour))
				}
			}
			return func() { l.within = func(string) {}; l.ahead.Store(0) }
		}},
		faultRow{name: "token revoked", meets: []hurdle{{call: "ecr:PutImage", times: 1, answer: first(l.fake.Revoke)}}},
		faultRow{name: "token always expired", meets: []hurdle{{call: "ecr:PutImage", answer: byRegistry(403, "DENIED", "Your authorization token has expired. Reauthenticate and try again.")}}},
	)
	for service, a := range map[string]answer{"cloudformation:": inQuery(400, "Throttling", "Rate exceeded"), "kms:": json400("ThrottlingException", "Rate exceeded"),
		"dynamodb:": inDynamo("ProvisionedThroughputExceededException", "The level of configured provisioned throughput for the table was exceeded. Consider increasing your provisioning level with the UpdateTable API."),
		"s3:":       inXML(503, "SlowDown", "Please reduce your request rate."), "ecr:GetAuthorizationToken": json400("ThrottlingException", "Rate exceeded"), "ecr:InitiateLayerUpload": byRegistry(429, "TOOMANYREQUESTS", "Rate exceeded"),
		"sns:": inQuery(400, "Throttling", "Rate exceeded")} {
		for _, n := range []int{2, 0} {
			rows = append(rows, faultRow{name: fmt.Sprint("throttled ", n, service), meets: []hurdle{{call: service, times: n, answer: a}}})
		}
	}
	rows = append(rows, faultRow{name: "dynamo throttled at update", meets: []hurdle{{call: "dynamodb:UpdateItem", answer: inDynamo("ThrottlingException", "Throughput exceeds the current capacity of your table")}}})
	rows = append(rows, faultRow{name: "dynamo throttled later", meets: []hurdle{{call: "dynamodb:UpdateItem", after: 1, times: 10, answer: inDynamo("ThrottlingException", "Throughput exceeds the current capacity of your table")}}})
	for call, a := range map[string]answer{"cloudformation:": inQuery(503, "ServiceUnavailable", "Service is unable to handle request."), "kms:": inJSON(500, "KMSInternalException", "x"), "dynamodb:": inDynamo("InternalServerError", "Internal server error"),
		"s3:": inXML(500, "InternalError", "We encountered an internal error. Please try again."), "ecr:GetAuthorizationToken": inJSON(500, "ServerException", "x"), "ecr:PutImage": byRegistry(503, "", ""), "ecr:UploadLayerPart": byRegistry(502, "", "")} {
		for _, n := range []int{1, 0} {
			rows = append(rows, faultRow{name: fmt.Sprint("5xx ", n, call), meets: []hurdle{{call: call, times: n, answer: a}}})
		}
	}
	immutable := func(l *faultsLab) func() {
		l.fake.Make("office/fixed", true)
		side := l.appStack()
		side.Resources = [][2]string{{"Settings", appBucket}, {"Registry", "office/fixed"}}
		l.stacks.Put(side)
		return func() { l.stacks.Put(l.appStack()) }
	}
	rows = append(rows,
		faultRow{name: "lost put image", meets: []hurdle{{call: "ecr:PutImage", times: 1, answer: lost}}},
		faultRow{name: "lost put image immutable", set: immutable, meets: []hurdle{{call: "ecr:PutImage", times: 1, answer: lost}}},
		faultRow{name: "immutable", meets: []hurdle{{call: "ecr:PutImage", answer: byRegistry(400, "TAG_INVALID", "The image tag 'web.B' already exists in the 'office/web' repository and cannot be overwritten because the tag is immutable.")}}},
		faultRow{name: "no repository", set: func(l *faultsLab) func() {
			side := l.appStack()
			side.Resources = [][2]string{{"Settings", appBucket}, {"Registry", "office/gone"}}
			l.stacks.Put(side)
			return func() { l.stacks.Put(l.appStack()) }
		}},
		faultRow{name: "region", set: func(l *faultsLab) func() {
			l.s3.Make(appBucket, "eu-west-1", true)
			return func() { l.s3.Make(appBucket, ecrtest.Region, true) }
		}},
		faultRow{name: "region of rack bucket", set: func(l *faultsLab) func() {
			l.s3.Make(rackBucket, "eu-west-1", true)
			return func() { l.s3.Make(rackBucket, ecrtest.Region, true) }
		}},
		faultRow{name: "no stack", meets: []hurdle{{call: "cloudformation:DescribeStacks", answer: inQuery(400, "ValidationError", "Stack with id office does not exist")}}},
		faultRow{name: "no app stack", meets: []hurdle{{call: "cloudformation:DescribeStacks office-web", answer: inQuery(400, "ValidationError", "Stack with id office-web does not exist")}}},
		faultRow{name: "bucket gone", meets: []hurdle{{call: "s3:", answer: inXML(404, "NoSuchBucket", "The specified bucket does not exist")}}},
		faultRow{name: "bucket gone later", meets: []hurdle{{call: "s3:PutObject", answer: inXML(404, "NoSuchBucket", "The specified bucket does not exist")}}},
		faultRow{name: "bucket gone even later", meets: []hurdle{{call: "s3:PutObject releases/", answer: inXML(404, "NoSuchBucket", "The specified bucket does not exist")}}},
		faultRow{name: "table gone", meets: []hurdle{{call: "dynamodb:", answer: inDynamo("ResourceNotFoundException", "Requested resource not found")}}},
		faultRow{name: "builds table gone", meets: []hurdle{{call: "dynamodb:PutItem office-builds", answer: inDynamo("ResourceNotFoundException", "Requested resource not found")}}},
		faultRow{name: "releases table gone later", meets: []hurdle{{call: "dynamodb:PutItem office-releases", answer: inDynamo("ResourceNotFoundException", "Requested resource not found")}}},
		faultRow{name: "key gone", meets: []hurdle{{call: "kms:", answer: json400("NotFoundException", "Key 'arn:aws:kms:us-east-1:123456789012:key/x' does not exist")}}},
		faultRow{name: "key disabled", set: func(l *faultsLab) func() { l.kms.Disable(l.key, true); return func() { l.kms.Disable(l.key, false) } }},
		faultRow{name: "key disabled later", meets: []hurdle{{call: "kms:GenerateDataKey", after: 1, answer: json400("DisabledException", "arn is disabled.")}}},
		faultRow{name: "condition build", meets: []hurdle{{call: "dynamodb:PutItem office-builds", times: 1, answer: inDynamo("ConditionalCheckFailedException", "The conditional request failed")}}},
		faultRow{name: "condition update", meets: []hurdle{{call: "dynamodb:UpdateItem", times: 1, answer: inDynamo("ConditionalCheckFailedException", "The conditional request failed")}}},
		faultRow{name: "condition update always", meets: []hurdle{{call: "dynamodb:UpdateItem", answer: inDynamo("ConditionalCheckFailedException", "The conditional request failed")}}},
		faultRow{name: "condition release", meets: []hurdle{{call: "dynamodb:PutItem office-releases", times: 1, answer: inDynamo("ConditionalCheckFailedException", "The conditional request failed")}}},
	)
	for _, call := range strings.Fields("dynamodb:PutItem dynamodb:UpdateItem s3:PutObject ecr:InitiateLayerUpload ecr:CompleteLayerUpload kms:GenerateDataKey") {
		rows = append(rows, faultRow{name: "lost " + call, meets: []hurdle{{call: call, times: 1, answer: lost}}})
	}
	_ = estatetest.User
	return rows
}

func TestAWSFaults(t *testing.T) {
	l := newFaultsLab(t)
	d := l.deliver(t)
	digest := l.fake.Digest(appRepo, "web."+d.build)
	for _, row := range faultRows(l) {
		t.Run(row.name, func(t *testing.T) {
			l.meet(row.meets...)
			unset := func() {}
			if row.set != nil {
				unset = row.set(l)
			}
			begun := time.Now()
			d := l.deliver(t)
			unmet := l.unmet()
			l.meet()
			became := l.became(d, digest)
			unset()
			fmt.Printf("### %s: %d %s %v %v\n    %v\n", row.name, d.status, became, unmet, time.Since(begun).Round(time.Millisecond), l.plain(fmt.Sprint(d.err), d))
			for line := range strings.Lines(l.plain(d.printed, d)) {
				if strings.HasPrefix(line, "WARN") || strings.Contains(line, "trying again") || strings.Contains(line, "could not") || strings.Contains(line, "complete on") {
					fmt.Print("    > ", line)
				}
			}
		})
	}
}
