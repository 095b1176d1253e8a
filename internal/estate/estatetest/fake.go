// Package estatetest is a stand-in for AWS CloudFormation and Amazon SNS in tests. It
// is neither, and says so in the header Server of every answer. It knows the three
// calls that this project makes and refuses all others.
package estatetest

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// Software is what the header Server of every answer is.
const Software = "estatetest (a stand-in for AWS CloudFormation and Amazon SNS, for tests)"

// What the stand-in has from the beginning.
const (
	Account   = "123456789012"
	AccessKey = "AKIDEXAMPLE" // of the user ci; any secret goes with it
	User      = "arn:aws:iam::" + Account + ":user/ci"
)

// Stack is one of CloudFormation.
type Stack struct {
	Name       string
	Tags       map[string]string
	Parameters map[string]string
	Outputs    map[string]string
	Resources  [][2]string // logical and physical ids, in order
}

// Seen is something that was asked and allowed.
type Seen struct{ Action, Resource string }

// Fake is the stand-in, an [http.Handler] of the APIs of one region.
type Fake struct {
	// PageSize is how many resources an answer has at most; 0 for 100.
	PageSize int

	region string
	mu     sync.Mutex
	stacks []Stack
	denied map[string]bool
	seen   map[Seen]int
	topics map[string][]string // messages by ARN
}

// New makes a stand-in for a region.
func New(region string) *Fake {
	return &Fake{region: region, denied: map[string]bool{}, seen: map[Seen]int{}, topics: map[string][]string{}}
}

// Put makes or replaces a stack.
func (f *Fake) Put(s Stack) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.stacks {
		if f.stacks[i].Name == s.Name {
			f.stacks[i] = s
			return
		}
	}
	f.stacks = append(f.stacks, s)
}

// MakeTopic makes a topic and gives its ARN.
func (f *Fake) MakeTopic(name string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	arn := "arn:aws:sns:" + f.region + ":" + Account + ":" + name
	f.topics[arn] = nil
	return arn
}

// Heard is what was published to a topic.
func (f *Fake) Heard(arn string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.topics[arn]...)
}

// Deny has an action refused from now on, or not any more.
func (f *Fake) Deny(action string, denied bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.denied[action] = denied
}

// Seen is what was asked and allowed, with how often.
func (f *Fake) Seen() map[Seen]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := map[Seen]int{}
	for s, n := range f.seen {
		all[s] = n
	}
	return all
}

// fault is an error of the API.
type fault struct {
	status        int
	code, message string
}

