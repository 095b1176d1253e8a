//go:build !carrier

package app

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/convox-ci/convox-ci/internal/estate"
	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/registry/ecr/ecrtest"
)

// awsFault is a row of the table of faults.
type awsFault struct {
	name   string
	meets  []hurdle
	set    func(l *faultsLab, t *testing.T) (unset func()) // what the stand-ins are told beside that; nil for nothing
	status int                                             // to exit with
	became string                                          // see faultsLab.became
	want   string                                          // the error, all of it; "" for none
	warns  []string                                        // all warnings
	lacks  string                                          // the permission, and where, that is not there
}

// Where the app's images, and those of a repository that lets no tag be moved, are.
const (
	fixedRepo = "office/fixed"
	goneRepo  = "office/gone"
)

const (
	user      = " to " + ecrtest.User
	immutable = "ECR: immutable tag: The image tag 'web.BUILD' already exists in the 'office/fixed' repository and cannot be overwritten because the tag is immutable."
)

// denial is a row where one permission is missing at one of the places of
// [estate.Permissions]. want is the error but for who was not let.
func denial(l *faultsLab, action, on, became, want string) awsFault {
	service, _, _ := strings.Cut(action, ":")
	const stack = "arn:aws:cloudformation:us-east-1:123456789012:stack/"
	const table = "arn:aws:dynamodb:us-east-1:123456789012:table/"
	where := map[string][2]string{ // what follows the action in the name of the call, and what the answer names
		estate.Anywhere: {"", "*"}, estate.OnRackStack: {" office", stack + "office/*"}, estate.OnAppStack: {" office-web", stack + "office-web/*"},
		estate.OnBuilds: {" office-builds", table + "office-builds"}, estate.OnReleases: {" office-releases", table + "office-releases"},
		estate.OnIndex: {" app.created", table + "office-releases/index/app.created"}, estate.OnKey: {"", l.key}, estate.OnBucketKey: {"", l.key}, estate.OnTopic: {"", l.topic},
		estate.OnLogs: {" build/", `"arn:aws:s3:::` + appBucket + `/build/BUILD/logs"`}, estate.OnSecrets: {" releases/", `"arn:aws:s3:::` + appBucket + `/releases/RELEASE/env"`},
		estate.OnRackBucket: {" " + rackBucket, `"arn:aws:s3:::` + rackBucket + `"`},
		estate.OnRepository: {"", "arn:aws:ecr:us-east-1:123456789012:repository/office/web"},
	}[on]
	call := action + where[0]
	switch {
	case on == estate.OnBucketKey: // S3 says so, of an object
		service, call = "s3", map[string]string{"kms:GenerateDataKey": "s3:PutObject", "kms:Decrypt": "s3:GetObject"}[action]
	case on == estate.OnRepository:
		service = "registry"
	}
	return awsFault{name: "no permission for " + action + " on " + on, meets: []hurdle{{call: call, answer: inForm(service, denies(action, where[1]))}},
		status: 1, became: became, want: want + user, lacks: action + " " + on}
}

// denials are rows of all permissions that a delivery needs. What is begun only after
// the build was recorded leaves a build that has failed.
func denials(l *faultsLab) []awsFault {
	const (
		env     = "the environment of web, which a build is made with: "
		dynamo  = "DynamoDB: access denied: grant "
		objects = "S3: bucket " + appBucket + ": access denied: grant "
		push    = "build BUILD failed: push HOST/office/web:web.BUILD: ECR: access denied: grant "
		repo    = " on arn:aws:ecr:us-east-1:123456789012:repository/office/web"
		table   = " on the table office-"
		noLog   = "the log of build BUILD could not be stored: "
	)
	log := denial(l, "s3:PutObject", estate.OnLogs, "failed, no log", objects+"s3:PutObject on arn:aws:s3:::"+appBucket+"/build/BUILD/logs")
	log.warns = []string{noLog + log.want}
	bucketKey := denial(l, "kms:GenerateDataKey", estate.OnBucketKey, "failed, no log", objects+"kms:GenerateDataKey on KEY")
	bucketKey.warns = []string{noLog + bucketKey.want}
	layers := denial(l, "ecr:BatchCheckLayerAvailability", estate.OnRepository, "failed", "")
	looks := denial(l, "ecr:BatchGetImage", estate.OnRepository, "failed", "") // which is needed where an image may be there
	looks.meets = append(looks.meets, hurdle{call: "ecr:PutImage", times: 1, answer: lost})
	looks.set, looks.want = pushTo(fixedRepo), "build BUILD failed: push HOST/office/fixed:web.BUILD: "+immutable
	layers.want = push + "ecr:BatchCheckLayerAvailability on the repository office/web" // the answer to HEAD has no words
	told := denial(l, "sns:Publish", estate.OnTopic, "complete", "")
	told.status, told.want = 0, ""
	told.warns = []string{"those who listen to the rack were not told of the build: AWS: access denied: grant sns:Publish on TOPIC" + user}
	logins := denial(l, "s3:ListBucket", estate.OnRackBucket, "complete", "")
	logins.status, logins.want = 0, ""
	return []awsFault{
		denial(l, "cloudformation:DescribeStacks", estate.OnRackStack, "-", "AWS: access denied: grant cloudformation:DescribeStacks on the stack office"),
		denial(l, "cloudformation:DescribeStacks", estate.OnAppStack, "-", "AWS: access denied: grant cloudformation:DescribeStacks on the stack office-web"),
		denial(l, "cloudformation:ListStackResources", estate.OnAppStack, "-", "AWS: access denied: grant cloudformation:ListStackResources on the stack office-web"),
		denial(l, "dynamodb:Query", estate.OnIndex, "-", env+dynamo+"dynamodb:Query on the index app.created of the table office-releases"),
		denial(l, "dynamodb:GetItem", estate.OnReleases, "-", env+dynamo+"dynamodb:GetItem"+table+"releases"),
		denial(l, "dynamodb:GetItem", estate.OnBuilds, "-", dynamo+"dynamodb:GetItem"+table+"builds"),
		denial(l, "dynamodb:UpdateItem", estate.OnBuilds, "-", dynamo+"dynamodb:UpdateItem"+table+"builds"),
		denial(l, "dynamodb:PutItem", estate.OnBuilds, "-", dynamo+"dynamodb:PutItem"+table+"builds"),
		denial(l, "dynamodb:PutItem", estate.OnReleases, "failed", dynamo+"dynamodb:PutItem"+table+"releases"),
		denial(l, "kms:GenerateDataKey", estate.OnKey, "-", "KMS: key KEY: access denied: grant kms:GenerateDataKey on KEY"),
		denial(l, "kms:Decrypt", estate.OnKey, "-", "KMS: key KEY: access denied: grant kms:Decrypt on KEY"),
		denial(l, "kms:Decrypt", estate.OnBucketKey, "-", env+objects+"kms:Decrypt on KEY"),
		denial(l, "s3:GetObject", estate.OnSecrets, "-", env+objects+"s3:GetObject on arn:aws:s3:::"+appBucket+"/releases/RELEASE/env"),
		denial(l, "s3:PutObject", estate.OnSecrets, "failed", objects+"s3:PutObject on arn:aws:s3:::"+appBucket+"/releases/RELEASE/env"),
		log, bucketKey, layers, looks, told, logins,
		denial(l, "ecr:GetAuthorizationToken", estate.Anywhere, "-", "ECR: access denied: grant ecr:GetAuthorizationToken on *"),
		denial(l, "ecr:InitiateLayerUpload", estate.OnRepository, "failed", push+"ecr:InitiateLayerUpload"+repo),
		denial(l, "ecr:UploadLayerPart", estate.OnRepository, "failed", push+"ecr:UploadLayerPart"+repo),
		denial(l, "ecr:CompleteLayerUpload", estate.OnRepository, "failed", push+"ecr:CompleteLayerUpload"+repo),
		denial(l, "ecr:PutImage", estate.OnRepository, "failed", push+"ecr:PutImage"+repo),
	}
}