// signature is what Signature Version 4 puts into the header. The stand-in cannot
// check more than that it is there, and for the service: it knows no secrets.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
var signature = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=([^/]+)/\d{8}/([^/]+)/([^/]+)/aws4_request, ?SignedHeaders=([^,]+), ?Signature=[0-9a-f]{64}$`)

// call is one that is known.
type call struct {
	service, version string
	resource         string // the parameter that names what it is about
	answer           func(*Fake, url.Values) (any, *fault)
}

var calls = map[string]call{
	"DescribeStacks":     {"cloudformation", "2010-05-15", "StackName", (*Fake).describe},
	"ListStackResources": {"cloudformation", "2010-05-15", "StackName", (*Fake).resources},
	"Publish":            {"sns", "2010-03-31", "TopicArn", (*Fake).publish},
}

// ServeHTTP implements [http.Handler].
func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Server", Software)
	w.Header().Set("Content-Type", "text/xml")
	out, fail := f.call(r)
	if fail != nil {
		w.WriteHeader(fail.status)
		xml.NewEncoder(w).Encode(struct {
			XMLName xml.Name `xml:"ErrorResponse"`
			Code    string   `xml:"Error>Code"`
			Message string   `xml:"Error>Message"`
		}{Code: fail.code, Message: fail.message})
		return
	}
	xml.NewEncoder(w).Encode(out)
}

func (f *Fake) call(r *http.Request) (any, *fault) {
	if err := r.ParseForm(); err != nil || r.Method != http.MethodPost || r.URL.Path != "/" || len(r.URL.Query()) > 0 {
		return nil, &fault{http.StatusBadRequest, "InvalidAction", "no call that is known here"}
	}
	c, ok := calls[r.PostForm.Get("Action")]
	m := signature.FindStringSubmatch(r.Header.Get("Authorization"))
	switch {
	case !ok || r.PostForm.Get("Version") != c.version:
		return nil, &fault{http.StatusBadRequest, "InvalidAction", "Could not find operation " + r.PostForm.Get("Action") + " for version " + r.PostForm.Get("Version")}
	case m == nil || !strings.Contains(m[4], "x-amz-date") || !strings.Contains(m[4], "host"):
		return nil, &fault{http.StatusForbidden, "MissingAuthenticationToken", "Missing Authentication Token"}
	case m[2] != f.region || m[3] != c.service:
		return nil, &fault{http.StatusForbidden, "SignatureDoesNotMatch", "Credential should be scoped to a valid region, and to correct service"}
	case m[1] != AccessKey:
		return nil, &fault{http.StatusForbidden, "InvalidClientTokenId", "The security token included in the request is invalid."}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	action, on := c.service+":"+r.PostForm.Get("Action"), f.arn(r.PostForm.Get(c.resource))
	if f.denied[action] {
		code := map[string]string{"cloudformation": "AccessDenied", "sns": "AuthorizationError"}[c.service]
		return nil, &fault{http.StatusForbidden, code, "User: " + User + " is not authorized to perform: " + action + " on resource: " + on +
			" because no identity-based policy allows the " + action + " action"}
	}
	out, fail := c.answer(f, r.PostForm)
	if fail == nil {
		f.seen[Seen{action, on}]++
	}
	return out, fail
}

// arn is what a name stands for in policies, less the unique part at the end of a
// stack's.
func (f *Fake) arn(name string) string {
	if strings.HasPrefix(name, "arn:") {
		return name
	}
	return "arn:aws:cloudformation:" + f.region + ":" + Account + ":stack/" + name + "/*"
}

// find finds the stack that a call names.
func (f *Fake) find(form url.Values) (Stack, *fault) {
	name := form.Get("StackName")
	for _, s := range f.stacks {
		if s.Name == name {
			return s, nil
		}
	}
	return Stack{}, &fault{http.StatusBadRequest, "ValidationError", "Stack with id " + name + " does not exist"}
}

type tag struct{ Key, Value string }

type parameter struct{ ParameterKey, ParameterValue string }

type output struct{ OutputKey, OutputValue string }

// describe answers for one stack: without a name it would be all of the account.
func (f *Fake) describe(form url.Values) (any, *fault) {
	s, fail := f.find(form)
	if fail != nil {
		return nil, fail
	}
	out := struct {
		XMLName     xml.Name    `xml:"DescribeStacksResponse"`
		StackName   string      `xml:"DescribeStacksResult>Stacks>member>StackName"`
		StackID     string      `xml:"DescribeStacksResult>Stacks>member>StackId"`
		StackStatus string      `xml:"DescribeStacksResult>Stacks>member>StackStatus"`
		Created     string      `xml:"DescribeStacksResult>Stacks>member>CreationTime"`
		Tags        []tag       `xml:"DescribeStacksResult>Stacks>member>Tags>member"`
		Parameters  []parameter `xml:"DescribeStacksResult>Stacks>member>Parameters>member"`
		Outputs     []output    `xml:"DescribeStacksResult>Stacks>member>Outputs>member"`
	}{StackName: s.Name, StackID: strings.TrimSuffix(f.arn(s.Name), "*") + "00000000-0000-0000-0000-000000000000", StackStatus: "UPDATE_COMPLETE", Created: "2026-01-02T03:04:05Z"}
	for k, v := range s.Tags {
		out.Tags = append(out.Tags, tag{k, v})
	}
	for k, v := range s.Parameters {
		out.Parameters = append(out.Parameters, parameter{k, v})
	}
	for k, v := range s.Outputs {
		out.Outputs = append(out.Outputs, output{k, v})
	}
	return out, nil
}

type resource struct {
	Logical  string `xml:"LogicalResourceId"`
	Physical string `xml:"PhysicalResourceId"`
	Type     string `xml:"ResourceType"`
	Status   string `xml:"ResourceStatus"`
	Updated  string `xml:"LastUpdatedTimestamp"`
}

// resources answers page by page.
func (f *Fake) resources(form url.Values) (any, *fault) {
	s, fail := f.find(form)
	if fail != nil {
		return nil, fail
	}
	size, from := f.PageSize, 0
	if size == 0 {
		size = 100
	}
	if token := form.Get("NextToken"); token != "" {
		var err error
		if from, err = strconv.Atoi(strings.TrimPrefix(token, "from-")); err != nil || from >= len(s.Resources) {
			return nil, &fault{http.StatusBadRequest, "ValidationError", "Invalid pagination token"}
		}
	}
	out := struct {
		XMLName   xml.Name   `xml:"ListStackResourcesResponse"`
		Resources []resource `xml:"ListStackResourcesResult>StackResourceSummaries>member"`
		NextToken string     `xml:"ListStackResourcesResult>NextToken,omitempty"`
	}{}
	for _, r := range s.Resources[from:min(from+size, len(s.Resources))] {
		out.Resources = append(out.Resources, resource{r[0], r[1], "AWS::Some::Thing", "CREATE_COMPLETE", "2026-01-02T03:04:05Z"})
	}
	if from+size < len(s.Resources) {
		out.NextToken = "from-" + strconv.Itoa(from+size)
	}
	return out, nil
}

// subject is what SNS takes as one.
// https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
var subject = regexp.MustCompile(`^[A-Za-z0-9!-/:-@\[-` + "`" + `{-~][ -~]{0,98}$`)

// maxMessage is how long a message may be, in bytes.
const maxMessage = 256 << 10

func (f *Fake) publish(form url.Values) (any, *fault) {
	topic, message := form.Get("TopicArn"), form.Get("Message")
	if _, ok := f.topics[topic]; !ok {
		return nil, &fault{http.StatusNotFound, "NotFound", "Topic does not exist"}
	}
	if message == "" || len(message) > maxMessage || !subject.MatchString(form.Get("Subject")) {
		return nil, &fault{http.StatusBadRequest, "InvalidParameter", "Invalid parameter: Subject or Message"}
	}
	f.topics[topic] = append(f.topics[topic], form.Get("Subject")+" "+message)
	return struct {
		XMLName   xml.Name `xml:"PublishResponse"`
		MessageID string   `xml:"PublishResult>MessageId"`
	}{MessageID: "00000000-0000-0000-0000-000000000000"}, nil
}