// tokenFaults are rows about the token of ECR and the credentials of AWS.
func tokenFaults(*faultsLab) []awsFault {
	const expired, env = "The security token included in the request is expired", "the environment of web, which a build is made with: "
	stacks, objects := inQuery(http.StatusForbidden, "ExpiredToken", expired), inXML(http.StatusBadRequest, "ExpiredToken", "The provided token has expired.")
	calls, items := inJSON(http.StatusBadRequest, "ExpiredTokenException", expired), inDynamo("ExpiredTokenException", expired)
	return []awsFault{
		{name: "token expires within the push", set: expireWithin("ecr:UploadLayerPart"), became: "complete"},
		{name: "token expires before the image", set: expireWithin("ecr:PutImage"), became: "complete"},
		{name: "token is not known any more", meets: []hurdle{{call: "ecr:CompleteLayerUpload", times: 1, answer: revoke}}, became: "complete"},
		{name: "each token has expired", meets: []hurdle{{call: "ecr:PutImage", answer: byRegistry(http.StatusForbidden, "DENIED", "Your authorization token has expired. Reauthenticate and try again.")}},
			status: 1, became: "failed", want: "build BUILD failed: push HOST/office/web:web.BUILD: ECR: expired: Your authorization token has expired. Reauthenticate and try again."},
		{name: "credentials that nobody knows", meets: []hurdle{{call: "cloudformation:", answer: inQuery(http.StatusForbidden, "InvalidClientTokenId", "The security token included in the request is invalid.")}},
			status: 3, became: "-", want: "AWS: the credentials are not accepted: InvalidClientTokenId (cloudformation:DescribeStacks on the stack office)"},
		{name: "credentials have expired", meets: []hurdle{{call: "cloudformation:", answer: stacks}},
			status: 3, became: "-", want: "AWS: the credentials are not accepted: ExpiredToken (cloudformation:DescribeStacks on the stack office)"},
		{name: "credentials expire before KMS", meets: []hurdle{{call: "kms:", answer: calls}},
			status: 3, became: "-", want: "KMS: key KEY: the credentials have expired (kms:GenerateDataKey): " + expired},
		{name: "credentials expire before ECR", meets: []hurdle{{call: "ecr:GetAuthorizationToken", answer: calls}},
			status: 3, became: "-", want: "ECR: expired (ecr:GetAuthorizationToken on *): " + expired},
		{name: "credentials expire before S3", meets: []hurdle{{call: "s3:GetObject", answer: objects}},
			status: 3, became: "-", want: env + "S3: bucket " + appBucket + ": the credentials have expired (s3:GetObject): The provided token has expired."},
		{name: "credentials expire before DynamoDB", meets: []hurdle{{call: "dynamodb:", answer: items}},
			status: 3, became: "-", want: env + "DynamoDB: the credentials have expired (dynamodb:Query on the index app.created of the table office-releases): " + expired},
		{name: "credentials expire within the build", meets: []hurdle{{call: "dynamodb:UpdateItem", after: 2, answer: items}, {call: "s3:PutObject", answer: objects}},
			status: 3, became: "left, then failed, no log", want: "DynamoDB: the credentials have expired (dynamodb:UpdateItem on the table office-builds): " + expired,
			warns: []string{"the log of build BUILD could not be stored: S3: bucket " + appBucket + ": the credentials have expired (s3:PutObject): The provided token has expired.",
				"build BUILD has ended, which could not be recorded: DynamoDB: the credentials have expired (dynamodb:UpdateItem on the table office-builds): " + expired}},
	}
}

// expireWithin lets half a day pass before the first request of a kind is sent.
func expireWithin(call string) func(*faultsLab, *testing.T) func() {
	return func(l *faultsLab, _ *testing.T) func() {
		passed := make(chan struct{}, 1)
		passed <- struct{}{}
		l.within = func(c string) {
			if c != call {
				return
			}
			select {
			case <-passed:
				l.ahead.Add(int64(12 * time.Hour))
				time.Sleep(12 * time.Hour)
			default:
			}
		}
		return func() { l.within = func(string) {}; l.ahead.Store(0) }
	}
}

// passingFaults are rows of what passes, and of the same where it does not.
func passingFaults(*faultsLab) []awsFault {
	const env, busy = "the environment of web, which a build is made with: ", "it cannot answer just now, also when it is asked again"
	const much = "The level of configured provisioned throughput for the table was exceeded."
	const place = " (dynamodb:Query on the index app.created of the table office-releases): "
	var all []awsFault
	both := func(name, call string, a answer, became, want string, warns ...string) {
		times := 2
		if strings.Contains(name, " fails") {
			times = 1
		}
		all = append(all, awsFault{name: name + ", for a while", meets: []hurdle{{call: call, times: times, answer: a}}, became: "complete"})
		f := awsFault{name: name + ", always", meets: []hurdle{{call: call, answer: a}}, status: 5, became: became, want: want, warns: warns}
		if want == "" {
			f.status = 0
		}
		all = append(all, f)
	}
	both("CloudFormation throttles", "cloudformation:", inQuery(400, "Throttling", "Rate exceeded"), "-", "AWS: "+busy+": Throttling: Rate exceeded (cloudformation:DescribeStacks on the stack office)")
	both("CloudFormation fails", "cloudformation:", inQuery(503, "ServiceUnavailable", "Try later."), "-", "AWS: "+busy+": ServiceUnavailable: Try later. (cloudformation:DescribeStacks on the stack office)")
	both("KMS throttles", "kms:", inJSON(400, "ThrottlingException", "Rate exceeded"), "-", "KMS: key KEY: it cannot answer just now, try again later (kms:GenerateDataKey): Rate exceeded")
	both("KMS fails", "kms:Decrypt", inJSON(500, "KMSInternalException", "An internal exception"), "-", "KMS: key KEY: it cannot answer just now, try again later (kms:Decrypt): An internal exception")
	both("DynamoDB throttles", "dynamodb:", inDynamo("ProvisionedThroughputExceededException", much), "-", env+"DynamoDB: asked for more than the table allows"+place+much)
	both("DynamoDB fails", "dynamodb:", inDynamo("InternalServerError", "Internal server error"), "-", env+"DynamoDB: "+busy+place+"InternalServerError: Internal server error")
	both("DynamoDB throttles the release", "dynamodb:PutItem office-releases", inDynamo("ThrottlingException", much), "failed", "DynamoDB: asked for more than the table allows (dynamodb:PutItem on the table office-releases): "+much)
	both("S3 throttles the environment", "s3:GetObject", inXML(503, "SlowDown", "Please reduce your request rate."), "-", env+"S3: bucket "+appBucket+": asked too often (s3:GetObject): Please reduce your request rate.")
	both("S3 fails at the release", "s3:PutObject releases/", inXML(500, "InternalError", "Please try again."), "failed", "S3: bucket "+appBucket+": "+busy+" (s3:PutObject): InternalError: Please try again.")
	both("ECR throttles tokens", "ecr:GetAuthorizationToken", inJSON(400, "ThrottlingException", "Rate exceeded"), "-", "ECR: asked too often (ecr:GetAuthorizationToken on *): Rate exceeded")
	both("ECR fails at tokens", "ecr:GetAuthorizationToken", inJSON(500, "ServerException", "Try later."), "-", "ECR: "+busy+" (ecr:GetAuthorizationToken on *): ServerException: Try later.")
	both("ECR throttles the push", "ecr:InitiateLayerUpload", byRegistry(429, "TOOMANYREQUESTS", "Rate exceeded"), "failed", "the registry HOST has not taken the image: ECR: asked too often: Rate exceeded")
	both("ECR fails at the image", "ecr:PutImage", byRegistry(503, "", ""), "failed", "the registry HOST has not taken the image: PUT http://HOST/v2/office/web/manifests/web.BUILD: unexpected status code 503 Service Unavailable")
	both("SNS throttles", "sns:", inQuery(400, "Throttling", "Rate exceeded"), "complete", "", "those who listen to the rack were not told of the build: AWS: "+busy+": Throttling: Rate exceeded (sns:Publish on TOPIC)")
	for _, call := range strings.Fields("dynamodb:PutItem dynamodb:UpdateItem dynamodb:GetItem s3:PutObject ecr:InitiateLayerUpload ecr:UploadLayerPart ecr:CompleteLayerUpload ecr:PutImage kms:GenerateDataKey") {
		all = append(all, awsFault{name: "answer lost to " + call, meets: []hurdle{{call: call, times: 1, answer: lost}}, became: "complete"})
	}
	for became, after := range map[string]int{"left, then failed, no log": 1, "left, then complete": 4} { // after the one that only finds out whether it may be
		all = append(all, awsFault{name: "DynamoDB throttles changes: " + became, meets: []hurdle{{call: "dynamodb:UpdateItem", after: after, answer: inDynamo("ThrottlingException", much)}},
			status: 5, became: became, want: "DynamoDB: asked for more than the table allows (dynamodb:UpdateItem on the table office-builds): " + much,
			warns: []string{"build BUILD has ended, which could not be recorded: it was tried for 30s"}})
	}
	return all
}

// placeFaults are rows of what is not there, is elsewhere, or is not as it was.
func placeFaults(l *faultsLab) []awsFault {
	const env = "the environment of web, which a build is made with: "
	noTable, noBucket := inDynamo("ResourceNotFoundException", "Requested resource not found"), inXML(404, "NoSuchBucket", "The specified bucket does not exist")
	return []awsFault{
		{name: "no repository", set: pushTo(goneRepo), status: 1, became: "failed",
			want: "build BUILD failed: push HOST/office/gone:web.BUILD: ECR: no such repository: The repository with name 'office/gone' does not exist in the registry with id '123456789012'"},
		{name: "tag that cannot be moved", meets: []hurdle{{call: "ecr:PutImage", times: 1, answer: taken}}, set: pushTo(fixedRepo), status: 1, became: "failed",
			want: "build BUILD failed: push HOST/office/fixed:web.BUILD: " + immutable},
		{name: "tag that cannot be moved, after a lost answer", meets: []hurdle{{call: "ecr:PutImage", times: 1, answer: lost}}, set: pushTo(fixedRepo), became: "complete"},
		{name: "another region", meets: []hurdle{{call: "cloudformation:", answer: inQuery(400, "ValidationError", "Stack with id office does not exist")}}, set: inRegion("eu-west-1"), status: 1, became: "-",
			want: "there is no stack office in eu-west-1, in the account of the credentials of AWS: are both, and the names of the rack and the app, right?"},
		{name: "no app", meets: []hurdle{{call: "cloudformation:DescribeStacks office-web", answer: inQuery(400, "ValidationError", "Stack with id office-web does not exist")}}, status: 1, became: "-",
			want: "there is no stack office-web in us-east-1, in the account of the credentials of AWS: are both, and the names of the rack and the app, right?"},
		{name: "bucket in another region", set: moved(appBucket), status: 1, became: "-",
			want: env + "S3: bucket " + appBucket + ": wrong region (s3:GetObject): the bucket is in eu-west-1, and was looked for in us-east-1"},
		{name: "bucket of the rack in another region", set: moved(rackBucket), became: "complete"}, // where only the logins of registries are
		{name: "bucket in another region, by the signature", meets: []hurdle{{call: "s3:GetObject", answer: inXML(400, "AuthorizationHeaderMalformed", "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-1'")}},
			status: 1, became: "-", want: env + "S3: bucket " + appBucket + ": wrong region (s3:GetObject): The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-1'"},
		{name: "bucket gone", meets: []hurdle{{call: "s3:", answer: noBucket}}, status: 1, became: "-",
			want: env + "S3: bucket " + appBucket + ": no such bucket (s3:GetObject): The specified bucket does not exist"},
		{name: "bucket gone before the log", meets: []hurdle{{call: "s3:PutObject", answer: noBucket}}, status: 1, became: "failed, no log",
			want:  "S3: bucket " + appBucket + ": no such bucket (s3:PutObject): The specified bucket does not exist",
			warns: []string{"the log of build BUILD could not be stored: S3: bucket " + appBucket + ": no such bucket (s3:PutObject): The specified bucket does not exist"}},
		{name: "table of releases gone", meets: []hurdle{{call: "dynamodb:", answer: noTable}}, status: 1, became: "-",
			want: env + "DynamoDB: no such table (dynamodb:Query on the index app.created of the table office-releases): Requested resource not found"},
		{name: "table of builds gone", meets: []hurdle{{call: "dynamodb:UpdateItem", answer: noTable}}, status: 1, became: "-",
			want: "DynamoDB: no such table (dynamodb:UpdateItem on the table office-builds): Requested resource not found"},
		{name: "table of releases gone before the release", meets: []hurdle{{call: "dynamodb:PutItem office-releases", answer: noTable}}, status: 1, became: "failed",
			want: "DynamoDB: no such table (dynamodb:PutItem on the table office-releases): Requested resource not found"},
		{name: "key gone", meets: []hurdle{{call: "kms:", answer: inJSON(400, "NotFoundException", "Key '"+l.key+"' does not exist")}}, status: 1, became: "-",
			want: "KMS: key KEY: no such key (kms:GenerateDataKey): Key 'KEY' does not exist"},
		{name: "key switched off", set: func(l *faultsLab, _ *testing.T) func() {
			l.kms.Disable(l.key, true)
			return func() { l.kms.Disable(l.key, false) }
		}, status: 1, became: "-",
			want: "KMS: key KEY: the key cannot be used (kms:GenerateDataKey): KEY is disabled."},
		{name: "key switched off before the release", meets: []hurdle{{call: "kms:GenerateDataKey", after: 1, answer: inJSON(400, "DisabledException", l.key+" is disabled.")}}, status: 1, became: "failed",
			want: "KMS: key KEY: the key cannot be used (kms:GenerateDataKey): KEY is disabled."},
		{name: "condition: the id of the build is taken", meets: []hurdle{{call: "dynamodb:PutItem office-builds", times: 1, answer: another}}, became: "complete"},
		{name: "condition: all ids are taken", meets: []hurdle{{call: "dynamodb:PutItem office-builds", answer: another}}, status: 1, became: "-",
			want: "DynamoDB has not taken a build under any of 5 ids, since there was one each time"},
		{name: "condition: the build was ended", meets: []hurdle{{call: "dynamodb:UpdateItem", after: 2, times: 1, answer: l.ended}}, status: 1, became: "failed, no log",
			want: "build BUILD was ended by someone else meanwhile, or is being changed by another run: conflict"},
		{name: "condition: the release is there", meets: []hurdle{{call: "dynamodb:PutItem office-releases", times: 1, answer: inDynamo("ConditionalCheckFailedException", "The conditional request failed")}},
			status: 1, became: "failed", want: "release RELEASE was made by someone else meanwhile: conflict"},
	}
}

// pushTo gives the app another repository.
func pushTo(repository string) func(*faultsLab, *testing.T) func() {
	return func(l *faultsLab, _ *testing.T) func() {
		if repository == fixedRepo {
			l.fake.Make(fixedRepo, true)
		}
		app := l.appStack()
		app.Resources = [][2]string{{"Settings", appBucket}, {"Registry", repository}}
		l.stacks.Put(app)
		return func() { l.stacks.Put(l.appStack()) }
	}
}

// moved has a bucket in another region.
func moved(bucket string) func(*faultsLab, *testing.T) func() {
	return func(l *faultsLab, t *testing.T) func() {
		move := func(region string) {
			if err := l.s3.Make(bucket, region, true); err != nil {
				t.Fatal(err)
			}
		}
		move("eu-west-1")
		return func() { move(ecrtest.Region) }
	}
}

// inRegion has the delivery look in another region.
func inRegion(region string) func(*faultsLab, *testing.T) func() {
	return func(_ *faultsLab, t *testing.T) func() {
		t.Setenv("AWS_REGION", region)
		return func() { t.Setenv("AWS_REGION", ecrtest.Region) }
	}
}

// revoke takes away the token of a request, before it is looked at.
func revoke(w http.ResponseWriter, r *http.Request, pass http.Handler) {
	r.Header.Set("Authorization", "Basic QVdTOm5vbmU=")
	pass.ServeHTTP(w, r)
}

// before has a request come after another of a different body.
func before(w http.ResponseWriter, r *http.Request, pass http.Handler, change func([]byte) []byte) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	for i, text := range [][]byte{change(body), body} {
		again := r.Clone(r.Context())
		again.Body, again.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
		if i == 0 {
			pass.ServeHTTP(httptest.NewRecorder(), again)
		} else {
			pass.ServeHTTP(w, again)
		}
	}
}

// taken has another image under the tag already.
func taken(w http.ResponseWriter, r *http.Request, pass http.Handler) {
	before(w, r, pass, func(manifest []byte) []byte { return append(manifest[:len(manifest):len(manifest)], '\n') })
}

// another has another build under the id already.
func another(w http.ResponseWriter, r *http.Request, pass http.Handler) {
	before(w, r, pass, func(item []byte) []byte {
		return bytes.ReplaceAll(item, []byte("build 0123abcd"), []byte("other 0123abcd"))
	})
}

// ofBuild is the id of the build in a call of DynamoDB.
var ofBuild = regexp.MustCompile(`"S": ?"(B[A-Z]{10})"`)

// ended has someone else end the build before it is changed.
func (l *faultsLab) ended(w http.ResponseWriter, r *http.Request, pass http.Handler) {
	body, err := io.ReadAll(r.Body)
	m := ofBuild.FindSubmatch(body)
	if err != nil || m == nil {
		l.Errorf("no build in %s, %v", body, err)
		return
	}
	b, err := l.records().Build(l.Context(), "web", string(m[1]))
	next := b
	next.Status, next.Ended = rack.BuildFailed, time.Now()
	if err == nil {
		err = l.records().ReplaceBuild(l.Context(), b, next)
	}
	if err != nil {
		l.Error(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	pass.ServeHTTP(w, r)
}

// TestAWSFaults has deliveries by AWS meet faults of each service, in the form that it
// has there. What passes is survived, with the image as it has to be. Else there is one
// error, of one line, that names what was refused and on what, with the exit status of
// its kind, and the build is recorded as one that has failed, with its log, or was
// never begun; and there is no release. It runs on only where the table of builds itself
// takes nothing any more, and is left to the last stage of the step then.
func TestAWSFaults(t *testing.T) {
	l := newFaultsLab(t)
	rows := slices.Concat([]awsFault{{name: "nothing", became: "complete"}}, denials(l), tokenFaults(l), passingFaults(l), placeFaults(l))
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) { l.check(t, row) })
	}
	for _, p := range estate.Permissions() {
		for _, on := range p.On {
			if !p.Optional && !slices.ContainsFunc(rows, func(f awsFault) bool { return f.lacks == p.Action+" "+on }) {
				t.Errorf("no row lacks %s on %s", p.Action, on)
			}
		}
	}
}

// check plays one row.
func (l *faultsLab) check(t *testing.T, row awsFault) {
	engine := newMaker(row.name)
	l.meet(row.meets...)
	unset := func() {}
	if row.set != nil {
		unset = row.set(l, t)
	}
	d := l.deliver(t, engine)
	if unmet := l.unmet(); len(unmet) > 0 {
		t.Errorf("not met: %q", unmet)
	}
	l.meet()
	unset()
	if d.status != row.status || l.plain(textOf(d.err), d) != row.want {
		t.Errorf("status %d: %v\nwant %d: %s", d.status, l.plain(textOf(d.err), d), row.status, row.want)
	}
	if d.err != nil && (len(parts(d.err)) != 1 || strings.Count(d.printed, "error: ") != 1) {
		t.Errorf("not one error:\n%s", d.printed)
	}
	if strings.Contains(d.printed, "correct-horse") {
		t.Error("a secret is printed")
	}
	var warns []string
	for line := range strings.Lines(l.plain(d.printed, d)) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "warning: "); ok {
			warns = append(warns, text)
		}
	}
	if !slices.Equal(warns, row.warns) {
		t.Errorf("warnings are %q, want %q", warns, row.warns)
	}
	repository := appRepo
	if strings.Contains(d.printed, "/"+fixedRepo+":") {
		repository = fixedRepo
	}
	if got := l.became(d, repository, engine.digest(t)); got != row.became {
		t.Errorf("it is %s, want %s", got, row.became)
	}
	if t.Failed() {
		t.Log(l.plain(d.printed, d))
	}
}

// textOf is the text of an error, "" for none.
func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
